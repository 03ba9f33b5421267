"""Headers of responses that make browsers stricter."""

from guardpanel.models.meta import Choice, described
from guardpanel.models.types import Fields, stored


class SecurityHeaders(Choice):
    """Whether responses get headers that make browsers stricter."""

    OFF = "off", "Off", "Responses have what the servers send."
    UNLESS_SET = "unless_set", "Recommended, unless the server sets them", "Each is added where the server sends none."
    ALWAYS = "always", "Recommended, in place of the server’s", "They replace what the server sends."


RECOMMENDED = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Cross-Origin-Opener-Policy", "same-origin-allow-popups"),
)
"HSTS has a field of its own."

FRAMES, FRAMES_OF_OLD_BROWSERS = (
    ("Content-Security-Policy", "frame-ancestors 'self'"),
    ("X-Frame-Options", "SAMEORIGIN"),
)
"""One demand in two headers: browsers ignore the second one where they know the first. A server's own Content-Security-Policy is
never replaced, since it says more than this. Of several, browsers fulfill all."""

SECURITY_LINES = tuple(f"{name}: {value}" for name, value in (*RECOMMENDED, FRAMES, FRAMES_OF_OLD_BROWSERS))


class SecurityHeadersColumns(Fields):
    """The field that form, JSON and table share."""

    security_headers: SecurityHeaders = described(
        "Security headers", SecurityHeaders.OFF, sa_type=stored(SecurityHeaders)
    )
