"""What a download would do before it applies: whom of the last week's visitors a list contains."""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access import contents
from guardpanel.access.entries import Entries
from guardpanel.access.spans import span
from guardpanel.events.busiest import Kind
from guardpanel.events.traffic import ALL
from guardpanel.models import AddressList, Feed
from guardpanel.models.access.address_list import ListKind
from guardpanel.services.access.lockout import doors, locked_out, shut_out
from guardpanel.services.events import Events
from guardpanel.services.events.busiest import Busy
from guardpanel.services.events.visitors import Visitor
from guardpanel.services.saving.changes import Changes

PERIOD = timedelta(days=7)

MOST_BUSY = 1_000
"Of the clients with most requests, which are about 40 an hour."


@dataclass(frozen=True)
class Trial:
    clients: int
    "With events in the last week."
    contained: Sequence[Visitor]
    "Those of them in the list, or, if it allows only some, not in it. Whoever was not rejected comes first."
    busy: int
    "Clients with most requests in the last week, with or without events."
    busy_contained: Sequence[Busy]
    "The same of these, most requests first. An IPv6 network is in it if a part is."
    warnings: Sequence[str] = ()
    "Who would lock themselves out, in sentences."

    @property
    def passed(self) -> int:
        """How many of the contained ones had requests that were not rejected."""
        return sum(visitor.passed > 0 for visitor in self.contained)


async def tried(
    changes: Changes, session: AsyncSession, events: Events, row: AddressList, feed: Feed, client: str
) -> Trial | None:
    """What waits. None if nothing does. `client`: the operator's address."""
    reference = feed.waiting_reference
    if reference is None:
        return None
    entries = await contents.read(session, reference.digest)
    now = datetime.now(UTC)
    visitors = await events.visitors(now - PERIOD)
    busiest = (await events.busiest(Kind.CLIENT, ALL, now - PERIOD, now, MOST_BUSY)).rows
    areas = await asyncio.to_thread(Areas, entries, now.timestamp())
    is_meant = row.kind is not ListKind.ONLY
    contained = [visitor for visitor in visitors if areas.touch(visitor.address) is is_meant]
    busy_contained = [client for client in busiest if areas.touch(client.name) is is_meant]
    warnings: Sequence[str] = ()
    open_doors = await doors(changes, session, client)
    if row.kind is ListKind.ONLY:
        warnings = list(filter(None, [await asyncio.to_thread(shut_out, open_doors, entries)]))
    elif row.kind is ListKind.DENY:
        networks = [entry.network for entry in entries.items]
        warnings = await asyncio.to_thread(locked_out, open_doors, networks)
    return Trial(len(visitors), contained, len(busiest), busy_contained, warnings)


class Areas:
    """What the entries contain that have not ended. They are in order of their first addresses: one touches a network if the
    furthest end of all that begin before the network ends is not before its beginning."""

    def __init__(self, entries: Entries, now: float) -> None:
        spans = [span(entry.network) for entry in entries.items if entry.end > now]
        self._firsts = [area.first for area in spans]
        self._furthest = [*accumulate((area.last for area in spans), max)]

    def touch(self, network: str) -> bool:
        place = span(network)
        before = bisect_right(self._firsts, place.last)
        return bool(before) and self._furthest[before - 1] >= place.first
