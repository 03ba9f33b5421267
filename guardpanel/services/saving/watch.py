"""What the last look at database, disk and engines found, and how old that is. The reconciler writes it, saves and pages read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

from guardpanel.engines import Drift

OLD = 10.0
"Seconds after which what a look found says nothing of now: looks are some two seconds apart."


@dataclass
class Watch:
    clock: Callable[[], float] = field(default=monotonic, repr=False)
    "Seconds that no operator sets back."
    drift: tuple[Drift, ...] = ()
    since: datetime | None = None
    "When that drift was first seen."
    checked_at: datetime | None = None
    "When all was last found to be as it should."
    storage: str = ""
    "What is wrong with the disk, in words."
    names: str = ""
    "What keeps HAProxy from the addresses that names of servers have now, in words."
    ingest: str = ""
    "What keeps events from being recorded, in words."
    has_looked: bool = False
    "Whether a look has told how things are."
    _since: float = field(init=False, repr=False)
    "The moment of the last such look; before the first, of the start."

    def __post_init__(self) -> None:
        self._since = self.clock()

    @property
    def age(self) -> float:
        """Seconds since a look told how things are."""
        return self.clock() - self._since

    @property
    def is_old(self) -> bool:
        """Asked where it is shown: a look that never comes to an end cannot say so itself."""
        return self.age > OLD

    @property
    def how_long(self) -> str:
        """Since when nothing was verified: `for 12 s`, `for 3 min`, `for 2 h`."""
        if self.age < 120:
            return f"for {self.age:.0f} s"
        return f"for {self.age // 60:.0f} min" if self.age < 7200 else f"for {self.age // 3600:.0f} h"

    def record(self, drift: tuple[Drift, ...], *, all_answered: bool = True) -> None:
        """What a look found. Only where everybody answered does nothing found mean that all is well."""
        now = datetime.now(UTC)
        if drift or all_answered:
            self._since, self.has_looked = self.clock(), True
        if not drift and all_answered:
            self.checked_at = now
        self.since = (self.since or now) if drift else None
        self.drift = drift

    def proved(self) -> None:
        """A deployment was just proved live: nothing that was seen before counts any more."""
        self.record(())
