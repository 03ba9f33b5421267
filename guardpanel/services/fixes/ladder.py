"""The ladder of fixes for one request, narrowest first: each rung is tried by the agent with its own rendered rules."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from guardpanel.engines import RuleSet
from guardpanel.engines.waf.evaluation import EvaluatedRule, Evaluation
from guardpanel.errors import Invalid
from guardpanel.services.fixes import policy_cures, restrictions, widths
from guardpanel.services.fixes.blame import Blame, Field, blame, causes
from guardpanel.services.fixes.drafts import Draft
from guardpanel.services.fixes.hidden import NOTHING_HIDDEN, Hidden
from guardpanel.services.fixes.requests import Request
from guardpanel.services.fixes.widths import Width
from guardpanel.services.rules import exclusion_checks

ROUNDS = 4
"With another setting the request may get further, and other rules may fire."

Judge = Callable[[Draft], Awaitable[Evaluation]]


class Remembered:
    """A judge that evaluates each draft once: several widths often lead to the same one."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._known: list[tuple[Draft, asyncio.Future[Evaluation]]] = []

    async def __call__(self, draft: Draft) -> Evaluation:
        known = next((future for other, future in self._known if other == draft), None)
        if known is None:
            known = asyncio.ensure_future(self._judge(draft))
            self._known.append((draft, known))
        return await asyncio.shield(known)  # another width may wait for it, too

    async def close(self) -> None:
        futures = [future for _, future in self._known]
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)


@dataclass(frozen=True)
class Rung:
    """`problem` is why it is not a fix, if it does not let the request pass."""

    width: Width
    draft: Draft
    evaluation: Evaluation | None
    problem: str = ""

    @property
    def works(self) -> bool:
        return not self.problem


@dataclass(frozen=True)
class Ladder:
    request: Request
    before: Evaluation
    "The verdict under the current policy, blocking."
    rungs: tuple[Rung, ...]
    blames: tuple[Blame, ...] = ()
    "What blocks the request without a fix."
    missing: tuple[int, ...] = ()
    "Rules that fired in the event but not on what it contains."

    @property
    def chosen(self) -> Rung | None:
        """The narrowest rung that works."""
        return next((rung for rung in self.rungs if rung.works), None)

    def rung(self, width: str) -> Rung | None:
        return next((rung for rung in self.rungs if rung.width.value == width), None)


@dataclass(frozen=True)
class Climb:
    """What every rung for a request is built from."""

    request: Request
    policy: Mapping[str, Any]
    host_id: int | None
    "The only virtual host to which an exclusion applies. None: all that use the policy."
    judge: Judge
    rule_set: RuleSet | None
    before: Evaluation
    readings: Sequence[Mapping[str, Any]] = ()
    "The policy's body readings."
    recorded: tuple[EvaluatedRule, ...] = ()
    "Rules that fired on what the event does not contain: they are excluded, too, but cannot be tried."
    hidden: Hidden = NOTHING_HIDDEN
    custom: widths.Custom = field(default_factory=dict)
    "The policy's custom rules that add points or block, by id. The widest rung disables them themselves."

    is_of_response: bool = False
    "Only the recorded rules are to be fixed: those that fired on the request did not block it."

    @property
    def blocking_level(self) -> int:
        return int(self.policy["blocking_paranoia_level"])

    @property
    def blames(self) -> tuple[Blame, ...]:
        return tuple(self._blames(self.before))

    def _blames(self, evaluation: Evaluation) -> list[Blame]:
        rules = [*self._causes(evaluation), *self.recorded]
        return [blame(rule, self._can_name) for rule in self.hidden.added_to(rules)]

    def _causes(self, evaluation: Evaluation) -> list[EvaluatedRule]:
        if self.is_of_response and evaluation.passes:
            return []
        return causes(evaluation, self.blocking_level, self.custom)

    def _can_name(self, rule_id: int, named: Field) -> bool:
        rule = self.rule_set.rules.get(rule_id) if self.rule_set else None
        return rule is None or exclusion_checks.looks_for(rule, named.target, named.name)

    async def each(self, widths: Sequence[Width] = tuple(Width)) -> AsyncGenerator[Rung]:
        """Those that differ, narrowest first, as soon as they are known. Close it to end the trials."""
        judge = Remembered(self.judge)
        tasks = [asyncio.create_task(self._rung(width, judge)) for width in widths]
        distinct: list[Rung] = []
        try:
            for task in tasks:
                rung = await task
                if rung is not None and all(rung.draft != other.draft for other in distinct):
                    distinct.append(rung)
                    yield rung
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await judge.close()

    async def rungs(self, widths: Sequence[Width] = tuple(Width)) -> tuple[Rung, ...]:
        async with aclosing(self.each(widths)) as rungs:
            return tuple([rung async for rung in rungs])

    def ladder(self, rungs: Sequence[Rung]) -> Ladder:
        missing = tuple(rule.id for rule in self.recorded)
        return Ladder(self.request, self.before, tuple(rungs), self.blames, missing)

    async def _rung(self, width: Width, judge: Judge) -> Rung | None:
        """None if there is nothing of that width."""
        draft, evaluation = Draft(), self.before
        for turn in range(ROUNDS):
            if evaluation.passes and (turn or not self.recorded):
                break
            try:
                grown = self._grown(width, draft, self._blames(evaluation))
            except ValueError:
                return Rung(width, draft, evaluation, "A field of this request cannot be named in an exclusion.")
            if grown == draft:
                break
            if problem := self._placebo(grown):
                return Rung(width, grown, evaluation, problem)
            draft, evaluation = grown, await judge(grown)
        if draft.is_empty or not _is_of(width, draft):
            return None
        problem = self.hidden.problem(draft.exclusions) if evaluation.passes else self._still_blocked(evaluation)
        return Rung(width, draft, evaluation, problem)

    def _grown(self, width: Width, draft: Draft, blames: list[Blame]) -> Draft:
        """With what these rules require."""
        settings, left = self._settings(width, draft, blames)
        draft = draft.together(settings)
        if not left or width is Width.SETTING:
            return draft
        if width is Width.OFF:
            return draft.together(widths.off(left, self.custom))
        return draft.together(widths.exclusions(width, left, self.request, self.host_id))

    def _settings(self, width: Width, draft: Draft, blames: list[Blame]) -> tuple[Draft, list[Blame]]:
        """What every rung but the one without fields needs: rules off for a path and method."""
        if width is Width.REQUEST:
            return Draft(), blames
        policy = {**self.policy, **draft.policy}
        wide, paths = width is Width.RESTRICTIONS, widths.paths(width, self.request)
        cured = policy_cures.cured
        return cured(policy, self.request, blames, draft, readings=self.readings, where=paths, restrictions_too=wide)

    def _placebo(self, draft: Draft) -> str:
        """Why one of its rows would be rejected when saved."""
        if self.rule_set is None:
            return ""
        for fields in draft.exclusions:
            try:
                exclusion_checks.must_have_effect(fields, self.rule_set)
            except Invalid as problem:
                return next(iter(problem.errors.values())).message
        return ""

    def _still_blocked(self, evaluation: Evaluation) -> str:
        rules = [str(rule.id) for rule in self._causes(evaluation)][:5]
        score = f": score {evaluation.score} of {evaluation.threshold}" if evaluation.threshold else ""
        return f"Still blocked by {', '.join(rules) or 'the engine'}{score}."


def _is_of(width: Width, draft: Draft) -> bool:
    """A rung that consists of settings only belongs to the setting."""
    if width is Width.RESTRICTIONS:
        return bool(restrictions.FIELDS & set(draft.policy))
    return width is Width.SETTING or len(draft.rows) > len(draft.readings)
