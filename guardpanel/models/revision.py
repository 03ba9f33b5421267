"""Revisions (what went live, by whom and why) and deployments (every attempt to go live)."""

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import JSON, CheckConstraint, LargeBinary
from sqlmodel import Field, SQLModel

from guardpanel.models.types import Notes, stored


class Outcome(StrEnum):
    DEPLOYING = "deploying"
    LIVE = "live"
    REJECTED = "rejected"
    "An engine rejected it. Nothing was saved."
    ROLLED_BACK = "rolled_back"
    "It could not be verified. The previous revision is live again, and nothing was saved."
    FAILED = "failed"
    "Neither it nor the previous revision could be verified."


class NoteFields(SQLModel):
    """Why a change was made, as the operator wrote it."""

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
    """An attempt to go live, with its outcome and the duration of each step. A rejected one has no revision."""

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
    "The noun that it changed: `virtual_host`, `policy` or none."
    noun_id: int | None = None
    touched: list[str] = Field(default_factory=list, sa_type=JSON)
    "Everything that it changed, if that may be more than one row: `virtual_host:17`."
    steps: list[dict[str, str | float | None]] = Field(default_factory=list, sa_type=JSON)
    "Name, seconds and error of each step, in order."
    applied_file: str = ""
    "Of a site file that was applied, its name."
    note: str = ""
    "The operator's note, if there is one."
    message: str = ""
    output: str = ""
    "The engine's full output."
    before: bytes | None = Field(default=None, sa_type=LargeBinary)
    "The rows before it, while the outcome is open: a rollback restores them, even after a crash."
    snapshot: bytes | None = Field(default=None, sa_type=LargeBinary)
    "The rows after it, or those that a rejected change would have made, if no revision of its own stores them."
    started_at: datetime = Field(default_factory=lambda: datetime.now(UTC), index=True)
    seconds: float = 0.0
