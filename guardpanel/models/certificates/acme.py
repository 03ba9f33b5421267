"""Orders of certificates, and what is known of authorities. None of it is configuration: no snapshot has it, and no backup.

Rows name their certificate without a foreign key: a restore deletes and inserts certificates.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel


def _now() -> datetime:
    return datetime.now(UTC)


class AcmeKey(SQLModel, table=True):
    """The account key, for all authorities: one for each master key that the panel was started with. None replaces another, so
    that a start with the wrong master key loses no account."""

    id: int | None = Field(default=None, primary_key=True)
    master_key: str = Field(default="", max_length=16, unique=True)
    "Which master key opens it, as `Seal.key_id`. Empty for the one from before this was noted."
    sealed_key: bytes = b""
    "PEM."

    @property
    def place(self) -> str:
        return f"acme_key:{self.id}"


class AcmeAccount(SQLModel, table=True):
    """An account at an authority. It belongs to the installation's key, so another key needs another one. Only one that was
    registered anew has a key of its own."""

    id: int | None = Field(default=None, primary_key=True)
    authority: str = Field(max_length=500, index=True)
    "The directory's URL."
    thumbprint: str = Field(max_length=43)
    "Of its key."
    sealed_key: bytes | None = None
    "PEM. None: the installation's key is its."
    master_key: str = Field(default="", max_length=16)
    "Which master key opens its own key. Empty without one."
    retired_at: datetime | None = None
    "When another account took its place."
    url: str = ""
    "Empty until it is registered."
    contacts: list[str] | None = Field(default=None, sa_type=JSON)
    "Email addresses that the authority was last given. None: unknown."
    binding_key_id: str = ""
    sealed_binding_key: bytes | None = None
    "The external account's key. Deleted once it is registered."
    created_at: datetime = Field(default_factory=_now)

    @property
    def place(self) -> str:
        return f"acme_account:{self.id}"

    @property
    def key_place(self) -> str:
        return f"acme_account_key:{self.id}"


class AcmeOrder(SQLModel, table=True):
    """One attempt to get a certificate. Its columns are those of `guardpanel.acme.order.Order`, and its certificate's key."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    certificate_id: int = Field(index=True)
    authority: str = Field(max_length=500)
    names: list[str] = Field(sa_type=JSON)
    challenge: str = Field(max_length=20)
    profile: str = Field(default="", max_length=64)
    replaces: str = Field(default="", max_length=200)
    csr: bytes = b""
    sealed_key: bytes | None = None
    "PEM. Deleted once the certificate is served, or the order has failed."
    phase: str = Field(default="new", max_length=20)
    url: str = ""
    expires: datetime | None = None
    records: list[dict[str, str]] = Field(default_factory=list, sa_type=JSON)
    "TXT records that may exist."
    chain: str = ""
    fault: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    "The last one, as `guardpanel.acme.faults.Fault`."
    tries: int = 0
    "Consecutive steps that failed."
    next_step_at: datetime = Field(default_factory=_now)
    started_at: datetime = Field(default_factory=_now)
    ended_at: datetime | None = None
    is_asked_for: bool = False
    "By somebody who knows what preflight says."
    is_issued: bool = False
    "Served, and thereby over."
    is_rehearsal: bool = False
    "At staging: what it issues is not put into use."
    preferred_chain: str = Field(default="", max_length=100)

    @property
    def place(self) -> str:
        return f"acme_order:{self.id}"


class AcmeStep(SQLModel, table=True):
    """A line of an order's log."""

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="acmeorder.id", ondelete="CASCADE", index=True)
    at: datetime = Field(default_factory=_now)
    words: str
    detail: str = ""
    "The authority's own words."
    is_bad: bool = False


class AcmePlan(SQLModel, table=True):
    """When a certificate is ordered next."""

    certificate_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    certificate_version: int = 0
    fingerprint: str = ""
    "Of the content for which it was made."
    due_at: datetime | None = None
    "None: not before somebody asks for it, or changes the certificate."
    why: str = ""
    "In words."
    explanation: str = ""
    "The authority's page about its suggestion (RFC 9773). Empty: none."
    has_window: bool = False
    "The authority suggests when to renew."
    ask_again_at: datetime | None = None
    failures: int = 0
    "Consecutive failed orders."
    authority: str = Field(default="", max_length=500)
    "Which one of the certificate's is asked next. Empty: the first."
    authority_failures: int = 0
    "Consecutive failed orders there."
    is_rehearsal: bool = False
    "Its staging is asked before."
    issued_by: str = Field(default="", max_length=500)
    "Which authority issued the content. Empty: it is not known."
