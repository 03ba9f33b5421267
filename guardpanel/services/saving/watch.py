"""What the last look at database, disk and engines found, and its age. The reconciler writes it, saves and pages read it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

from guardpanel.engines import Drift

OLD = 10.0
"Seconds after which a look is outdated: looks are some two seconds apart."


@dataclass
class Watch:
    clock: Callable[[], float] = field(default=monotonic, repr=False)
    "Monotonic seconds."
    drift: tuple[Drift, ...] = ()
    since: datetime | None = None
    "When that drift was first seen."
    checked_at: datetime | None = None
    "When everything was last verified."
    storage: str = ""
    "What is wrong with the disk."
    names: str = ""
    "Why HAProxy does not have the current addresses of servers' names."
    ingest: str = ""
    "Why no events are recorded."
    blocking: str = ""
    "Which request reached a policy's threshold and was not blocked."
    keys: str = ""
    "Why private keys of certificates can't be used."
    panel_certificate: str = ""
    "What is wrong with the certificate of the panel's own listener."
    has_looked: bool = False
    "Whether a look was ever conclusive."
    _since: float = field(init=False, repr=False)
    "The time of the last conclusive look. Before the first, of the start."

    def __post_init__(self) -> None:
        self._since = self.clock()

    @property
    def age(self) -> float:
        """Seconds since the last conclusive look."""
        return self.clock() - self._since

    @property
    def is_old(self) -> bool:
        """Evaluated when it is shown: a look that hangs cannot report itself."""
        return self.age > OLD

    @property
    def how_long(self) -> str:
        """How long nothing was verified: `for 12 s`, `for 3 min`, `for 2 h`."""
        if self.age < 120:
            return f"for {self.age:.0f} s"
        return f"for {self.age // 60:.0f} min" if self.age < 7200 else f"for {self.age // 3600:.0f} h"

    def record(self, drift: tuple[Drift, ...], *, all_answered: bool = True) -> None:
        """Record a look. Without drift, everything is fine only if all engines responded."""
        now = datetime.now(UTC)
        if drift or all_answered:
            self._since, self.has_looked = self.clock(), True
        if not drift and all_answered:
            self.checked_at = now
        self.since = (self.since or now) if drift else None
        self.drift = drift

    def proved(self) -> None:
        """A deployment was just verified: earlier findings are obsolete."""
        self.record(())
