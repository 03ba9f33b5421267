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
from guardpanel.models import AddressList, Feed
from guardpanel.models.access.address_list import ListKind
from guardpanel.services.access.lockout import doors, locked_out
from guardpanel.services.events import Events
from guardpanel.services.events.visitors import Visitor
from guardpanel.services.saving.changes import Changes

PERIOD = timedelta(days=7)


@dataclass(frozen=True)
class Trial:
    clients: int
    "With events in the last week."
    contained: Sequence[Visitor]
    "Those of them in the list. Whoever was not rejected comes first."
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
    contained = await asyncio.to_thread(contained_in, entries, visitors, now.timestamp())
    warnings: Sequence[str] = ()
    if row.kind is ListKind.DENY:
        open_doors = await doors(changes, session, client)
        networks = [entry.network for entry in entries.items]
        warnings = await asyncio.to_thread(locked_out, open_doors, networks)
    return Trial(len(visitors), contained, warnings)


def contained_in(entries: Entries, visitors: Sequence[Visitor], now: float) -> list[Visitor]:
    """Entries are in order of their first addresses: one contains an address if the furthest end of all that begin before it
    is behind it."""
    spans = [span(entry.network) for entry in entries.items if entry.end > now]
    firsts, furthest = [area.first for area in spans], [*accumulate((area.last for area in spans), max)]
    contained = []
    for visitor in visitors:
        place = span(visitor.address).first
        before = bisect_right(firsts, place)
        if before and furthest[before - 1] >= place:
            contained.append(visitor)
    return contained
