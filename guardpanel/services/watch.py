"""What the last look at database, disk and engines found. The reconciler writes it, saves and pages read it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from guardpanel.engines import Drift


@dataclass
class Watch:
    drift: tuple[Drift, ...] = ()
    since: datetime | None = None
    "When that drift was first seen."
    checked_at: datetime | None = None
    "When all was last found to be as it should."
    storage: str = ""
    "What is wrong with the disk, in words."

    def found(self, drift: tuple[Drift, ...], *, all_answered: bool = True) -> None:
        """What a look found. Only where everybody answered does nothing found mean that all is well."""
        now = datetime.now(UTC)
        if not drift and all_answered:
            self.checked_at = now
        self.since = (self.since or now) if drift else None
        self.drift = drift

    def proved(self) -> None:
        """A deployment was just proved live: nothing that was seen before counts any more."""
        self.found(())
