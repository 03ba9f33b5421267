"""Error page sets: what HAProxy's own pages say of a site, besides the reason and the request ID. Nothing of it is HTML."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, StringConstraints
from sqlmodel import Field

from guardpanel.models.certificates.issuing import email_address
from guardpanel.models.delivery.redirect import redirect_target
from guardpanel.models.logo import Logo
from guardpanel.models.meta import described
from guardpanel.models.noun import Menu, Noun
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, Name, Notes, notes, visible
from guardpanel.models.versioned_row import VersionedRow

LONGEST_TEXT = 2_000
"Characters. Its HTML fits a line of a map in HAProxy (16 KiB)."


def contact_address(text: str) -> str:
    typed = visible(text.strip()).removeprefix("mailto:")
    if re.match("https?://", typed, re.IGNORECASE):
        return redirect_target(typed)
    if typed and "@" not in typed:
        raise refuse("Enter an email address or a URL, such as https://shop.example/help.")
    return email_address(typed)


def color(text: str) -> str:
    typed = text.strip().lower().removeprefix("#")
    if not typed:
        return ""
    if not re.fullmatch(r"[0-9a-f]{3}([0-9a-f]{3})?", typed):
        raise refuse("Enter a color such as #00796b.")
    return "#" + (typed if len(typed) == 6 else "".join(2 * digit for digit in typed))


class ErrorPageColumns(Fields):
    """What form, JSON and table have in common."""

    name: Name = described("Name", max_length=100, hint="Shown only in guardpanel.")
    is_default: bool = described(
        "Default",
        False,
        hint="For virtual hosts that name no other one, and where no virtual host is known, as with unknown hostnames.",
    )
    site_name: Annotated[str, StringConstraints(max_length=100), AfterValidator(lambda text: visible(text.strip()))] = (
        described("Site name", "", placeholder="Example Shop", hint="Above the heading, beside the logo.")
    )
    logo: Logo = described(
        "Logo", "", hint="PNG, JPEG or WebP, 32 KiB at most. In JSON: Base64, or a data URI. It is a part of each page."
    )
    accent: Annotated[str, AfterValidator(color)] = described(
        "Accent color", "", placeholder="#00796b", hint="Of a bar at the top of the page."
    )
    text: Annotated[str, StringConstraints(max_length=LONGEST_TEXT), AfterValidator(notes)] = described(
        "Text", "", max_length=LONGEST_TEXT, hint="Below the request ID. For example, when support can be reached."
    )
    contact: Annotated[str, AfterValidator(contact_address)] = described(
        "Contact",
        "",
        placeholder="help@shop.example",
        max_length=300,
        hint="An email address or a URL, shown as a link.",
    )
    notes: Notes = described("Notes", "")


class ErrorPageFields(ErrorPageColumns):
    """What an operator sets: the input of the JSON body and of the table."""


class ErrorPageInput(ErrorPageFields):
    """A form is sent with a file, which becomes the logo (views/error_pages.py)."""


class ErrorPage(ErrorPageColumns, VersionedRow, table=True):
    """A row."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)

    def replace(self, fields: ErrorPageFields) -> Self:
        for name in ErrorPageColumns.model_fields:
            setattr(self, name, getattr(fields, name))
        return self


NOUN = Noun(
    "error_page",
    "error_pages",
    "Error page set",
    "Error pages",
    ErrorPage,
    ErrorPageFields,
    "/error-pages",
    "error-pages",
    "Error pages: what visitors see when a request is blocked, or a site is unavailable.",
    {"name": "Shop", "site_name": "Example Shop", "accent": "#00796b", "contact": "help@shop.example"},
    has_own_names=True,
    menu=Menu(17, "octagon-alert", "o"),
    known_as="block page maintenance page 403 502 503 504 custom branding logo",
    beside_name=lambda row: row.site_name,
    sent=ErrorPageInput,
)
