"""The version and dates that the rows of every noun have."""

from datetime import UTC, datetime

from sqlmodel import Field, SQLModel


def _now() -> datetime:
    return datetime.now(UTC)


class VersionedRow(SQLModel):
    """`version` counts a row's edits. A form or an If-Match that names an older one is stale."""

    version: int = 1
    created_at: datetime = Field(default_factory=_now)
    updated_at: datetime = Field(default_factory=_now)

    def touch(self, version: int) -> None:
        """Count one more edit. Forms opened before it are stale from now on."""
        self.version, self.updated_at = version, _now()
