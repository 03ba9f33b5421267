"""What a fix costs and what it leaves: attacks judged before and with it; and once it is saved, by what is live."""

from collections.abc import Sequence
from dataclasses import dataclass

from guardpanel.engines.replaying import Replayed, RuleSetChoice, replay
from guardpanel.models.rule_exclusion import Target
from guardpanel.services.fixes.attacks import Attack, Place, attacks
from guardpanel.services.fixes.blame import Blame, fields_in
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.drafts import Draft
from guardpanel.services.fixes.ladder import Ladder, Rung
from guardpanel.services.saving.changes import Changes


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


async def tallies(changes: Changes, case: Case, ladder: Ladder, rung: Rung) -> list[Tally]:
    """Raises EngineUnavailable."""
    made = attacks_on(case, ladder.blames, rung.draft)
    verdicts = await replayed(changes, case, rung.draft, made)
    return [_tally(place, made, verdicts) for place in Place]


def attacks_on(case: Case, blames: Sequence[Blame], draft: Draft) -> list[Attack]:
    conditions = next((fields.only_if for fields in draft.exclusions if fields.only_if), [])
    frees_any = any(fields.target is Target.REQUEST for fields in draft.exclusions) or not draft.exclusions
    rules = [each.rule.id for each in blames]
    return attacks(case.request, fields_in(blames), rules, conditions, frees_any=frees_any)


async def replayed(changes: Changes, case: Case, draft: Draft, made: Sequence[Attack]) -> list[Replayed]:
    """Each under the policy as it is and with the draft."""
    under = [RuleSetChoice(directives=case.ground.directives(each)) for each in (Draft(), draft)]
    questions = [attack.request.question() for attack in made]
    return [answer async for answer in replay(changes.engines.agent.control, under, questions)]


def _tally(place: Place, made: Sequence[Attack], verdicts: Sequence[Replayed]) -> Tally:
    judged = [
        (attack.payload, answer.verdicts[1].passes)
        for attack, answer in zip(made, verdicts, strict=True)
        if attack.place is place and answer.verdicts and not answer.verdicts[0].passes
    ]
    passing = tuple(payload for payload, passes in judged if passes)
    return Tally(place, len(judged), len(judged) - len(passing), passing)
