"""What a virtual host does with requests once they have passed, and with what its servers answer."""

import re
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo, field_validator
from sqlalchemy import JSON
from sqlmodel import Field

from guardpanel.models.meta import Choice, described
from guardpanel.models.policies.path_condition import Methods
from guardpanel.models.references import OptionalId
from guardpanel.models.types import Fields, Lines, refuse, server_host, split_port, stored, visible


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


ANY_ORIGIN = "*"

DEFAULT_PORTS = {"http": "80", "https": "443"}


def site(text: str) -> str:
    """A hostname or address, with a port if it has one."""
    host, port = split_port(text)
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise refuse("The port must be between 1 and 65535.")
    name = server_host(host)[0]
    return (f"[{name}]" if ":" in name else name) + (f":{int(port)}" if port else "")


def origin(text: str) -> str:
    """As browsers write it: in lower case, and without the scheme's own port."""
    typed = visible(text.strip())
    if typed == ANY_ORIGIN:
        return typed
    scheme, separator, rest = typed.removesuffix("/").partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in DEFAULT_PORTS:
        raise refuse(f"{typed[:80]}: start with https:// or http://, or enter * for any origin.")
    if re.search(r"[/?#@*]", rest):
        raise refuse(f"{typed[:80]}: enter scheme, hostname and port alone, without wildcards.")
    return f"{scheme}://{site(rest).removesuffix(f':{DEFAULT_PORTS[scheme]}')}"


def known_origins(origins: list[str]) -> list[str]:
    known = list(dict.fromkeys(map(origin, origins)))
    if ANY_ORIGIN in known and len(known) > 1:
        raise refuse("* allows any origin. Remove it, or the others.")
    return known


def header_names(names: list[str]) -> list[str]:
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", visible(name)):
            raise refuse(f"{name[:40]} is not a header name. Use letters, digits, - and _.")
    return list({name.lower(): name for name in names}.values())


Origins = Annotated[Lines, AfterValidator(known_origins), Field(max_length=50)]
HeaderNames = Annotated[Lines, AfterValidator(header_names), Field(max_length=50)]


COMPRESSED = [
    "application/javascript",
    "application/manifest+json",
    "application/wasm",
    "image/svg+xml",
    "text/css",
    "text/javascript",
]
"What seldom repeats anything of a visitor's."

DYNAMIC = frozenset(
    {"application/json", "application/xhtml+xml", "application/xml", "text/html", "text/plain", "text/xml"}
)
"What may hold a secret next to what a visitor sent (BREACH)."

CONTENT_TYPE = re.compile(r"[a-z0-9][a-z0-9.+_-]{0,60}/[a-z0-9][a-z0-9.+_-]{0,100}")


def optional_site(text: str) -> str:
    typed = visible(text.strip())
    if re.search(r"[/?#@*]", typed):
        raise refuse("Enter a hostname or address, with a port if it needs one.")
    return site(typed) if typed else ""


def compressed_types(types: list[str]) -> list[str]:
    known = list(dict.fromkeys(visible(each.strip()).lower() for each in types))
    for each in known:
        if not CONTENT_TYPE.fullmatch(each):
            raise refuse(f"{each[:40]} is not a content type. Enter one such as text/css.")
    return known


ContentTypes = Annotated[Lines, AfterValidator(compressed_types), Field(max_length=40)]


class DeliveryColumns(Fields):
    """The fields that form, JSON and table share."""

    requires_login: bool = described(
        "Requires login",
        False,
        hint="Asks visitors for a user name and password (basic authentication). Add logins on the virtual host’s page.",
    )
    passes_login: bool = described(
        "Pass login to servers",
        False,
        hint="The Authorization header, with the password, where a login is required. Otherwise, servers don’t get it there.",
    )
    security_headers: SecurityHeaders = described(
        "Security headers", SecurityHeaders.OFF, sa_type=stored(SecurityHeaders)
    )
    cors_origins: Origins = described(
        "Allowed origins",
        default_factory=list,
        sa_type=JSON,
        hint="One per line, such as https://app.example, whose scripts may read responses. * allows those of any site. "
        "If empty, CORS is left to the servers.",
    )
    cors_methods: Methods = described(
        "CORS methods",
        default_factory=lambda: ["GET", "HEAD", "POST"],
        sa_type=JSON,
        hint="One per line. The policy must allow them, and OPTIONS.",
    )
    cors_headers: HeaderNames = described(
        "CORS headers",
        default_factory=list,
        sa_type=JSON,
        hint="Request headers that scripts may set, one per line. For example, Authorization and Content-Type.",
    )
    cors_credentials: bool = described(
        "CORS with credentials", False, hint="Scripts of the allowed origins act with the visitor’s cookies and logins."
    )
    cors_max_age: int = described(
        "CORS lifetime",
        600,
        ge=0,
        le=86_400,
        unit="s",
        hint="How long browsers keep what is allowed. Some keep it for 2 h at most.",
    )

    error_page_id: OptionalId = described(
        "Error pages", None, unset="default", hint="What visitors see when a request is blocked, or no server responds."
    )
    server_host: Annotated[str, AfterValidator(optional_site)] = described(
        "Host sent to servers",
        "",
        max_length=300,
        placeholder="app.internal",
        hint="In health checks, too. If empty, the Host header is sent as received. X-Forwarded-Host always has that one.",
    )
    connect_timeout: int = described(
        "Connect timeout",
        5,
        ge=1,
        le=60,
        unit="s",
        hint="For a connection to a server. After it, the retries, and then 503.",
    )
    server_timeout: int = described(
        "Server timeout",
        60,
        ge=1,
        le=3_600,
        unit="s",
        hint="Without anything from the server. After it, 504 or the response ends.",
    )
    tunnel_timeout: int = described(
        "Tunnel timeout",
        3_600,
        ge=1,
        le=86_400,
        unit="s",
        hint="For WebSockets on which nothing is sent in either direction.",
    )
    retries: int = described(
        "Retries",
        2,
        ge=0,
        le=10,
        hint="Of connections that fail, the last one to another server. Nothing that reached a server is sent again.",
    )
    compression: bool = described(
        "Compression",
        False,
        hint="With gzip, for browsers that accept it. Servers are then asked for uncompressed responses.",
    )
    compression_types: ContentTypes = described(
        "Compressed types",
        default_factory=COMPRESSED.copy,
        sa_type=JSON,
        hint="Content types, one per line. Attackers can guess secrets in compressed pages that also repeat what a visitor sent "
        "(BREACH). Add text/html or application/json only if there are none.",
    )

    @property
    def exposed_types(self) -> list[str]:
        """Compressed types that may hold secrets."""
        return [each for each in self.compression_types if each in DYNAMIC] if self.compression else []

    @field_validator("compression_types")
    @classmethod
    def something_is_compressed(cls, types: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("compression") and not types:
            raise refuse("Enter a content type, or turn compression off.")
        return types

    @field_validator("cors_credentials")
    @classmethod
    def credentials_are_for_named_origins(cls, allows: bool, info: ValidationInfo) -> bool:
        if allows and ANY_ORIGIN in info.data.get("cors_origins", ()):
            raise refuse(
                "With credentials, name the allowed origins instead of *: any site could act for your visitors."
            )
        return allows
