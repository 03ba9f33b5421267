"""Waiting for an engine that may be slow: on a busy machine a save takes longer, and does not fail for that."""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from time import monotonic

LONGEST = 120.0
"Seconds after which even an engine that is at work is waited for no longer."

LOOKS = 8
"At the processes, in the seconds in which they may do nothing."

Processes = Callable[[], Collection[int]]
"Whose work is waited for, by pid."


class Patience:
    """Until the processes have done nothing for `seconds`.

    At work is who runs or waits for the processor (state R) or the disk (D), and who has used the processor since the last
    look (proc(5)). Who hangs, is stopped or is gone is not. `LONGEST` bounds it all.
    """

    def __init__(self, seconds: float, processes: Processes) -> None:
        self.seconds = seconds
        self._processes = processes
        self._began = self._worked = self._looked = monotonic()
        self._used = self._look()[1]

    @property
    def is_over(self) -> bool:
        now = monotonic()
        if now - self._looked >= self.seconds / LOOKS:
            self._looked = now
            waits, used = self._look()
            if waits or any(ticks > self._used.get(pid, 0) for pid, ticks in used.items()):
                self._worked = now
            self._used = used
        return now - self._worked >= self.seconds or now - self._began >= LONGEST

    @property
    def had_its_seconds(self) -> bool:
        """For what is known to be otherwise, and not only slow."""
        return monotonic() - self._began >= self.seconds

    def _look(self) -> tuple[bool, dict[int, int]]:
        """Whether any of them runs or waits to, and the processor's time (clock ticks) that each has used."""
        waits, used = False, {}
        for pid in self._processes():
            with suppress(OSError, IndexError, ValueError):
                state, ticks = _stat(pid)
                waits |= state in "RD"
                used[pid] = ticks
        return waits, used


def _stat(pid: int) -> tuple[str, int]:
    """State, and clock ticks in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return fields[0], int(fields[11]) + int(fields[12])
