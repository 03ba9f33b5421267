"""Queries of the event database."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from guardpanel.database import Database
from guardpanel.errors import StorageFailed
from guardpanel.events import schema
from guardpanel.events.busiest import Kind
from guardpanel.events.grouping import GroupKey
from guardpanel.services.events import (
    busiest,
    excluded,
    fired,
    groups,
    naming,
    paging,
    passing,
    rates,
    recent_requests,
    recorded,
    scan,
    state,
    strikes,
    traffic,
    unblocked,
    uses,
    visitors,
)
from guardpanel.services.events.busiest import LISTED, Busiest
from guardpanel.services.events.connections import Connections
from guardpanel.services.events.details import EventDetail, detail
from guardpanel.services.events.excluded import Attacks, Watched
from guardpanel.services.events.filters import EventFilter
from guardpanel.services.events.fired import NEVER, Fired
from guardpanel.services.events.following import Following
from guardpanel.services.events.groups import FoundGroups
from guardpanel.services.events.items import EventItem, EventPage, NumberedPage
from guardpanel.services.events.passing import Passing
from guardpanel.services.events.rates import VisitorRates
from guardpanel.services.events.recent_requests import RecentRequests
from guardpanel.services.events.recorded import Kept
from guardpanel.services.events.state import IngestState
from guardpanel.services.events.traffic import Traffic
from guardpanel.services.events.unblocked import Expectation, Unblocked
from guardpanel.services.events.uses import NOT_COUNTED, Use, Uses
from guardpanel.services.events.visitors import Visitor
from guardpanel.settings import Settings

T = TypeVar("T")

LARGEST_PAGE = 500


class Events:
    """Close it with the panel. A missing database means that there are no events."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self._connections = Connections(settings.events_database)

    async def page(self, filters: EventFilter, *, cursor: str | None = None, limit: int = 50) -> EventPage:
        """The newest matching events, or those next to a page's cursor. Raises Invalid with the field of an invalid value."""
        limit = max(1, min(limit, LARGEST_PAGE))
        result = await self._read(lambda connection: paging.page(connection, filters, cursor, limit), paging.NOTHING)
        return EventPage(
            items=await self._named(result),
            next_cursor=f"before-{result.rows[-1][0]}" if result.rows and result.older else None,
            previous_cursor=f"after-{result.rows[0][0]}" if result.rows and result.newer else None,
            count=result.count,
            count_is_exact=result.exact,
            stopped=scan.TOO_SLOW if result.stopped else None,
        )

    async def numbered(self, filters: EventFilter, *, offset: int, limit: int) -> NumberedPage:
        """The newest matches from `offset` on: the further back, the slower."""
        result = await self._read(
            lambda connection: paging.numbered(connection, filters, offset, limit), paging.NOTHING
        )
        return NumberedPage(await self._named(result), result.count, result.exact and not result.stopped)

    async def follow(self, following: Following) -> list[EventItem]:
        """What has arrived or changed since the last call, oldest first."""
        version = self._connections.version()
        if version == following.version:
            return []
        rows = await self._read(following.look, paging.NOTHING)
        following.version = None if rows.stopped else version
        return await self._named(rows)

    async def count(self, filters: EventFilter) -> tuple[int, bool]:
        """The number of matches, up to a limit and for a limited time, and whether it is exact."""
        return await self._read(lambda connection: paging.count(connection, filters), (0, True))

    async def several(self, request_ids: Sequence[str]) -> dict[str, EventDetail]:
        """All details of these requests' events, by request id."""
        nothing: list[paging.StoredEvent] = []
        events = await self._read(lambda connection: paging.several(connection, request_ids), nothing)
        async with self.database.read() as session:
            messages = {event: words for stored in events for event, words in stored.messages.items()}
            items = await naming.items(session, [stored.row for stored in events], messages)
        details = [
            detail(item, stored.agent_line, stored.proxy_line) for item, stored in zip(items, events, strict=True)
        ]
        return {event.item.request_id: event for event in details}

    async def struck(self, count: strikes.Count) -> strikes.Struck:
        """Clients whose requests were rejected."""
        return await self._read(count, strikes.NOBODY)

    async def groups(self, filters: EventFilter) -> FoundGroups:
        """Which groups there are among the newest events that match. Invalid names a field that cannot be meant."""
        return await self._read(lambda connection: groups.find(connection, filters), groups.NOTHING)

    async def of_group(self, group: str, limit: int) -> dict[str, EventDetail]:
        """All details of a group's newest events, by request id. Empty if this is not the key of a group."""
        key = GroupKey.read(group)
        if key is None:
            return {}
        in_group = EventFilter(group=key)
        matching = await self._read(lambda connection: paging.page(connection, in_group, None, limit), paging.NOTHING)
        return await self.several([row[1] for row in matching.rows])

    async def find(self, request_id: str) -> EventDetail | None:
        """All details of a request's event. None if there is none, or if it was deleted."""
        stored = await self._read(lambda connection: paging.find(connection, request_id), None)
        if stored is None:
            return None
        async with self.database.read() as session:
            (item,) = await naming.items(session, [stored.row], stored.messages)
        return detail(item, stored.agent_line, stored.proxy_line)

    async def pasted(self, text: str) -> EventDetail | None:
        """The same for a pasted id: with blanks, or in capitals."""
        request_id = "".join(text.split())
        return await self.find(request_id) or await self.find(request_id.lower())

    async def fired(self, rule: int, now: datetime) -> Fired:
        """How often a rule fired in the last 24 hours and 7 days, and on which virtual hosts."""
        counts = await self._read(lambda connection: fired.fired(connection, rule, now), NEVER)
        async with self.database.read() as session:
            names = await naming.virtual_hosts(session, {host.virtual_host_id for host in counts.hosts})
        hosts = (replace(host, virtual_host=names.get(host.virtual_host_id)) for host in counts.hosts)
        return replace(counts, hosts=tuple(hosts))

    async def fired_counts(self, rules: Sequence[int], now: datetime) -> Mapping[int, int]:
        """How often each fired in the last 24 hours, up to a limit."""
        nothing: Mapping[int, int] = dict.fromkeys(rules, 0)
        return await self._read(lambda connection: fired.counts(connection, rules, now), nothing)

    async def on_excluded(self, watched: Sequence[Watched], now: datetime) -> Mapping[int, Attacks]:
        """Which rules fired on what exclusions exclude, by the exclusion's id."""
        return await self._read(lambda connection: excluded.attacks(connection, watched, now), {})

    async def fields_that_pass(self, hosts: Sequence[str]) -> Passing:
        """The fields of the newest recorded ordinary requests of these hosts."""
        return await self._read(lambda connection: passing.fields_that_pass(connection, hosts), {})

    async def visitors(self, since: datetime) -> Sequence[Visitor]:
        """Clients of events since then."""
        return await self._read(lambda connection: visitors.visitors(connection, since), ())

    async def recorded_hosts(self) -> list[str]:
        """Hosts of which ordinary requests are recorded."""
        return await self._read(recorded.hosts, [])

    async def recorded(self, hosts: Sequence[str], limit: int, before: int = 0) -> Kept:
        """The recorded ordinary requests of these hosts, newest first. `before`: those older than the one of this id."""
        return await self._read(lambda connection: recorded.kept(connection, hosts, limit, before), recorded.NOTHING)

    async def forget_recorded(self, hosts: Sequence[str], names: Sequence[str], client_key: str | None = None) -> int:
        """Deletes those of these hosts, or among them those of one client; gives how many. What is not ingested yet of `names`,
        hostnames and wildcards, never will be. Raises StorageFailed."""
        return await asyncio.to_thread(self._forget, hosts, names, client_key)

    def _forget(self, hosts: Sequence[str], names: Sequence[str], client_key: str | None) -> int:
        if not self.settings.events_database.exists():
            return 0
        try:
            with closing(schema.open_to_forget(self.settings.events_database)) as connection:
                return recorded.forget(connection, hosts, names, client_key, datetime.now(UTC))
        except sqlite3.Error as error:
            raise StorageFailed(f"Recorded requests can’t be deleted: {error}.") from error

    async def unblocked(self, expected: Mapping[str, Expectation], since: datetime) -> Unblocked | None:
        """The newest request that should have been blocked and was not. `expected`: by application."""
        nothing: Unblocked | None = None
        return await self._read(lambda connection: unblocked.unblocked(connection, expected, since), nothing)

    async def uses(self, now: datetime) -> Uses:
        """How many requests met the conditions of each exclusion."""
        return await self._read(lambda connection: uses.uses(connection, now), NOT_COUNTED)

    async def uses_of_rules(self, wanted: Sequence[tuple[int, int, int]], now: datetime) -> Mapping[int, Use]:
        """Requests that fired a rule in a policy, by a key: `wanted` has keys, rules, and policies."""
        return await self._read(lambda connection: uses.of_rules(connection, wanted, now), {}) if wanted else {}

    async def traffic(self, host: int, since: datetime, now: datetime) -> Traffic:
        """A virtual host's requests over time, or those of all together (traffic.ALL)."""
        counted = await self._read(lambda connection: traffic.traffic(connection, host, since, now), None)
        return counted or traffic.nothing(since, now)

    async def busiest(self, kind: Kind, host: int, since: datetime, now: datetime, limit: int = LISTED) -> Busiest:
        """Its paths or clients with most requests."""
        first = busiest.since_when(since, now)
        listed = await self._read(lambda connection: busiest.busiest(connection, kind, host, first, limit), None)
        return listed or busiest.nothing(first)

    async def visitor_rates(self, policy_id: int, now: datetime) -> VisitorRates:
        """How many requests a policy's visitors sent within a time."""
        return await self._read(lambda connection: rates.visitor_rates(connection, policy_id, now), VisitorRates())

    async def ingest_state(self) -> IngestState:
        """The state of the ingest. Raises nothing."""
        try:
            known = await self._read(state.kept, state.NOTHING_KEPT)
        except StorageFailed as error:
            return await state.of(self.settings, state.NOTHING_KEPT, error.message)
        return await state.of(self.settings, known)

    async def recent_requests(self) -> RecentRequests:
        """Where recent requests came from. Raises nothing."""
        return await recent_requests.ask(self.settings)

    async def close(self) -> None:
        await self._connections.close()

    async def _named(self, result: paging.EventRows) -> list[EventItem]:
        async with self.database.read() as session:
            return await naming.items(session, result.rows, result.messages)

    async def _read(self, ask: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        return await self._connections.read(ask, nothing)
