"""What is known of data about addresses besides the data: who uploaded it, or what became of the last download.

It is in a file next to the data, in no backup and no revision, as the data is.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ValidationError

from guardpanel.access.downloading import NO_MARKS, Marks
from guardpanel.clock import has_come
from guardpanel.engines.files import write_atomically
from guardpanel.models.access.feed import STALE_AFTER
from guardpanel.services.access.feed_states import wait_after

Stamp = tuple[int, int]
"A file's size and time of change, in ns: another stamp is another file."


class GeoState(BaseModel):
    stamp: Stamp | None = None
    "Of the file that the settings name, if it is in use."
    url: str = ""
    "Of the last download, well or not. Empty: there was none since the data came in another way."
    etag: str = ""
    last_modified: str = ""
    tried_at: datetime | None = None
    checked_at: datetime | None = None
    "When a download from the URL, or the answer that nothing changed, was last good."
    failures: int = 0
    "In a row."
    problem: str = ""
    "Why the last download was not used. A sentence."
    has_shrunk: bool = False
    "It was not used because it has less than half of the networks."
    uploaded_by: str = ""
    "Empty: what is in use was not uploaded."
    uploaded_at: datetime | None = None

    @classmethod
    def read(cls, path: Path) -> "GeoState":
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return cls()

    def write(self, path: Path) -> None:
        write_atomically(path, self.model_dump_json().encode())

    def marks(self, url: str) -> Marks:
        """To ask whether the last answer still holds. Not after failures, since what was wrong with it may have been here."""
        return Marks(self.etag, self.last_modified) if self.url == url and not self.failures else NO_MARKS

    def due_at(self, url: str, interval: timedelta) -> datetime | None:
        """None: now."""
        if self.tried_at is None or self.url != url:
            return None
        return self.tried_at + wait_after(self.failures, interval)

    def is_due(self, url: str, interval: timedelta) -> bool:
        return has_come(self.due_at(url, interval), self.tried_at, datetime.now(UTC))

    def is_stale(self, interval: timedelta, now: datetime) -> bool:
        if self.checked_at is None:
            return self.failures > 0
        return now - self.checked_at > interval * STALE_AFTER

    def after(self, url: str, marks: Marks | None) -> "GeoState":
        """After a good download. Marks are None if nothing had changed."""
        now = datetime.now(UTC)
        kept = marks or Marks(self.etag, self.last_modified)
        return GeoState(url=url, etag=kept.etag, last_modified=kept.last_modified, tried_at=now, checked_at=now)

    def after_failure(self, url: str, problem: str, *, has_shrunk: bool) -> "GeoState":
        before = self if self.url == url else GeoState(uploaded_by=self.uploaded_by, uploaded_at=self.uploaded_at)
        failed = {"tried_at": datetime.now(UTC), "failures": before.failures + 1, "problem": problem[:1000]}
        return before.model_copy(update={"url": url, "has_shrunk": has_shrunk, **failed})
