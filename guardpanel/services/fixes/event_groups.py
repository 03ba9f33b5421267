"""Groups of events with what there is to decide about them: whether they are an attack, and whether a change fixed them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Unpack

from guardpanel.database import Database
from guardpanel.events.grouping import GroupKey
from guardpanel.events.schema import time_of
from guardpanel.services.events import EventDetail, EventFilter, Events
from guardpanel.services.events.grouping import shape_of_event
from guardpanel.services.events.groups import MOST_GROUPS, FoundGroup
from guardpanel.services.events.passing import Passing, Place, count
from guardpanel.services.events.triage import Likelihood, Triage, judge, signals_of
from guardpanel.services.fixes import fixed
from guardpanel.services.fixes.fixed import Fix
from guardpanel.services.paging import Key, Page, Portion, cut

UNDER_WAY = timedelta(seconds=5)
"After a change: requests that were there before it are still answered as before."

ORDER = (Likelihood.FALSE_POSITIVE, Likelihood.UNCLEAR, Likelihood.ATTACK)


class GroupState(StrEnum):
    OPEN = "open"
    "Nothing fixed it, the fix was deleted, or it was blocked again."
    FIXED = "fixed"


@dataclass(frozen=True)
class EventGroup:
    """`newest` is its newest event, an example of all."""

    key: str
    newest: EventDetail
    path: str
    "A template."
    rules: tuple[int, ...]
    fields: tuple[str, ...]
    "`ARGS:items[*][name]`"
    requests: int
    "Those that match, among the newest events."
    visitors: int
    "Their addresses."
    blocked: int
    first: datetime
    last: datetime
    triage: Triage
    fix: Fix | None
    is_blocked_again: bool
    "After the fix."

    @property
    def state(self) -> GroupState:
        holds = self.fix and not self.fix.is_over and not self.is_blocked_again
        return GroupState.FIXED if holds else GroupState.OPEN


@dataclass(frozen=True)
class GroupPage(Page[EventGroup]):
    is_whole: bool = True
    "False: older events were not looked at, or there are more groups."
    is_stopped: bool = False


async def page(
    events: Events, database: Database, filters: EventFilter, *, state: GroupState | None, **portion: Unpack[Portion]
) -> GroupPage:
    """Open ones first, of these the ones that are probably no attack. Invalid names a field that cannot be meant."""
    of_events = await events.groups(filters)
    groups = [group for group in await _known(events, database, of_events.groups) if state in {None, group.state}]
    groups.sort(key=_rank)
    return GroupPage(**vars(cut(groups, _rank, **portion)), is_whole=of_events.is_whole, is_stopped=of_events.stopped)


async def likely_false_positives(events: Events, database: Database, now: datetime) -> list[EventGroup]:
    """Open groups of the last day that are probably no attack. Visitors wait for a decision about them."""
    filters = EventFilter(since=now - timedelta(days=1))
    groups = await page(events, database, filters, state=GroupState.OPEN, limit=MOST_GROUPS)
    return [group for group in groups.items if group.triage.likelihood is Likelihood.FALSE_POSITIVE]


async def find(events: Events, database: Database, key: str) -> EventGroup | None:
    """None where there are no such events, or no longer."""
    group = GroupKey.read(key)
    if group is None:
        return None
    groups = (await events.groups(EventFilter(group=group))).groups
    return next(iter(await _known(events, database, groups)), None)


def _rank(group: EventGroup) -> Key:
    return (
        int(group.state is GroupState.FIXED), ORDER.index(group.triage.likelihood), -group.triage.weight, -group.requests,
        group.key,
    )  # fmt: skip


async def _known(events: Events, database: Database, groups: Iterable[FoundGroup]) -> list[EventGroup]:
    by_request = {group.request_id: group for group in groups}
    details = await events.several(list(by_request))
    passing = await events.fields_that_pass(list(dict.fromkeys(event.item.host for event in details.values())))
    async with database.read() as session:
        fixes = await fixed.of_groups(session, [str(group.row.key) for group in by_request.values()])
    return [
        _group(group, details[request_id], fixes.get(str(group.row.key)), passing)
        for request_id, group in by_request.items()
        if request_id in details
    ]


def _group(group: FoundGroup, newest: EventDetail, fix: Fix | None, passing: Passing) -> EventGroup:
    row, shape = group.row, shape_of_event(newest)
    passed = count(passing, Place(newest.item.host, shape.method, shape.path), shape.cause.fields) if shape else 0
    last_blocked = time_of(row.last_blocked) if row.last_blocked else None
    return EventGroup(
        key=str(row.key),
        newest=newest,
        path=shape.path if shape else newest.item.path,
        rules=shape.cause.rules if shape else newest.item.rules,
        fields=shape.cause.fields if shape else (),
        requests=row.requests,
        visitors=row.visitors,
        blocked=row.blocked,
        first=time_of(row.first),
        last=time_of(row.last),
        triage=judge(signals_of(group, newest, passed)),
        fix=fix,
        is_blocked_again=bool(fix and last_blocked and last_blocked > fix.at + UNDER_WAY),
    )
