"""The other events of a group under a fix: whether it frees them, too."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guardpanel.engines.waf.replaying import Replayed
from guardpanel.services.events import Events
from guardpanel.services.events.grouping import key_of
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.requests import request_of

MOST = 200
"Events of a group that are tried, the newest: evaluating one takes about a millisecond."


@dataclass(frozen=True)
class Siblings:
    tried: int
    passing: int
    incomplete: int
    "Of those tried, events whose request is masked or cut."

    @property
    def all_pass(self) -> bool:
        return self.passing == self.tried


class SiblingsTrial:
    """They are counted as the agent answers. None where rules about the response are fixed: events do not have that."""

    def __init__(self, questions: list[Mapping[str, Any]], incomplete: int) -> None:
        self.questions = questions
        self._incomplete = incomplete
        self._passing = 0

    @classmethod
    async def of(cls, events: Events, case: Case) -> "SiblingsTrial":
        group = "" if case.is_of_response else key_of(case.event)
        siblings = await events.of_group(group, MOST) if group else {}
        lines = [event.agent_line for key, event in siblings.items() if key != case.event.item.request_id]
        requests = await asyncio.to_thread(lambda: [request_of(line) for line in lines if line])
        return cls([request.question() for request in requests], sum(bool(request.gaps) for request in requests))

    def add(self, answer: Replayed) -> None:
        self._passing += bool(answer.verdicts) and answer.verdicts[-1].passes

    @property
    def result(self) -> Siblings:
        return Siblings(len(self.questions), self._passing, self._incomplete)
