"""What else a fix does, found by one replay: to events like this one, to other requests of the host, to attacks.

Everything is evaluated under the policy as it is and with the draft, on one connection: two rule sets are compiled, and whoever
ends the trial ends all of the agent's work.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol

from guardpanel.engines.waf.replaying import Replayed, RuleSetChoice
from guardpanel.errors import EngineUnavailable
from guardpanel.services.events import Events
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.drafts import Draft
from guardpanel.services.fixes.ladder import Ladder, Rung
from guardpanel.services.fixes.others import Others, OthersTrial
from guardpanel.services.fixes.proof import AttacksTrial, Tally
from guardpanel.services.fixes.siblings import Siblings, SiblingsTrial
from guardpanel.services.saving.changes import Changes

STEP = 50
"Requests after which progress is reported."


@dataclass(frozen=True)
class Findings:
    """None: not tried yet, or not at all if there is a `problem`."""

    siblings: Siblings | None = None
    others: Others | None = None
    attacks: tuple[Tally, ...] | None = None
    done: int = 0
    total: int = 0
    "Requests."
    is_waiting: bool = False
    "For other replays."
    problem: str = ""
    "Why the rest cannot be tried."

    @property
    def is_complete(self) -> bool:
        return bool(self.problem) or self.attacks is not None


class Part(Protocol):
    @property
    def questions(self) -> Sequence[Mapping[str, Any]]: ...

    def add(self, answer: Replayed) -> None: ...

    @property
    def result(self) -> Any: ...


async def run(changes: Changes, events: Events, case: Case, ladder: Ladder, rung: Rung) -> AsyncGenerator[Findings]:
    """Each is what is known so far. Close it to end the trial. An agent that cannot replay is a `problem` of the last one."""
    parts: dict[str, Part] = {
        "siblings": await SiblingsTrial.of(events, case),
        "others": await OthersTrial.of(changes.database, events, case),
        "attacks": AttacksTrial.of(case, ladder, rung),
    }
    total = sum(len(part.questions) for part in parts.values())
    findings = Findings(total=total, is_waiting=changes.engines.agent.replays.must_wait)
    yield findings
    under = [RuleSetChoice(directives=case.ground.directives(draft)) for draft in (Draft(), rung.draft)]
    questions = (question for part in parts.values() for question in part.questions)
    try:
        async with aclosing(changes.engines.agent.replay(under, questions)) as answers:
            for name, part in parts.items():
                for at in range(len(part.questions)):
                    part.add(await anext(answers))
                    findings = replace(findings, done=findings.done + 1, is_waiting=False)
                    if at % STEP == 0:
                        yield findings
                findings = replace(findings, **{name: part.result})
                yield findings
    except (EngineUnavailable, StopAsyncIteration) as error:
        words = error.message if isinstance(error, EngineUnavailable) else "The WAF agent ended the replay early."
        yield replace(findings, is_waiting=False, problem=words)


async def whole(changes: Changes, events: Events, case: Case, ladder: Ladder, rung: Rung) -> Findings:
    """All of it at once."""
    async with aclosing(run(changes, events, case, ladder, rung)) as steps:
        return [findings async for findings in steps][-1]
