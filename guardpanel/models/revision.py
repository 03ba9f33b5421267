"""What was made live, by whom and why; and every attempt to make something live."""

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import JSON, CheckConstraint, LargeBinary
from sqlmodel import Field, SQLModel

from guardpanel.models.types import Notes, stored


class Outcome(StrEnum):
    DEPLOYING = "deploying"
    LIVE = "live"
    REJECTED = "rejected"
    "An engine's check refused it: nothing was saved."
    ROLLED_BACK = "rolled_back"
    "It could not be proved live; the one before it is live again, and nothing was saved."
    FAILED = "failed"
    "Neither it nor the one before it could be proved live."


class NoteFields(SQLModel):
    """Why a change was made, as an operator writes it."""

    note: Notes = ""


class Revision(SQLModel, table=True):
    """An immutable, numbered record of a bundle. `id` is its number and the name of its release directory."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    checksum: str = Field(index=True, max_length=64)
    snapshot: bytes = Field(sa_type=LargeBinary)
    "The rows of all configuration tables: JSON, zlib."
    author: str = Field(max_length=255)
    summary: str = Field(max_length=500)
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class Deployment(SQLModel, table=True):
    """One attempt, with its outcome and the seconds of each step. A rejected one has no revision."""

    __table_args__ = (
        CheckConstraint("outcome in ('deploying', 'live', 'rejected', 'rolled_back', 'failed')", name="outcome"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    revision_id: int | None = Field(default=None, foreign_key="revision.id", index=True)
    outcome: Outcome = Field(sa_type=stored(Outcome))
    author: str = Field(max_length=255)
    summary: str = Field(max_length=500)
    noun: str = Field(default="", max_length=40)
    "What it touched: `virtual_host`, `policy` or nothing."
    noun_id: int | None = None
    touched: list[str] = Field(default_factory=list, sa_type=JSON)
    "What else it touched, where that may be more: `virtual_host:17`."
    steps: list[dict[str, str | float | None]] = Field(default_factory=list, sa_type=JSON)
    "name, seconds and error of each step, in order."
    note: str = ""
    "Why, in a person's words; written afterwards if at all."
    message: str = ""
    output: str = ""
    "The engine's full words."
    before: bytes | None = Field(default=None, sa_type=LargeBinary)
    "The rows as they were, while the outcome is open: what a roll-back (also one after a crash) restores."
    snapshot: bytes | None = Field(default=None, sa_type=LargeBinary)
    "The rows after it, or what a refused one would have made of them, where no revision of its own keeps them."
    started_at: datetime = Field(default_factory=lambda: datetime.now(UTC), index=True)
    seconds: float = 0.0
