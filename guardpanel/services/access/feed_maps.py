"""Maps of lists that something fills: in a file outside the releases first, which HAProxy reads at each start, then in the
running HAProxy, which is asked whether it has them.

A look costs the same however long a list is: only what was written is read, and of it HAProxy is asked for some addresses.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import islice

from guardpanel.access import contents
from guardpanel.access.entries import Entries
from guardpanel.access.spans import span
from guardpanel.engines.haproxy.map_commands import Line
from guardpanel.engines.runtime.outside_map import SOME, OutsideMaps, existing
from guardpanel.engines.runtime.swapping import NotSwapped
from guardpanel.errors import EngineUnavailable, StorageFailed

log = logging.getLogger(__name__)

Current = Callable[[], Awaitable[Entries]]
"Reads what applies."

SAMPLES = 500
"Addresses of a list, spread over it, that HAProxy is asked for in turns."


@dataclass
class Written:
    """What a list's file has."""

    digest: str
    total: int
    samples: Mapping[str, Line]
    writes: int
    "Of the file until then: a save writes it, too (`begin`)."
    is_told: bool = False
    "HAProxy has confirmed that it has it."
    at: int = 0
    "Of the sample that is asked for next."

    def some(self) -> Mapping[str, Line]:
        chosen = dict(islice(self.samples.items(), self.at, self.at + SOME))
        self.at = self.at + SOME if self.at + SOME < len(self.samples) else 0
        return chosen


class FeedMaps:
    def __init__(self, maps: OutsideMaps) -> None:
        self._maps = maps
        self._one: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        "By list: to change a long one takes seconds, for which no other waits."
        self._written: dict[int, Written] = {}

    async def open(self, list_id: int, current: Current) -> None:
        """Before HAProxy starts: it reads the file. Raises StorageFailed (507)."""
        await asyncio.to_thread(existing, self._maps.of(list_id).path)
        async with self._one[list_id]:
            await self._write(list_id, await current())
            self._written[list_id].is_told = True  # As far as is known: `mend` asks.

    async def apply(self, list_id: int, digest: str, current: Current) -> bool:
        """Make it so, unless it is. `digest`: of what `current` reads. Returns whether HAProxy has it. Raises StorageFailed
        (507)."""
        async with self._one[list_id]:
            written = self._written.get(list_id)
            if written is not None and (written.digest, written.writes) == (digest, self._maps.of(list_id).writes):
                return written.is_told or await self._tell(list_id, b"", await contents.map_of(await current()))
            entries = await current()
            return await self._tell(list_id, *await self._write(list_id, entries))

    async def mend(self, list_id: int, current: Current) -> None:
        """Tell HAProxy everything if it decides otherwise than what was written."""
        async with self._one[list_id]:
            written = self._written[list_id]
            try:
                if not await self._maps.of(list_id).decides_otherwise(written.total, written.some()):
                    return
            except EngineUnavailable as problem:
                log.debug("HAProxy does not answer for list %d: %s", list_id, problem.message)
                return
            entries = await current()
            if entries.reference.digest == written.digest:
                await self._tell(
                    list_id, b"", await contents.map_of(entries)
                )  # As if it had none: all of them are sent.

    async def _write(self, list_id: int, entries: Entries) -> tuple[bytes, bytes]:
        """What the file had, and has."""
        content, samples = await asyncio.to_thread(lambda: (entries.map, samples_of(entries)))
        try:
            before = await self._maps.of(list_id).write(content)
        except OSError as error:
            words = f"The list is stored, but its file could not be written: {error.strerror or error}."
            raise StorageFailed(f"{words} It is tried again every 10 s.") from error
        self._written[list_id] = Written(
            entries.reference.digest, len(entries.items), samples, self._maps.of(list_id).writes
        )
        return before, content

    async def _tell(self, list_id: int, before: bytes, after: bytes) -> bool:
        try:
            await self._maps.of(list_id).tell(before, after)
        except (EngineUnavailable, NotSwapped) as problem:
            log.debug("HAProxy does not have list %d as it was written: %s", list_id, problem.message)
            return False
        self._written[list_id].is_told = True
        return True


async def begin(maps: OutsideMaps, list_id: int, entries: Entries) -> None:
    """The file of a list that something fills from the next save on: HAProxy reads it then. Raises StorageFailed (507)."""
    content = await contents.map_of(entries)
    try:
        await maps.of(list_id).write(content)
    except OSError as error:
        raise StorageFailed(f"The list’s file could not be written: {error.strerror or error}.") from error


def samples_of(entries: Entries) -> Mapping[str, Line]:
    """Addresses with the entry that decides about each: of those that begin there, the narrowest, which comes last."""
    items = entries.items
    samples: dict[str, Line] = {}
    for at in range(0, len(items), max(1, len(items) // SAMPLES)):
        first = span(items[at].network).first
        while at + 1 < len(items) and span(items[at + 1].network).first == first:
            at += 1  # noqa: PLW2901 the last that begins here
        samples[items[at].network.partition("/")[0]] = items[at].network, str(items[at].end)
    return samples
