"""Rule overrides: their lists, and what would do nothing, or more than it says."""

from typing import Unpack

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines import Rule, RuleRole, RuleSet
from guardpanel.errors import Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models import CustomRule, Policy, RuleOverride
from guardpanel.models.rules.rule_override import FAMILY, NOUN, KnownOverride, RuleAction, RuleOverrideFields
from guardpanel.services.crud import Crud
from guardpanel.services.paging import Page, Paging, holds
from guardpanel.services.rule_exclusions import owned
from guardpanel.services.rules import catalogue
from guardpanel.services.rules.exclusion_checks import STEERS, chosen, most_of
from guardpanel.services.rules.policy_states import names
from guardpanel.services.saving.changes import Changes, SaveRequest, SaveResult

SORTS = {"name": col(RuleOverride.rule), "changed": col(RuleOverride.updated_at)}


class RuleOverrides(Crud[RuleOverride, RuleOverrideFields]):
    async def page(self, session: AsyncSession, *, q: str = "", **paging: Unpack[Paging]) -> Page[RuleOverride]:
        """Those whose rule, reason or owner holds `q`."""
        query = select(RuleOverride)
        if q:
            query = query.where(holds(q, RuleOverride.name, RuleOverride.reason, RuleOverride.owner))
        return await self.listed(session, query, SORTS, **paging)

    async def create(
        self, changes: Changes, request: SaveRequest, fields: RuleOverrideFields
    ) -> SaveResult[RuleOverride]:
        return await super().create(changes, request, await self._known(changes, owned(fields, request)))

    async def update(
        self,
        changes: Changes,
        request: SaveRequest,
        number: int,
        fields: RuleOverrideFields,
        version: int | None = None,
    ) -> SaveResult[RuleOverride]:
        known_fields = await self._known(changes, owned(fields, request))
        return await super().update(changes, request, number, known_fields, version)

    async def _known(self, changes: Changes, fields: RuleOverrideFields) -> KnownOverride:
        """With what the rule set says of it. Invalid where that says that nothing would come of it."""
        if fields.action is RuleAction.DISABLE:
            await self._must_leave_custom_rules(changes, fields.rule)
        loaded = await catalogue.load(changes.engines)
        if loaded.rule_set is not None:
            return known(fields, loaded.rule_set, await self._level(changes))
        if fields.action is RuleAction.ENABLE:
            raise Invalid.at("action", f"{loaded.problem} Its level and points are not known.")
        return KnownOverride(**fields.model_dump())

    async def _must_leave_custom_rules(self, changes: Changes, tag: str) -> None:
        """Raises Invalid for the tag of a custom rule, which the engine would remove, too."""
        enabled = select(CustomRule).where(CustomRule.policy_id == self.parent_id, col(CustomRule.enabled))
        async with changes.database.read() as session:
            custom_rule = next((row for row in await session.exec(enabled) if tag in row.tags), None)
        if custom_rule:
            raise Invalid.at(
                "rule",
                f"Custom rule {custom_rule.rule_id} is tagged {tag} and would be off, too. Remove the tag there.",
            )

    async def _level(self, changes: Changes) -> int:
        """Up to which rules run in the policy."""
        async with changes.database.read() as session:
            policy = await session.get(Policy, self.parent_id)
        return policy.detection_paranoia_level if policy else 4


def known(fields: RuleOverrideFields, rule_set: RuleSet, detection_level: int) -> KnownOverride:
    choice = f"{fields.rule}000-{fields.rule}999" if FAMILY.fullmatch(fields.rule) else fields.rule
    rules = chosen(choice, rule_set)
    detecting = [rule for rule in rules if rule.role is RuleRole.DETECT]
    if not rules:
        raise Invalid.at("rule", f"OWASP CRS {rule_set.crs_version} has no rule {fields.rule}.", FieldCode.NOT_FOUND)
    if not detecting:
        raise Invalid.at("rule", f"Rule {rules[0].id} {STEERS[rules[0].role]}.")
    if fields.action is RuleAction.DISABLE:
        _must_leave_some(fields, rules, rule_set)
        return KnownOverride(**fields.model_dump())
    rule = _to_count(fields, rules, detection_level)
    return KnownOverride(
        **fields.model_dump(), level=rule.paranoia_level or 0, points=rule.points, is_outbound=rule.is_outbound
    )


def _must_leave_some(fields: RuleOverrideFields, rules: list[Rule], rule_set: RuleSet) -> None:
    steering = next((rule for rule in rules if rule.role is not RuleRole.DETECT), None)
    if words := most_of(fields.rule, rules, rule_set):
        raise Invalid.at("rule", words)
    if steering and not FAMILY.fullmatch(fields.rule):
        raise Invalid.at("rule", f"{fields.rule} includes {steering.id}, which {STEERS[steering.role]}.")


def _to_count(fields: RuleOverrideFields, rules: list[Rule], detection_level: int) -> Rule:
    if fields.rule != str(rules[0].id):
        raise Invalid.at("rule", "Enter one rule ID: rules count above their level one by one.")
    rule = rules[0]
    if not (rule.paranoia_level and rule.points):
        raise Invalid.at("rule", f"Rule {rule.id} has no paranoia level or adds no points: there is nothing to count.")
    if len(rule.links) > 1:
        raise Invalid.at("rule", f"Rule {rule.id} is a chain. The engine would count its first condition alone.")
    if rule.paranoia_level > detection_level:
        raise Invalid.at(
            "rule",
            f"Rule {rule.id} does not run: its paranoia level is {rule.paranoia_level}. Set the policy’s detection level "
            f"to {rule.paranoia_level} first. Other rules of that level then only detect.",
        )
    return rule


async def of_rule(session: AsyncSession, rule: Rule) -> list[RuleOverride]:
    """Those that name it."""
    every = (await session.exec(select(RuleOverride).order_by(col(RuleOverride.id)))).all()
    return [row for row in every if names(row, rule)]


ROWS = RuleOverrides(NOUN, RuleOverride, RuleOverrideFields)

page, fields_of = ROWS.page, ROWS.fields_of
