"""The entries of address lists by their hash: stored once, and never changed. Rows and revisions name them."""

from datetime import UTC, datetime

from sqlmodel import Field, SQLModel


class AddressListContent(SQLModel, table=True):
    digest: str = Field(primary_key=True, max_length=64)
    "SHA-256 of the canonical text (access/entries.py), in hexadecimal."
    count: int
    since: str = Field(default="", max_length=64)
    "The hash of other contents, stored as a whole. `packed` has only what changed since. Empty: it has everything."
    packed: bytes
    "Canonical text, compressed with zlib. Of a network that is not in it any more, a line with the network alone."
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
