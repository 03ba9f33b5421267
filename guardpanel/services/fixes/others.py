"""Other requests of the virtual host under a fix: whether it blocks an ordinary one, and which blocked ones pass, too.

Ordinary ones are those that the agent recorded, with other values of the same shape. Blocked ones are events of other groups.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guardpanel.database import Database
from guardpanel.engines.waf.replaying import Replayed
from guardpanel.models import VirtualHost
from guardpanel.services.events import EventDetail, EventFilter, EventItem, Events
from guardpanel.services.events.grouping import key_of
from guardpanel.services.events.recorded import RecordedRequest, Tally, hosts_of
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.requests import request_of

MOST_ORDINARY = 1_000
MOST_EVENTS = 200
"The newest of each."


@dataclass(frozen=True)
class Others:
    """`unfaithful` ones count neither way: under the current rules, the agent does not judge them as it did the real request."""

    ordinary: int
    "Recorded ordinary requests that were tried."
    unfaithful: int
    newly_blocked: tuple[RecordedRequest, ...]
    "Of the ordinary ones, displayable."
    events: int
    "Events of other groups that were tried."
    unfaithful_events: int
    newly_passing: tuple[EventItem, ...]
    "Of those events."

    @property
    def faithful(self) -> int:
        return self.ordinary - self.unfaithful


class OthersTrial:
    """They are counted as the agent answers: ordinary ones first."""

    def __init__(
        self, ordinary: Sequence[RecordedRequest], events: Sequence[tuple[EventItem, Mapping[str, Any]]]
    ) -> None:
        self.questions = [*(request.as_asked for request in ordinary), *(question for _, question in events)]
        self._ordinary, self._events = ordinary, [item for item, _ in events]
        self._count, self._tally = 0, Tally()
        self._unfaithful_events = 0
        self._passing: list[EventItem] = []

    @classmethod
    async def of(cls, database: Database, events: Events, case: Case) -> "OthersTrial":
        async with database.read() as session:
            host = await session.get(VirtualHost, case.virtual_host.id)
            recorded = await hosts_of(session, host, await events.recorded_hosts()) if host else []
        kept = await events.recorded(recorded, MOST_ORDINARY)
        similar = await events.page(EventFilter(virtual_host_id=case.virtual_host.id), limit=MOST_EVENTS)
        details = await events.several([item.request_id for item in similar.items if item.rules])
        return cls(kept.newest, await asyncio.to_thread(_asked, list(details.values()), key_of(case.event)))

    def add(self, answer: Replayed) -> None:
        at, self._count = self._count, self._count + 1
        if at < len(self._ordinary):
            self._tally.add(at, answer)
        elif not answer.verdicts or answer.verdicts[0].passes:
            self._unfaithful_events += 1
        elif answer.verdicts[-1].passes:
            self._passing.append(self._events[at - len(self._ordinary)])

    @property
    def result(self) -> Others:
        return Others(
            ordinary=len(self._ordinary),
            unfaithful=self._tally.unfaithful,
            newly_blocked=tuple(self._ordinary[at].displayable for at in self._tally.newly_blocked),
            events=len(self._events),
            unfaithful_events=self._unfaithful_events,
            newly_passing=tuple(self._passing),
        )


def _asked(events: Sequence[EventDetail], group: str) -> list[tuple[EventItem, Mapping[str, Any]]]:
    """Those of other groups, as the agent is asked."""
    return [
        (event.item, request_of(event.agent_line).question())
        for event in events
        if event.agent_line and key_of(event) != group
    ]
