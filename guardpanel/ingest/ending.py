"""How the ingest is told to end: TERM or INT, which are waited for instead of handled.

A handler runs in the midst of anything, and setting a threading.Event in one hangs for good where it comes while the same
thread is within `wait`, which holds the event's lock.
"""

import signal
from typing import Protocol

SIGNALS = {signal.SIGTERM, signal.SIGINT}


class Ending(Protocol):
    """A threading.Event is one, too."""

    def is_set(self) -> bool: ...

    def wait(self, seconds: float, /) -> bool: ...


class ToldToEnd:
    """Before any thread is begun: they have the signals blocked as this one has."""

    def __init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._told = False

    def is_set(self) -> bool:
        return self.wait(0)

    def wait(self, seconds: float, /) -> bool:
        """Until told, or so long; whether told."""
        self._told = self._told or signal.sigtimedwait(SIGNALS, seconds) is not None
        return self._told
