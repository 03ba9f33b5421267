"""Open streams of the JSON API: how many an account may have, and their end with the panel."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from guardpanel.errors import TooManyAttempts

MOST = 8
"Of an account. Each one queries the databases."


class TooManyStreams(TooManyAttempts):
    code = "too_many_streams"


class Streams:
    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._ended = asyncio.Event()

    @contextmanager
    def opened(self, who: str) -> Iterator[None]:
        """Raises TooManyStreams (429)."""
        if self._open[who] >= MOST:
            raise TooManyStreams(f"{MOST} streams of this account are open. Close one of them first.", retry_after=60)
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1

    def end(self) -> None:
        """The panel is shutting down: its server waits until nothing is open."""
        self._ended.set()

    @property
    def have_ended(self) -> bool:
        return self._ended.is_set()

    async def pause(self, seconds: float) -> None:
        """Until the next look, or the end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
