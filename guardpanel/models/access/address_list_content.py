"""The entries of address lists by their hash: stored once, and never changed. Rows and revisions name them."""

from datetime import UTC, datetime

from sqlmodel import Field, SQLModel


class AddressListContent(SQLModel, table=True):
    digest: str = Field(primary_key=True, max_length=64)
    "SHA-256 of the unpacked text, in hexadecimal."
    count: int
    packed: bytes
    "Canonical text (access/entries.py), compressed with zlib."
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
