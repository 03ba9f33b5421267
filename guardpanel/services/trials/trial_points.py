"""What each rule added to the score of a tested request."""

from collections.abc import Callable, Mapping

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines import Engines, RuleSet
from guardpanel.engines.waf.evaluation import EvaluatedRule, Evaluation
from guardpanel.models.rules.custom_rule import CustomRuleFields
from guardpanel.services import custom_rules
from guardpanel.services.rules import catalogue

LEVELS = range(1, 5)

Times = Callable[[EvaluatedRule], int]


async def points_in_trial(
    engines: Engines, session: AsyncSession, policy_id: int, tried: Evaluation, draft: CustomRuleFields | None = None
) -> Mapping[int, int]:
    """By rule. `draft`: a custom rule that was tried in place of the saved one with its ID."""
    own = await custom_rules.points_in(session, policy_id)
    await session.commit()  # the agent may be asked: no connection waits for it
    if draft is not None:
        own[draft.rule_id] = custom_rules.points_of(draft)
    return explained(tried, await catalogue.recall(engines), own)


def explained(tried: Evaluation, rule_set: RuleSet | None, own: Mapping[int, int]) -> Mapping[int, int]:
    """Empty unless the points add up to the score: a rule adds its points for each value that matches, at one of its links."""
    known = {number: rule.points for number, rule in rule_set.rules.items() if not rule.is_outbound} if rule_set else {}
    each = {**known, **own}
    for times in (_by_last_link, _once, _by_first_link):
        for level in LEVELS:
            rules = [rule for rule in tried.rules if (rule.paranoia_level or 0) <= level and each.get(rule.id)]
            points = {rule.id: each[rule.id] * times(rule) for rule in rules}
            if points and sum(points.values()) == tried.score:
                return points
    return {}


def _by_last_link(rule: EvaluatedRule) -> int:
    return _of_link(rule, max((match.chain for match in rule.matches), default=0))


def _by_first_link(rule: EvaluatedRule) -> int:
    return _of_link(rule, min((match.chain for match in rule.matches), default=0))


def _of_link(rule: EvaluatedRule, link: int) -> int:
    return max(1, sum(match.chain == link for match in rule.matches))


def _once(_rule: EvaluatedRule) -> int:
    return 1
