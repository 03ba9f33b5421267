"""What one policy does with every rule, for lists of rules."""

from collections.abc import Callable

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines import Rule
from guardpanel.errors import Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models import Policy, RuleExclusion, RuleOverride
from guardpanel.services.rules.exclusion_checks import is_meant
from guardpanel.services.rules.question import RuleQuestion
from guardpanel.services.rules.states import PolicyState, states

StateOf = Callable[[Rule], PolicyState]


async def state_of(session: AsyncSession, question: RuleQuestion) -> StateOf | None:
    """None where the question is about no policy. Raises Invalid where there is no such policy."""
    if question.policy is None:
        return None
    policy = await session.get(Policy, int(question.policy))
    if policy is None:
        raise Invalid.at("policy", "There is no policy with this ID.", FieldCode.NOT_FOUND)
    exclusions = (await session.exec(select(RuleExclusion).where(RuleExclusion.policy_id == policy.id))).all()
    overrides = (await session.exec(select(RuleOverride).where(RuleOverride.policy_id == policy.id))).all()

    def of(rule: Rule) -> PolicyState:
        own = [row for row in exclusions if any(is_meant(rule, choice) for choice in row.rules)]
        (state,) = states(rule, [policy], own, [row for row in overrides if names(row, rule)])
        return state

    return of


def names(row: RuleOverride, rule: Rule) -> bool:
    """By id, by its family, or by a tag."""
    return row.rule == str(rule.family) or is_meant(rule, row.rule)
