"""Whether requests are redirected, of a virtual host or of a path of it, and where to."""

import re
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo, field_validator

from guardpanel.field_codes import FieldCode
from guardpanel.models.meta import Choice, described
from guardpanel.models.refusing import refuse
from guardpanel.models.site import site
from guardpanel.models.types import Fields, stored, visible

LONGEST_TARGET = 1000


class Redirect(Choice):
    """By status (RFC 9110 §15.4)."""

    NO = "no", "No redirect"
    MOVED = "301", "Permanent (301)"
    PERMANENT = "308", "Permanent, same method (308)"
    FOUND = "302", "Temporary (302)"
    TEMPORARY = "307", "Temporary, same method (307)"


SIGN = r"(?:[A-Za-z0-9/._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
TARGET = re.compile(rf"(?:(?P<scheme>https?)://(?P<host>[^/?#]+))?(?P<path>/{SIGN}*)?(?P<query>\?(?:{SIGN}|\?)*)?")
"What a visitor’s browser reads in one way: ASCII, encoded, without a fragment."


def redirect_target(text: str) -> str:
    """`https://new.example`, `https://new.example/shop` or `/new`: never another site's by what a visitor sends."""
    target = re.sub("^https?://", lambda scheme: scheme[0].lower(), visible(text.strip()), flags=re.IGNORECASE)
    if not target:
        return ""
    parts = TARGET.fullmatch(target)
    if re.match("https?://[^/?#]*@", target):
        raise refuse("Enter the URL without a user name and password: everyone who follows it would see them.")
    if not re.match("https?://[^/?#]|/(?!/)", target):
        raise refuse("Start with https:// and a hostname, or with a single /.")
    if "#" in target:
        raise refuse("Leave out # and what follows it.")
    if len(target) > LONGEST_TARGET:
        raise refuse(f"At most {LONGEST_TARGET:,} characters.", FieldCode.TOO_LONG)
    if parts is None:
        raise refuse("Enter a URL or a path of letters, digits and the signs of URLs, others encoded: %C3%A9, not é.")
    if not parts["host"]:
        return target
    return f"{parts['scheme']}://{site(parts['host'])}{parts['path'] or ''}{parts['query'] or ''}"


class RedirectColumns(Fields):
    """The fields that form, JSON and table share."""

    redirect: Redirect = described(
        "Redirect",
        Redirect.NO,
        sa_type=stored(Redirect),
        hint="Instead of the servers. Redirected requests are not inspected.",
    )
    redirect_to: Annotated[str, AfterValidator(redirect_target)] = described(
        "Redirect to", "", placeholder="https://new.example/shop", hint="A URL, or a path of this virtual host."
    )
    redirect_rest: bool = described(
        "Keep the rest",
        True,
        hint="Adds the path and the query to the target. A path binding adds what follows its path.",
    )

    @field_validator("redirect_to")
    @classmethod
    def a_target_for_a_redirect(cls, target: str, info: ValidationInfo) -> str:
        if not target and info.data.get("redirect", Redirect.NO) is not Redirect.NO:
            raise refuse("Enter a URL or a path to redirect to.")
        return target

    @field_validator("redirect_rest")
    @classmethod
    def rest_has_its_place(cls, keeps: bool, info: ValidationInfo) -> bool:
        if keeps and "?" in info.data.get("redirect_to", ""):
            raise refuse("The target has a query already. Clear this, or leave the target’s query out.")
        return keeps
