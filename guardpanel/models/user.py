"""The panel's users."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator
from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from guardpanel.field_codes import FieldCode
from guardpanel.models.refusing import refuse
from guardpanel.models.types import stored, visible


class Role(StrEnum):
    ADMIN = "admin"
    VIEWER = "viewer"


def email(text: str) -> str:
    text = visible(text.strip()).lower()
    local, at, domain = text.rpartition("@")
    if not (local and at and domain) or " " in text or len(text) > 254:
        raise refuse("Enter an email address.")
    return text


def password(text: str) -> str:
    if len(text) < 12:
        raise refuse("Use at least 12 characters.", FieldCode.TOO_SHORT)
    if len(text) > 1024:
        raise refuse("Use at most 1,024 characters.", FieldCode.TOO_LONG)
    return text


Email = Annotated[str, AfterValidator(email)]
Password = Annotated[str, AfterValidator(password)]


class AccountFields(SQLModel):
    """The input of the setup page and of `guardpanel user create`."""

    email: Email
    full_name: str = Field(default="", max_length=200)
    password: Password


class User(SQLModel, table=True):
    __table_args__ = (CheckConstraint("role in ('admin', 'viewer')", name="role"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True, max_length=254)
    full_name: str = Field(default="", max_length=200)
    role: Role = Field(default=Role.VIEWER, sa_type=stored(Role))
    password_hash: str
    is_active: bool = True
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def may_write(self) -> bool:
        return self.role is Role.ADMIN


class Session(SQLModel, table=True):
    """A login to the pages or the JSON API. Only the SHA-256 of its secret is stored."""

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    secret_hash: str = Field(unique=True, max_length=64)
    kind: str = Field(default="pages", max_length=10)
    "`pages` (the cookie is the session) or `api` (the cookie only refreshes access tokens)."
    address: str = Field(default="", max_length=45)
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    seen_at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class AccessToken(SQLModel, table=True):
    """A short-lived bearer token of an `api` session."""

    id: int | None = Field(default=None, primary_key=True)
    session_id: int = Field(foreign_key="session.id", ondelete="CASCADE", index=True)
    secret_hash: str = Field(unique=True, max_length=64)
    expires_at: datetime


class Installation(SQLModel, table=True):
    """Facts about this installation, one row per name."""

    name: str = Field(primary_key=True, max_length=40)
    value: str
