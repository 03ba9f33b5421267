"""Policies: their lists, and limits that depend on the agent."""

from collections.abc import Collection
from typing import Unpack

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Invalid, NeedsConfirmation
from guardpanel.models import CustomRule, Policy
from guardpanel.models.policies.enforcement import EnforcementMode, FailMode
from guardpanel.models.policies.policy import KIB, NOUN, PolicyFields
from guardpanel.models.policies.policy_geo import GeoMode
from guardpanel.rendering import EngineFacts
from guardpanel.services import custom_rules, policy_uses
from guardpanel.services.access.geo_doubts import must_let_in
from guardpanel.services.crud import Crud
from guardpanel.services.paging import Page, Paging, holds
from guardpanel.services.saving.changes import Changes, SaveRequest, SaveResult

MOST_NAMED = 5

WITHOUT_ANY = "Without one, virtual hosts that are added are not inspected."


class Policies(Crud[Policy, PolicyFields]):
    async def create(self, changes: Changes, request: SaveRequest, fields: PolicyFields) -> SaveResult[Policy]:
        await must_let_in(changes, request.client, fields, None)
        return await super().create(changes, request, fields)

    async def update(
        self, changes: Changes, request: SaveRequest, number: int, fields: PolicyFields, version: int | None = None
    ) -> SaveResult[Policy]:
        async with changes.database.read() as session:
            row = await session.get(Policy, number)
            if row and row.response_inspection and not fields.response_inspection:
                await _must_leave_custom_rules(session, row)
        await must_let_in(changes, request.client, fields, row)
        return await super().update(changes, request, number, fields, version)

    async def must_be_meant_deleted(self, session: AsyncSession, row: Policy, changes: Changes) -> None:  # noqa: ARG002
        """The React panel assigns the oldest policy where none was chosen. Without any, that means no inspection."""
        if await is_last(session, row) and row.id not in await policy_uses.host_counts(session):
            raise NeedsConfirmation(f"{row.name} is the only policy. {WITHOUT_ANY}")


async def is_last(session: AsyncSession, row: Policy) -> bool:
    return (await session.exec(select(Policy.id).where(col(Policy.id) != row.id).limit(1))).first() is None


async def _must_leave_custom_rules(session: AsyncSession, policy: Policy) -> None:
    """Raises Invalid if a custom rule needs what is inspected no more."""
    enabled = select(CustomRule).where(
        CustomRule.policy_id == policy.id, col(CustomRule.enabled), CustomRule.seclang != ""
    )
    ids = [str(rule.rule_id) for rule in await session.exec(enabled) if custom_rules.inspects_responses(rule)]
    if ids:
        which = f"rule {ids[0]} inspects" if len(ids) == 1 else f"rules {', '.join(ids[:MOST_NAMED])} inspect"
        raise Invalid.at(
            "response_inspection",
            f"Custom {which} responses, and would do nothing. Disable {'it' if len(ids) == 1 else 'them'} first.",
        )


ROWS = Policies(NOUN, Policy, PolicyFields)

find, create, update, delete, fields_of = ROWS.find, ROWS.create, ROWS.update, ROWS.delete, ROWS.fields_of

SORTS = {"name": col(Policy.name), "mode": col(Policy.enforcement_mode), "changed": col(Policy.updated_at)}

DEFAULT = PolicyFields(
    name="Default",
    description=(
        "Inspects every request with the OWASP Core Rule Set but does not block by score. Review the events, then set the "
        "enforcement mode to Block."
    ),
    enforcement_mode=EnforcementMode.DETECT_ONLY,
    fail_mode=FailMode.BY_MODE,
)
"The one from the first start."


async def page(
    session: AsyncSession, *, q: str = "", mode: EnforcementMode | None = None, **paging: Unpack[Paging]
) -> Page[Policy]:
    """Those whose name or description contains `q`."""
    query = select(Policy)
    if q:
        query = query.where(holds(q, Policy.name, Policy.description))
    if mode is not None:
        query = query.where(col(Policy.enforcement_mode) == mode)
    return await ROWS.listed(session, query, SORTS, **paging)


async def all_of_them(session: AsyncSession) -> list[Policy]:
    """The choices of a select, by name."""
    return list((await session.exec(select(Policy).order_by(func.lower(Policy.name)))).all())


async def with_ids(session: AsyncSession, ids: Collection[int | None]) -> dict[int | None, Policy]:
    rows = await session.exec(
        select(Policy).where(col(Policy.id).in_({number for number in ids if number is not None}))
    )
    return {policy.id: policy for policy in rows.all()}


async def asking_where_from(session: AsyncSession) -> list[Policy]:
    """Those that allow or reject countries or networks."""
    return [policy for policy in await all_of_them(session) if {policy.country_mode, policy.asn_mode} != {GeoMode.OFF}]


async def default(session: AsyncSession) -> int | None:
    """The oldest one: new virtual hosts start with it."""
    return (await session.exec(select(func.min(col(Policy.id))))).one()


def fitting(fields: PolicyFields, facts: EngineFacts) -> PolicyFields:
    """The same, with a body limit that the agent can inspect: for suggestions, never for typed values."""
    return fields.model_copy(update={"body_limit_kib": min(fields.body_limit_kib, facts.largest_body // KIB)})


async def over_limit(session: AsyncSession, facts: EngineFacts) -> list[Policy]:
    """Policies with a larger body limit than the agent can inspect: they were saved with another agent."""
    return [policy for policy in await all_of_them(session) if policy.body_limit_kib * KIB > facts.largest_body]
