"""Header rules: what is set, added or removed in the headers of a virtual host's, or a path's, requests and responses."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ValidationInfo, field_validator
from sqlmodel import Field

from guardpanel.field_codes import FieldCode
from guardpanel.models.meta import Choice, described
from guardpanel.models.noun import Noun
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, Notes, stored, visible
from guardpanel.models.versioned_row import VersionedRow

LONGEST_NAME, LONGEST_VALUE = 100, 2_000
"Bytes."

MOST_RULES, LARGEST_RULES = 50, 8 * 1024
"For a request, and bytes that they add to it, or to its response. HAProxy accepts 101 headers in one."

VARIABLE = re.compile(r"\{([a-z_]+)\}")

VARIABLES = ("client_ip", "request_id", "hostname", "scheme", "country")
"What a value may have in braces: `{client_ip}`. Other text is sent as it is typed."


class Direction(Choice):
    REQUEST = "request", "Requests to servers"
    RESPONSE = "response", "Responses to visitors"


class HeaderAction(Choice):
    SET = "set", "Set", "Replaces all headers of this name."
    ADD = "add", "Add", "Keeps those that are there."
    REMOVE = "remove", "Remove", "Removes all headers of this name."


CONNECTION = "connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|content-length|upgrade|http2-settings"
"What frames a message, or is for one connection alone (RFC 9110 §7.6.1)."

OWN = {
    Direction.REQUEST: re.compile(
        f"{CONNECTION}|expect|host|content-(type|encoding)|x-forwarded-.*|x-real-ip|x-request-id|x-(gp|waf)-.*"
        "|client-cert(-.*)?|x-ssl-client-.*"
    ),
    Direction.RESPONSE: re.compile(f"{CONNECTION}|content-encoding|x-gp-.*"),
}
"By names in lower case, with `-` between words. A request's content type is what the WAF inspected its body by."


def header_name(text: str) -> str:
    name = visible(text.strip()).removesuffix(":").rstrip()
    if not name:
        raise refuse("Enter a header name, such as X-Robots-Tag.")
    if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{LONGEST_NAME - 1}}}", name):
        raise refuse(f"Use letters, digits, - _ and . ({LONGEST_NAME} at most).")
    return name


def header_value(text: str) -> str:
    value = visible(text.strip())
    if len(value.encode()) > LONGEST_VALUE:
        raise refuse(f"At most {LONGEST_VALUE:,} bytes.", FieldCode.TOO_LONG)
    for name in VARIABLE.findall(value):
        if name not in VARIABLES:
            raise refuse(f"{{{name}}} is not a variable. There are {in_braces()}.")
    return value


def in_braces() -> str:
    """`{client_ip}, {request_id} and {country}`"""
    *first, last = (f"{{{name}}}" for name in VARIABLES)
    return f"{', '.join(first)} and {last}"


class HeaderChangeColumns(Fields):
    """What is done to headers of one name."""

    direction: Direction = described("Applies to", Direction.RESPONSE, sa_type=stored(Direction))
    action: HeaderAction = described("Action", HeaderAction.SET, sa_type=stored(HeaderAction))
    header: Annotated[str, AfterValidator(header_name)] = described("Header", placeholder="X-Robots-Tag")
    value: Annotated[str, AfterValidator(header_value)] = described(
        "Value", "", hint=f"Text, sent as typed, none to remove. Replaced: {in_braces()}. An unknown country is --."
    )


class HeaderChange(HeaderChangeColumns):
    """As an operator sets it: a header rule, or a row of a path's."""

    @field_validator("header")
    @classmethod
    def header_is_free(cls, name: str, info: ValidationInfo) -> str:
        direction = info.data.get("direction", Direction.RESPONSE)
        words = re.sub(r"[_.]", "-", name.lower())
        if OWN[direction].fullmatch(words):
            raise refuse(f"guardpanel or HAProxy sets {name} in {direction.value}s. It can’t be changed here.")
        encodes = words == "accept-encoding" and info.data.get("action") is not HeaderAction.REMOVE
        if direction is Direction.REQUEST and encodes:
            raise refuse("Servers would compress responses that the WAF inspects. Only removing it is possible.")
        return name

    @field_validator("value")
    @classmethod
    def value_where_it_counts(cls, value: str, info: ValidationInfo) -> str:
        removes = info.data.get("action") is HeaderAction.REMOVE
        if removes and value:
            raise refuse("Remove takes all values. Clear this, or choose another action.")
        if not removes and "action" in info.data and not value:
            raise refuse("Enter a value. To send none, choose Remove.")
        return value

    @property
    def name(self) -> str:
        """`Set X-Robots-Tag in responses`"""
        return f"{self.action.word} {self.header} in {self.direction.value}s"

    @property
    def in_words(self) -> str:
        """`Set X-Robots-Tag in responses: noindex`"""
        return f"{self.name}: {self.value}" if self.value else self.name


def change_in_words(change: Mapping[str, Any]) -> str:
    """Of one as it is stored."""
    return HeaderChange.model_validate(change).in_words


class HeaderRuleColumns(HeaderChangeColumns):
    """What form, JSON and table have in common."""

    position: int = described(
        "Order",
        100,
        ge=1,
        le=10_000,
        hint="Rules with lower numbers are applied first, equal ones in the order of adding.",
    )
    notes: Notes = described("Notes", "")


class HeaderRuleFields(HeaderChange, HeaderRuleColumns):
    """What an operator sets: the input of the form, of the JSON body and of the table."""


class HeaderRule(HeaderRuleColumns, VersionedRow, table=True):
    """A row. Its name is made of its fields."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    virtual_host_id: int | None = Field(
        default=None, foreign_key="virtualhost.id", ondelete="CASCADE", index=True, nullable=False
    )
    name: str = Field(default="", max_length=200)

    def replace(self, fields: HeaderRuleFields) -> Self:
        for name in (*HeaderRuleColumns.model_fields, "name"):
            setattr(self, name, getattr(fields, name))
        return self


NOUN = Noun(
    "header_rule",
    "header_rules",
    "Header rule",
    "Header rules",
    HeaderRule,
    HeaderRuleFields,
    "/virtual-hosts/{virtual_host_id}/headers",
    "vhosts/{virtual_host_id}/header-rules",
    "Headers that are set, added or removed in a virtual host’s requests and responses.",
    {"direction": "response", "action": "set", "header": "X-Robots-Tag", "value": "noindex"},
    references={"virtual_host_id": "virtual_host"},
    within="virtual_host_id",
)
