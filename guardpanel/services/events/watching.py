"""Checks in the background whether events are recorded, so that every page, /readyz and the live line can report it.

An ingest that is only behind is not reported there: it reads what it can, and *System*, *Events* and /metrics show its delay.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from guardpanel.background import Background
from guardpanel.services.events import state
from guardpanel.services.saving.watch import Watch

Ask = Callable[[], Awaitable[Mapping[str, Any] | None]]

EVERY_SECONDS = 2.0
"Seconds between two looks."

PATIENCE_SECONDS = 10.0
"Seconds for an ingest to appear: it starts together with the panel, and is restarted when it exits."


class IngestWatch:
    """Writes to `watch` what prevents events from being recorded."""

    def __init__(self, watch: Watch, ask: Ask) -> None:
        self.watch = watch
        self.ask = ask
        self._there = watch.clock()
        "When it last responded. Before that, when the panel started."

    def follow(self, background: Background) -> None:
        """Runs as long as the panel."""
        background.keep("event ingest check", self.look, EVERY_SECONDS)

    async def look(self) -> None:
        reported, now = await self.ask(), self.watch.clock()
        if reported is not None:
            self._there = now
        if reported is not None or now - self._there > PATIENCE_SECONDS:
            self.watch.ingest = state.fault(reported)
