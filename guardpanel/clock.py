"""What a system clock that is set may not do: ahead, make everything old at once; back, keep what is due from being done."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from time import CLOCK_BOOTTIME, clock_gettime, time

log = logging.getLogger(__name__)

JUMP = 3600.0
"Seconds by which the clock may be ahead of the time that really passed."

BELIEVED_AFTER = 24 * 3600.0
"Seconds after which a clock that stays ahead is trusted: it may have been wrong before."


def has_come(due: datetime | None, last: datetime | None, now: datetime) -> bool:
    """Whether it is time for what was done `last`: also after the clock was set back to before that."""
    return due is None or due <= now or (last is not None and last > now)


def since_boot() -> float:
    """Seconds that cannot be set, including suspended time (clock_gettime(2), CLOCK_BOOTTIME)."""
    return clock_gettime(CLOCK_BOOTTIME)


def ahead_of_boot() -> float:
    """Seconds that the time of day is ahead of the time since the boot. They change when the clock is set."""
    return time() - since_boot()


class SteadyClock:
    """The time of day. If it jumps ahead, the time that really passed, until the jump has lasted a day.

    A clock that is set back makes data younger, so that nothing is deleted too early: it is followed. Errors from before this
    process started cannot be detected.
    """

    def __init__(self, wall: Callable[[], float] = time, steady: Callable[[], float] = since_boot) -> None:
        self._wall, self._steady = wall, steady
        self._between = wall() - steady()
        self._doubted: tuple[float, float] | None = None
        "When the jump was first seen (steady clock), and its size. A further jump starts anew."

    def now(self) -> datetime:
        wall, steady = self._wall(), self._steady()
        ahead = wall - steady - self._between
        if ahead > JUMP and not self._is_believed(steady, ahead):
            return datetime.fromtimestamp(steady + self._between, UTC)
        self._between, self._doubted = wall - steady, None
        return datetime.fromtimestamp(wall, UTC)

    def _is_believed(self, steady: float, ahead: float) -> bool:
        if self._doubted is None or ahead > self._doubted[1] + JUMP:
            self._doubted = steady, ahead
            log.warning(
                "the clock jumped ahead by %.0f s; nothing is deleted for its age because of that for 24 h", ahead
            )
        return steady - self._doubted[0] >= BELIEVED_AFTER


AGES = SteadyClock()
"The clock of this process."
