"""What came of the downloads of a client CA's revocation lists. It is no configuration: no snapshot has it.

A row names its client CA without a foreign key: a restore deletes and inserts them.
"""

from datetime import datetime, timedelta

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

INTERVAL = timedelta(hours=1)
"Between two downloads. Lists are mostly issued once a day, and in between when a key was lost."

FIRST_RETRY = timedelta(minutes=1)

STALE_AFTER = 3 * INTERVAL


class ListDownload(SQLModel, table=True):
    client_ca_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    client_ca_created_at: datetime
    "A restored backup may give a client CA the id of another one that was here."
    urls: list[str] = Field(sa_type=JSON)
    tried_at: datetime
    "When the last one began."
    good_at: datetime | None = None
    "When the last good one began."
    failures: int = 0
    "In a row."
    problem: str = Field(default="", max_length=5000)
    "Why the last one that ended failed."
    lists: str = ""
    "The client CA's lists after the last good one, PEM: no undo or restore brings older ones back for long."

    @property
    def due_at(self) -> datetime:
        """Soon after one that failed, or that a restart cut off."""
        retry = FIRST_RETRY * 2 ** min(max(self.failures - 1, 0), 10)
        return self.tried_at + (INTERVAL if self.good_at == self.tried_at else min(retry, INTERVAL))

    def is_stale(self, now: datetime) -> bool:
        return self.failures > 0 if self.good_at is None else now - self.good_at > STALE_AFTER
