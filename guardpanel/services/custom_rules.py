"""Custom rules: their lists, the next free ID, and a check that they have an effect."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Unpack

from sqlalchemy import String, cast
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines import Rule
from guardpanel.errors import Invalid
from guardpanel.models import CustomRule, Policy, RuleOverride
from guardpanel.models.rules.custom_rule import NOUN, CustomRuleColumns, CustomRuleFields
from guardpanel.models.rules.custom_rule_checks import ALLOWED, RESPONSE_PHASES, phase_of, read
from guardpanel.models.rules.custom_rule_choices import CustomAction
from guardpanel.models.rules.custom_rule_text import FIRST_ID, LAST_ID, SCORE
from guardpanel.models.rules.rule_override import RuleAction
from guardpanel.models.rules.seclang import Action, NotSecLang, parse, pretty
from guardpanel.rendering.custom_rules import links_of, seclang
from guardpanel.services.crud import Crud
from guardpanel.services.paging import Page, Paging, holds
from guardpanel.services.saving.changes import Changes, SaveRequest, SaveResult

ADDS = re.compile(
    r"tx\.inbound_anomaly_score_pl[1-4]=\+(?:%\{tx\.)?([0-9]+|[a-z]+)(?:_anomaly_score\})?", re.IGNORECASE
)
BY_SEVERITY = {"critical": 5, "error": 4, "warning": 3, "notice": 2}

SORTS = {"name": col(CustomRule.name), "changed": col(CustomRule.updated_at)}


class CustomRules(Crud[CustomRule, CustomRuleFields]):
    async def page(self, session: AsyncSession, *, q: str = "", **paging: Unpack[Paging]) -> Page[CustomRule]:
        """Those whose message, ID or comment contains `q`."""
        wanted = select(CustomRule)
        if q:
            wanted = wanted.where(holds(q, CustomRule.name, CustomRule.comment, cast(col(CustomRule.rule_id), String)))
        return await self.listed(session, wanted, SORTS, **paging)

    async def create(self, changes: Changes, request: SaveRequest, fields: CustomRuleFields) -> SaveResult[CustomRule]:
        await self._must_have_effect(changes, fields)
        return await super().create(changes, request, fields)

    async def update(
        self, changes: Changes, request: SaveRequest, number: int, fields: CustomRuleFields, version: int | None = None
    ) -> SaveResult[CustomRule]:
        await self._must_have_effect(changes, fields)
        return await super().update(changes, request, number, fields, version)

    async def _must_have_effect(self, changes: Changes, fields: CustomRuleFields) -> None:
        """Raises Invalid for a tag that the policy switches off, as the rule would be, too, and for responses that it never
        inspects."""
        if not fields.enabled:
            return
        if inspects_responses(fields):
            await self._must_inspect_responses(changes)
        off = select(RuleOverride.rule).where(
            col(RuleOverride.policy_id) == self.parent_id, col(RuleOverride.action) == RuleAction.DISABLE
        )
        async with changes.database.read() as session:
            tags_off = set((await session.exec(off)).all())
        if tag := next((tag for tag in fields.tags if tag in tags_off), None):
            raise Invalid.at("tags", f"This policy switches off {tag}, and would switch off this rule. Remove the tag.")

    async def _must_inspect_responses(self, changes: Changes) -> None:
        async with changes.database.read() as session:
            policy = await session.get(Policy, self.parent_id)
        if policy and not policy.response_inspection:
            raise Invalid.at(
                "seclang", "This policy does not inspect responses: turn that on first, or choose phase 1 or 2."
            )


ROWS = CustomRules(NOUN, CustomRule, CustomRuleFields)


def inspects_responses(rule: CustomRuleColumns) -> bool:
    return phase_of(links_of(rule)) in RESPONSE_PHASES


def idle(policy: Policy, rules: Iterable[CustomRule]) -> set[int]:
    """The ids of enabled rules for responses in a policy that inspects none, since an undo or a restore."""
    if policy.response_inspection:
        return set()
    return {rule.id or 0 for rule in rules if rule.enabled and inspects_responses(rule)}


async def next_id(session: AsyncSession, policy_id: int) -> int:
    """The first free ID."""
    used = set((await session.exec(select(CustomRule.rule_id).where(CustomRule.policy_id == policy_id))).all())
    return next((number for number in range(FIRST_ID + 1, LAST_ID + 1) if number not in used), FIRST_ID)


async def points_in(session: AsyncSession, policy_id: int | None) -> dict[int, int]:
    """The inbound points of a policy's rules as they are now, by rule id."""
    query = select(CustomRule).where(CustomRule.policy_id == policy_id, CustomRule.action == CustomAction.SCORE)
    rules = (await session.exec(query)).all() if policy_id else []
    return {rule.rule_id: points_of(rule) for rule in rules}


def points_of(rule: CustomRuleColumns) -> int:
    if not rule.seclang:
        return rule.points
    values = [value for link in links_of(rule) for value in link.values("setvar")]
    added = [match[1].lower() for value in values if (match := ADDS.fullmatch(value))]
    return sum(int(text) if text.isdigit() else BY_SEVERITY[text] for text in added)


async def with_id(session: AsyncSession, rule_id: int) -> list[tuple[CustomRule, str]]:
    """The rules with this ID, each with its policy's name."""
    query = select(CustomRule, Policy.name).join(Policy).where(CustomRule.rule_id == rule_id)
    return list((await session.exec(query.order_by(Policy.name))).all())


def copy_of(rule: Rule, rule_id: int) -> str:
    """A rule of the rule set as a custom rule, with its points as a number to change."""
    links = parse(rule.seclang)
    return pretty([replace(link, actions=tuple(_own(link.actions, rule, rule_id))) for link in links])


def why_no_copy(rule: Rule) -> str:
    """Why a copy could not be saved. Empty if it can."""
    try:
        read(copy_of(rule, FIRST_ID))
    except NotSecLang as error:
        if any(link.operator.lower().startswith("pmfromfile") for link in parse(rule.seclang)):
            return "Its words are in a file of the rule set, which a custom rule can’t read."
        return f"A custom rule can’t do the same: {error.message}"
    return ""


def _own(actions: Iterable[Action], rule: Rule, rule_id: int) -> Iterator[Action]:
    for action in actions:
        if action.name == "id":
            yield Action("id", str(rule_id))
        elif action.name == "setvar" and "bound_anomaly_score_pl" in action.value:
            score = action.value.partition("=")[0]
            yield Action("setvar", f"{score if rule.is_outbound else SCORE}=+{rule.points}")
        elif action.name in ALLOWED and action.name != "ctl":
            yield action


page, fields_of = ROWS.page, ROWS.fields_of

__all__ = [
    "NOUN",
    "ROWS",
    "copy_of",
    "fields_of",
    "idle",
    "inspects_responses",
    "links_of",
    "next_id",
    "page",
    "points_in",
    "seclang",
    "why_no_copy",
    "with_id",
]
