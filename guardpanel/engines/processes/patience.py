"""Waiting for an engine that may be slow: on a busy machine a save takes longer, but does not fail."""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from time import monotonic

LONGEST = 120.0
"Seconds after which even a working engine is no longer awaited."

LOOKS = 8
"Looks at the processes within the seconds for which they may be idle."

Processes = Callable[[], Collection[int]]
"The processes to wait for, by pid."


class Patience:
    """Wait until the processes have been idle for `seconds`.

    A process works if it runs or waits for the CPU (state R) or the disk (D), or has used CPU time since the last look (proc(5)).
    One that hangs, is stopped or is gone does not. `LONGEST` is the upper limit.
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
        """Whether the seconds are over, for an engine that is known to have failed rather than to be slow."""
        return monotonic() - self._began >= self.seconds

    def _look(self) -> tuple[bool, dict[int, int]]:
        """Whether any of them runs or is ready to, and the CPU time (clock ticks) that each has used."""
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
