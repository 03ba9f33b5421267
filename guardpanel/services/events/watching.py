"""Whether events are recorded: asked beside the pages, so that each page, /readyz and the live line can tell.

An ingest that only is behind is not told there: it reads what it can, and *System*, *Events* and /metrics have how far it is.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from guardpanel.background import Background
from guardpanel.services.events import state
from guardpanel.services.saving.watch import Watch

Ask = Callable[[], Awaitable[Mapping[str, Any] | None]]

EVERY = 2.0
"Seconds between two looks."

PATIENCE = 10.0
"Seconds for an ingest to be there: it starts beside the panel, and is started again where it ends."


class IngestWatch:
    """Writes into `watch` what keeps events from being recorded."""

    def __init__(self, watch: Watch, ask: Ask) -> None:
        self.watch = watch
        self.ask = ask
        self._there = watch.clock()
        "When it last answered; before that, when the panel started."

    def follow(self, background: Background) -> None:
        """For as long as the panel runs."""
        background.keep("event ingest check", self.look, EVERY)

    async def look(self) -> None:
        reported, now = await self.ask(), self.watch.clock()
        if reported is not None:
            self._there = now
        if reported is not None or now - self._there > PATIENCE:
            self.watch.ingest = state.fault(reported)
