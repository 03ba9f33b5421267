"""CORS: which other sites' scripts may read a virtual host's responses."""

import re
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo, field_validator
from sqlalchemy import JSON
from sqlmodel import Field

from guardpanel.models.meta import described
from guardpanel.models.policies.path_condition import Methods
from guardpanel.models.refusing import refuse
from guardpanel.models.site import site
from guardpanel.models.types import Fields, Lines, visible

ANY_ORIGIN = "*"

DEFAULT_PORTS = {"http": "80", "https": "443"}


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


class CorsColumns(Fields):
    """The fields that form, JSON and table share."""

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

    @field_validator("cors_credentials")
    @classmethod
    def credentials_are_for_named_origins(cls, allows: bool, info: ValidationInfo) -> bool:
        if allows and ANY_ORIGIN in info.data.get("cors_origins", ()):
            raise refuse(
                "With credentials, name the allowed origins instead of *: any site could act for your visitors."
            )
        return allows
