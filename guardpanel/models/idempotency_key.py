"""Keys of requests that clients may repeat, with the answers that they got."""

from datetime import UTC, datetime

from sqlalchemy import JSON, LargeBinary
from sqlmodel import Field, SQLModel


class IdempotencyKey(SQLModel, table=True):
    """Operational state: no revision and no backup has it."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    digest: str = Field(unique=True, max_length=64)
    "Of the key and who sent it. Of a job without a key, `job-` and chance."
    content: str = Field(max_length=64)
    "Digest of the rest of the request."
    change_id: int | None = None
    "The attempt that it made, set in its transaction."
    status: int | None = None
    "Of the answer. None: it is in progress, or the panel was killed."
    headers: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
    "None: it was too large."
    job_of: str = Field(default="", max_length=255)
    "Who sent it, if it is a job: carried out after its response."
    job_request: str = Field(default="", max_length=500)
    "Its method and path: `PUT /api/v1/address-lists/7/entries`."
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC), index=True)
