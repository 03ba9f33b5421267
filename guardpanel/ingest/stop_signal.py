"""How the ingest is told to stop: TERM and INT are waited for instead of handled.

A handler runs in the middle of anything. Setting a threading.Event in one deadlocks if the same thread is within `wait`, which
holds the event's lock.
"""

import signal
from typing import Protocol

SIGNALS = {signal.SIGTERM, signal.SIGINT}


class StopEvent(Protocol):
    """threading.Event implements it, too."""

    def is_set(self) -> bool: ...

    def wait(self, seconds: float, /) -> bool: ...


class StopSignal:
    """Create it before any thread starts: threads inherit the blocked signals."""

    def __init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._was_received = False

    def is_set(self) -> bool:
        return self.wait(0)

    def wait(self, seconds: float, /) -> bool:
        """Wait for a stop signal or until the timeout. Returns whether one arrived."""
        self._was_received = self._was_received or signal.sigtimedwait(SIGNALS, seconds) is not None
        return self._was_received
