"""What a certificate consists of at a time: chain and sealed private key. Rows are only added, and never in snapshots: an old
key must not live on in revisions, and an undo must not bring back an expired certificate."""

from datetime import UTC, datetime

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
LOCAL_AUTHORITY = 0
"The `certificate_id` of the local certificate authority's own certificate."


class CertificateContent(SQLModel, table=True):
    """The newest one of a certificate that is not retired is served. `certificate_id` is no foreign key, so that an undone
    deletion finds its content again."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    certificate_id: int = Field(index=True)
    certificate_created_at: datetime
    "Of the certificate's row. With the id it tells certificates apart: a restored backup may give its ids to others."
    certificate_version: int
    "The version of the certificate's row that it came with. If that edit is rolled back, so is this."
    source: str = Field(max_length=20)
    "How it came about, a `Source`."
    chain: str
    "PEM: the certificate, then its intermediates."
    sealed_key: bytes | None = None
    "PEM, sealed as `place`. None: wiped, or not part of a restored backup."
    key_type: str = Field(max_length=40)
    fingerprint: str = Field(max_length=64)
    "SHA-256 of the certificate, in hexadecimal."
    serial: str = Field(max_length=80)
    names: list[str] = Field(sa_type=JSON)
    not_before: datetime
    not_after: datetime
    issuer: str = Field(max_length=300)
    notices: list[str] = Field(default_factory=list, sa_type=JSON)
    "What is remarkable about it, as sentences."
    added_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    retired_at: datetime | None = None
    revoked_at: datetime | None = None
    "Since when its authority declares it invalid."
    orphaned_at: datetime | None = None
    "Since when its certificate has been deleted."

    @property
    def has_key(self) -> bool:
        return self.sealed_key is not None

    @property
    def place(self) -> str:
        """What its key is bound to."""
        return f"certificate_content:{self.id}"
