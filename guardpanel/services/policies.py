"""Policies: find, create, update, delete."""

from typing import Any

from sqlmodel import asc, col, desc, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import NotFound
from guardpanel.models import Policy, VirtualHost
from guardpanel.models.policy import KIB, EnforcementMode, FailMode, PolicyFields
from guardpanel.rendering import EngineFacts, Rows
from guardpanel.services import revisions
from guardpanel.services.changes import Asked, Change, Changes, Saved
from guardpanel.services.differences import in_words
from guardpanel.services.input import as_kept
from guardpanel.services.pages import Page, like
from guardpanel.services.virtual_hosts import must_be_current

NOUN = "policy"

SORTS = {"name": col(Policy.name), "mode": col(Policy.enforcement_mode), "changed": col(Policy.updated_at)}

DEFAULT = PolicyFields(
    name="Default",
    description=(
        "Watches and stops nothing yet: every request is inspected by the OWASP Core Rule Set, and what it would "
        "have blocked is shown. Look at that for a while, then switch the enforcement mode to block."
    ),
    enforcement_mode=EnforcementMode.DETECT_ONLY,
    fail_mode=FailMode.BY_MODE,
)
"Exists from the first start."


async def page(
    session: AsyncSession,
    *,
    q: str = "",
    mode: EnforcementMode | None = None,
    sort: str = "name",
    descending: bool = False,
    offset: int = 0,
    limit: int = 50,
) -> Page[Policy]:
    conditions: list[Any] = []
    if q:
        pattern = like(q.strip().lower())
        conditions.append(
            or_(
                func.lower(Policy.name).like(pattern, escape="\\"),
                func.lower(Policy.description).like(pattern, escape="\\"),
            )
        )
    if mode is not None:
        conditions.append(col(Policy.enforcement_mode) == mode)
    total = (await session.exec(select(func.count()).select_from(Policy).where(*conditions))).one()
    order = (desc if descending else asc)(func.lower(SORTS.get(sort, SORTS["name"])))
    found = await session.exec(
        select(Policy).where(*conditions).order_by(order, col(Policy.id)).offset(offset).limit(limit)
    )
    return Page(list(found.all()), total, offset, limit)


async def all_of_them(session: AsyncSession) -> list[Policy]:
    """For a choice of policy: by name."""
    return list((await session.exec(select(Policy).order_by(func.lower(Policy.name)))).all())


async def names(session: AsyncSession) -> dict[int, str]:
    """By id."""
    return {policy.id or 0: policy.name for policy in await all_of_them(session)}


async def find(session: AsyncSession, policy_id: int) -> Policy:
    policy = await session.get(Policy, policy_id)
    if policy is None:
        raise NotFound("There is no such policy. It may have been deleted.")
    return policy


async def used_by(session: AsyncSession) -> dict[int, int]:
    """How many virtual hosts each policy has."""
    found = await session.exec(
        select(VirtualHost.policy_id, func.count())
        .where(col(VirtualHost.policy_id).is_not(None))
        .group_by(col(VirtualHost.policy_id))
    )
    return {policy_id: count for policy_id, count in found.all() if policy_id is not None}


async def create(changes: Changes, asked: Asked, fields: PolicyFields) -> Saved[Policy]:
    change = Change(asked, f"Added policy {fields.name}", NOUN)

    async def mutate(session: AsyncSession) -> Policy:
        policy = Policy(name=fields.name).replace(fields)
        session.add(policy)
        await session.flush()
        change.noun_id = policy.id
        return policy

    return await changes.save(change, mutate)


async def update(
    changes: Changes, asked: Asked, policy_id: int, fields: PolicyFields, version: int | None = None
) -> Saved[Policy]:
    """`version` is the one that the form was opened with; another one now is Stale (412)."""
    change = Change(asked, f"Updated policy {fields.name}", NOUN, policy_id)

    async def mutate(session: AsyncSession) -> Policy:
        policy = await find(session, policy_id)
        must_be_current(policy.version, version)
        words = in_words(fields_of(policy), fields)
        change.summary = f"{fields.name}: {words}" if words else change.summary
        policy.replace(fields).touch(await revisions.version_after(session, policy.version))
        session.add(policy)
        return policy

    return await changes.save(change, mutate)


async def delete(changes: Changes, asked: Asked, policy_id: int, version: int | None = None) -> Saved[str]:
    """The name of what is deleted. A policy that virtual hosts use is not: Conflict (409) names them."""
    change = Change(asked, "Deleted a policy", NOUN, policy_id)

    async def mutate(session: AsyncSession) -> str:
        policy = await find(session, policy_id)
        must_be_current(policy.version, version)
        change.summary = f"Deleted policy {policy.name}"
        await session.delete(policy)
        return policy.name

    return await changes.save(change, mutate)


def fields_of(policy: Policy) -> PolicyFields:
    """The fields as they are: what a form starts with and what a PATCH merges into."""
    return PolicyFields.model_construct(**{name: getattr(policy, name) for name in PolicyFields.model_fields})


def fields_in(rows: Rows, policy_id: int) -> PolicyFields | None:
    """The fields as a kept state has them; None if it was not there."""
    found = next((row for row in rows["policy"] if row["id"] == policy_id), None)
    return as_kept(PolicyFields, found) if found else None


def fitting(fields: PolicyFields, facts: EngineFacts) -> PolicyFields:
    """The same with no larger body limit than the agent can inspect: for what is proposed, never for what was typed."""
    return fields.model_copy(update={"body_limit_kib": min(fields.body_limit_kib, facts.largest_body // KIB)})


async def over_limit(session: AsyncSession, facts: EngineFacts) -> list[Policy]:
    """Those that say a larger body limit than the agent can inspect: from a time with another agent."""
    return [one for one in await all_of_them(session) if one.body_limit_kib * KIB > facts.largest_body]
