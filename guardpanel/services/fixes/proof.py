"""What a fix costs and what it leaves: attacks judged before and with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from guardpanel.engines.waf.replaying import Replayed
from guardpanel.models.rules.rule_exclusion import Target
from guardpanel.services.fixes.attacks import Attack, Place, attacks
from guardpanel.services.fixes.blame import Blame, fields_in
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.drafts import Draft
from guardpanel.services.fixes.ladder import Ladder, Rung


@dataclass(frozen=True)
class Tally:
    """Of the attacks in one place, those that the policy blocks without the fix."""

    place: Place
    tried: int
    blocked: int
    passing: tuple[str, ...]
    "The others, with the fix."

    @property
    def holds(self) -> bool:
        return self.blocked == self.tried


class AttacksTrial:
    """They are counted as the agent answers."""

    def __init__(self, made: Sequence[Attack]) -> None:
        self.questions = [attack.request.question() for attack in made]
        self._made = made
        self._answers: list[Replayed] = []

    @classmethod
    def of(cls, case: Case, ladder: Ladder, rung: Rung) -> "AttacksTrial":
        return cls(attacks_on(case, ladder.blames, rung.draft))

    def add(self, answer: Replayed) -> None:
        self._answers.append(answer)

    @property
    def result(self) -> tuple[Tally, ...]:
        return tuple(_tally(place, self._made, self._answers) for place in Place)


def attacks_on(case: Case, blames: Sequence[Blame], draft: Draft) -> list[Attack]:
    conditions = next((fields.only_if for fields in draft.exclusions if fields.only_if), [])
    frees_any = any(fields.target is Target.REQUEST for fields in draft.exclusions) or not draft.exclusions
    rules = [each.rule.id for each in blames]
    return attacks(case.request, fields_in(blames), rules, conditions, frees_any=frees_any)


def _tally(place: Place, made: Sequence[Attack], verdicts: Sequence[Replayed]) -> Tally:
    judged = [
        (attack.payload, answer.verdicts[1].passes)
        for attack, answer in zip(made, verdicts, strict=True)
        if attack.place is place and answer.verdicts and not answer.verdicts[0].passes
    ]
    passing = tuple(payload for payload, passes in judged if passes)
    return Tally(place, len(judged), len(judged) - len(passing), passing)
