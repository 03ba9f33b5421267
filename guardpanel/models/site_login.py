"""Logins of a virtual host: the names and passwords that HAProxy accepts by basic authentication (RFC 7617).

A password is kept as a keyed hash, which HAProxy computes in microseconds, and sealed besides (services/site_logins.py).
"""

from typing import Annotated, Self

from pydantic import AfterValidator
from sqlmodel import Field

from guardpanel.field_codes import FieldCode
from guardpanel.models.meta import described
from guardpanel.models.noun import Noun
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, Notes, visible
from guardpanel.models.versioned_row import VersionedRow

LONGEST_NAME, SHORTEST_PASSWORD, LONGEST_PASSWORD = 64, 8, 200


def user_name(text: str) -> str:
    name = visible(text.strip())
    if not name:
        raise refuse("Enter a user name.")
    if ":" in name:
        raise refuse("Enter the user name without a colon: it ends there for browsers.")
    if len(name) > LONGEST_NAME:
        raise refuse(f"At most {LONGEST_NAME} characters.", FieldCode.TOO_LONG)
    return name


def new_password(text: str | None) -> str:
    """Empty if there is none."""
    password = visible(text or "")
    if password and not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise refuse(f"Enter {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.")
    return password


class SiteLoginColumns(Fields):
    """What form, JSON and table have in common."""

    name: Annotated[str, AfterValidator(user_name)] = described(
        "User name", hint="In events, too. Upper and lower case differ."
    )
    notes: Notes = described("Notes", "")


class SiteLoginFields(SiteLoginColumns):
    """What an operator sets, besides the password (`SiteLoginInput`)."""


class SiteLoginInput(SiteLoginFields):
    """Plus what is taken and never shown again."""

    password: Annotated[str | None, AfterValidator(new_password)] = described(
        "Password", "", repr=False, hint="8 characters or more. Empty keeps the present one. It is never shown again."
    )


class SiteLogin(SiteLoginColumns, VersionedRow, table=True):
    """A row."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    virtual_host_id: int | None = Field(
        default=None, foreign_key="virtualhost.id", ondelete="CASCADE", index=True, nullable=False
    )
    sealed: str = Field(default="", repr=False)
    "The password's hash, sealed, in Base64. Empty: nobody can log in, as after a restore of a backup without keys."

    def replace(self, fields: SiteLoginFields) -> Self:
        for name in SiteLoginColumns.model_fields:
            setattr(self, name, getattr(fields, name))
        return self


def place(virtual_host_id: object, name: object) -> str:
    """Where a hash is sealed. It opens for no other virtual host or user name, and does in a restored backup."""
    return f"login:{virtual_host_id}:{name}"


NOUN = Noun(
    "site_login",
    "site_logins",
    "Login",
    "Logins",
    SiteLogin,
    SiteLoginFields,
    "/virtual-hosts/{virtual_host_id}/logins",
    "vhosts/{virtual_host_id}/logins",
    "User names and passwords that HAProxy asks visitors of a virtual host for.",
    {"name": "ada", "password": "correct horse battery staple"},
    references={"virtual_host_id": "virtual_host"},
    within="virtual_host_id",
    sent=SiteLoginInput,
    apart=("password",),
    secret="sealed",  # noqa: S106 a column
)
