"""The other events of a group under a fix: whether it frees them, too."""

import asyncio
from dataclasses import dataclass

from guardpanel.engines.replaying import RuleSetChoice, replay
from guardpanel.services.events import Events
from guardpanel.services.events.grouping import key_of
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.ladder import Rung
from guardpanel.services.fixes.requests import Request, request_of
from guardpanel.services.saving.changes import Changes

MOST = 200
"Events of a group that are tried, the newest: judging one takes about a millisecond."


@dataclass(frozen=True)
class Siblings:
    tried: int
    passing: int
    incomplete: int
    "Of those tried, events whose request is masked or cut."

    @property
    def all_pass(self) -> bool:
        return self.passing == self.tried


async def siblings(changes: Changes, events: Events, case: Case, rung: Rung) -> Siblings:
    """Raises EngineUnavailable."""
    requests = await _others(events, case)
    if not requests:
        return Siblings(0, 0, 0)
    under = [RuleSetChoice(directives=case.ground.directives(rung.draft))]
    questions = [request.question() for request in requests]
    verdicts = [answer async for answer in replay(changes.engines.agent.control, under, questions)]
    passing = sum(bool(answer.verdicts) and answer.verdicts[0].passes for answer in verdicts)
    return Siblings(len(requests), passing, sum(bool(request.gaps) for request in requests))


async def _others(events: Events, case: Case) -> list[Request]:
    group = key_of(case.event)
    found = await events.of_group(group, MOST) if group else {}
    lines = [event.agent_line for key, event in found.items() if key != case.event.item.request_id]
    return await asyncio.to_thread(lambda: [request_of(line) for line in lines if line])
