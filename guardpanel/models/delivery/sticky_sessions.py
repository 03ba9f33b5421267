"""Sticky sessions: that a visitor stays with one server."""

import re
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo, field_validator

from guardpanel.models.meta import Choice, described
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, stored, visible

SECURE_PREFIXES = ("__Host-", "__Secure-")
"Browsers keep such cookies only if they are `Secure` (RFC 6265bis §4.1.3)."


class StickySessions(Choice):
    """Whether a visitor stays with one server."""

    OFF = "off", "Off", "Load balancing chooses a server for each request."
    COOKIE = (
        "cookie",
        "By cookie",
        "A visitor’s first response sets a cookie. HAProxy removes it from requests to servers.",
    )


class SameSite(Choice):
    """The cookie's `SameSite` attribute."""

    LAX = "lax", "Lax: this site, and links to it"
    STRICT = "strict", "Strict: this site only"
    NONE = "none", "None: embedded in other sites, too"


def cookie_name(text: str) -> str:
    name = visible(text.strip())
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,49}|__(?:Host|Secure)-[A-Za-z0-9_-]{1,40}", name):
        raise refuse("Enter up to 50 letters, digits, - and _, starting with a letter.")
    return name


class StickySessionsColumns(Fields):
    """The fields that form, JSON and table share."""

    sticky_sessions: StickySessions = described("Sticky sessions", StickySessions.OFF, sa_type=stored(StickySessions))
    sticky_cookie: Annotated[str, AfterValidator(cookie_name)] = described(
        "Sticky cookie",
        "GPSRV",
        max_length=100,
        hint="A name that no application here uses. With HTTPS on, browsers send it over HTTPS only.",
    )
    sticky_same_site: SameSite = described("Sticky cookie SameSite", SameSite.LAX, sa_type=stored(SameSite))

    @field_validator("sticky_cookie")
    @classmethod
    def prefixes_promise_https(cls, name: str, info: ValidationInfo) -> str:
        if name.startswith(SECURE_PREFIXES) and info.data.get("https") is False:
            raise refuse(f"Browsers keep {name[:60]} only over HTTPS. Turn on HTTPS, or choose another name.")
        return name

    @field_validator("sticky_same_site")
    @classmethod
    def none_needs_https(cls, same_site: SameSite, info: ValidationInfo) -> SameSite:
        if same_site is SameSite.NONE and info.data.get("https") is False:
            raise refuse("Browsers keep a cookie with SameSite None only over HTTPS. Turn on HTTPS, or choose another.")
        return same_site
