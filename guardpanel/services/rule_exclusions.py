"""Rule exclusions: their lists, and what would do nothing, or more than it says."""

from datetime import date
from typing import TypeVar, Unpack

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from guardpanel import clock
from guardpanel.engines import Rule, RuleSet
from guardpanel.errors import FieldError, Invalid, NeedsConfirmation
from guardpanel.models import CustomRule, RuleExclusion, VirtualHost
from guardpanel.models.rules.rule_exclusion import NOUN, CheckedExclusion, RuleExclusionColumns, RuleExclusionFields
from guardpanel.models.rules.rule_override import RuleOverrideFields
from guardpanel.rendering import exclusions
from guardpanel.rendering.exclusions import ExclusionState
from guardpanel.services import policy_uses
from guardpanel.services.crud import Crud
from guardpanel.services.paging import Page, Paging, holds
from guardpanel.services.rules import catalogue, exclusion_checks
from guardpanel.services.rules.exclusion_checks import is_meant
from guardpanel.services.rules.own_rules import may_be_meant, with_own
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import Changes, SaveRequest, SaveResult

Owned = TypeVar("Owned", RuleExclusionFields, RuleOverrideFields)

SORTS = {"name": col(RuleExclusion.name), "changed": col(RuleExclusion.updated_at)}


class RuleExclusions(Crud[RuleExclusion, RuleExclusionFields]):
    async def page(self, session: AsyncSession, *, q: str = "", **paging: Unpack[Paging]) -> Page[RuleExclusion]:
        """Those whose name, reason or owner holds `q`."""
        query = select(RuleExclusion)
        if q:
            query = query.where(holds(q, RuleExclusion.name, RuleExclusion.reason, RuleExclusion.owner))
        return await self.listed(session, query, SORTS, **paging)

    async def create(
        self, changes: Changes, request: SaveRequest, fields: RuleExclusionFields
    ) -> SaveResult[RuleExclusion]:
        await self.must_have_effect(changes, fields)
        await self._must_be_for_its_policy(changes, fields)
        return await super().create(changes, request, await checked(changes, owned(fields, request)))

    async def update(
        self,
        changes: Changes,
        request: SaveRequest,
        number: int,
        fields: RuleExclusionFields,
        version: int | None = None,
    ) -> SaveResult[RuleExclusion]:
        await self.must_have_effect(changes, fields)
        await self._must_be_for_its_policy(changes, fields)
        return await super().update(changes, request, number, await checked(changes, owned(fields, request)), version)

    async def must_have_effect(self, changes: Changes, fields: RuleExclusionFields) -> None:
        """Invalid for what would do nothing. One that is disabled may; and nobody knows with a coraza-spoa."""
        if not fields.enabled:
            return
        if fields.ends_on and fields.ends_on < today():
            raise Invalid.at("ends_on", "This day is over. Choose a later one, or none.")
        known = (await catalogue.load(changes.engines)).rule_set
        if known is not None:
            exclusion_checks.must_have_effect(fields, await self.with_own_rules(changes, fields, known))

    async def with_own_rules(self, changes: Changes, fields: RuleExclusionColumns, known: RuleSet) -> RuleSet:
        """The rule set with the policy's custom rules that it may mean."""
        async with changes.database.read() as session:
            rows = (await session.exec(select(CustomRule).where(CustomRule.policy_id == self.parent_id))).all()
        return with_own(known, [row for row in rows if may_be_meant(row, fields.rules)])

    async def end(self, changes: Changes, request: SaveRequest, number: int) -> SaveResult[RuleExclusion]:
        """Disable one whose last day is over. Its author is nobody who could be told of a conflict: it is as it is now."""
        change = self._change(request, "Disabled a rule exclusion", number)

        async def mutate(session: AsyncSession) -> RuleExclusion:
            row = await self.find(session, number)
            row.enabled = False
            row.touch(await revisions.version_after(session, row.version))
            session.add(row)
            change.summary = f"{await self.parent_name(session)}: {row.name} ended after its last day, {row.ends_on}"
            return row

        return await changes.save(change, mutate)

    async def _must_be_for_its_policy(self, changes: Changes, fields: RuleExclusionFields) -> None:
        """Invalid for one for a virtual host elsewhere: it would do nothing. Asked only where one is edited: what was for a
        virtual host stays behind when that gets another policy, and every state with it can be restored, or applied from a file
        whose warnings are accepted."""
        if not (fields.enabled and fields.virtual_host_id):
            return
        async with changes.database.read() as session:
            host = await session.get(VirtualHost, fields.virtual_host_id)
            policy = await policy_uses.policy_used(session, host, self.parent_id) if host else None
        if host is None or changes.is_confirmed or (policy is not None and policy.id == self.parent_id):
            return
        words = f"{host.name} does not use this policy."
        if changes.is_confirmed is None:
            raise Invalid.at("virtual_host_id", words)
        raise NeedsConfirmation(words, {"virtual_host_id": FieldError(words)})


async def checked(changes: Changes, fields: RuleExclusionFields) -> CheckedExclusion:
    """With the version of the rule set that the agent holds now."""
    known = (await catalogue.load(changes.engines)).rule_set
    return CheckedExclusion(**fields.model_dump(), crs_version=known.crs_version if known else "")


def today() -> date:
    """In UTC; a clock that jumps ahead ends nothing."""
    return clock.AGES.now().date()


def owned(fields: Owned, request: SaveRequest) -> Owned:
    """Whoever saves it owns it, unless somebody is named."""
    return fields if fields.owner else fields.model_copy(update={"owner": request.who})


ROWS = RuleExclusions(NOUN, RuleExclusion, RuleExclusionFields)


async def of_rule(session: AsyncSession, rule: Rule, policy_id: int | None = None) -> list[RuleExclusion]:
    """Those that name it: by id, in a range, or by a tag. `policy_id`: that of a custom rule."""
    every = (await session.exec(_by_name(policy_id))).all()
    return [exclusion for exclusion in every if any(is_meant(rule, choice) for choice in exclusion.rules)]


def _by_name(policy_id: int | None) -> SelectOfScalar[RuleExclusion]:
    rows = select(RuleExclusion).order_by(func.lower(RuleExclusion.name))
    return rows if policy_id is None else rows.where(RuleExclusion.policy_id == policy_id)


def directives(row: RuleExclusion) -> str:
    """It alone in SecLang, as the agent gets it."""
    return exclusions.directives(ExclusionState.of(row))


page, fields_of = ROWS.page, ROWS.fields_of
