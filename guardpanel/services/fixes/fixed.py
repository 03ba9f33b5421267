"""Which change fixed a group of events.

It is stored in a column of the policy that the fix belongs to, so that it is part of every state: an undo, a restore and a
rollback remove it together with the fix, and a redo brings both back. A fix is over once a row that its change added is deleted
or disabled; the change names them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import defer
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import NotFound
from guardpanel.events.grouping import GroupKey
from guardpanel.models import NOUNS, Deployment, Policy
from guardpanel.models.rules.custom_rule import NOUN as CUSTOM_RULE
from guardpanel.services import policy_uses

MOST = 500
"Recently fixed groups of a policy that are remembered. Every revision contains them."

LIGHT: tuple[Any, ...] = tuple(
    defer(column)  # type: ignore[arg-type]
    for column in (Deployment.snapshot, Deployment.before, Deployment.output)
)
"Without what may be megabytes."


@dataclass(frozen=True)
class Fix:
    change_id: int
    "The id among the changes."
    revision: int | None
    at: datetime
    "When it went live."
    is_over: bool = False
    "A row that it added was deleted or disabled since."


async def record(session: AsyncSession, policy_id: int, group: str) -> None:
    """Call it within the save that fixes a group. Raises NotFound if the policy is gone."""
    policy = await session.get(Policy, policy_id)
    if policy is None:
        raise NotFound("Policy not found.")
    others = {key: change for key, change in policy.fixed_groups.items() if key != group}
    kept = list(others.items())[max(0, len(others) - MOST + 1) :]
    policy.fixed_groups = dict([*kept, (group, await _this_change(session))])
    session.add(policy)


async def of_groups(session: AsyncSession, groups: Collection[str]) -> dict[str, Fix]:
    """The fixed ones, by key: in the policy that their virtual host has now."""
    keys = {group: key for group in groups if (key := GroupKey.read(group))}
    fixed_on = await _by_virtual_host(session, {key.virtual_host_id for key in keys.values() if key.virtual_host_id})
    changes = {
        group: change for group, key in keys.items() if (change := fixed_on.get(key.virtual_host_id, {}).get(group))
    }
    fixes = await _fixes(session, set(changes.values()))
    return {group: fixes[change] for group, change in changes.items() if change in fixes}


async def of_group(session: AsyncSession, group: str) -> Fix | None:
    return (await of_groups(session, [group])).get(group)


async def _this_change(session: AsyncSession) -> int:
    """The number of the attempt that this transaction records: each save records one, as its last step."""
    connection = await session.connection()
    last = await connection.exec_driver_sql(
        "SELECT seq FROM sqlite_sequence WHERE name = ?", (Deployment.__tablename__,)
    )
    return int(last.scalar() or 0) + 1


async def _by_virtual_host(session: AsyncSession, ids: Collection[int]) -> dict[int | None, Mapping[str, int]]:
    """Of its policy, and of those of its paths."""
    uses = policy_uses.users()
    fixed_on = select(uses.c.virtual_host_id, Policy.fixed_groups).join(Policy, col(Policy.id) == uses.c.policy_id)
    rows = await session.exec(fixed_on.where(uses.c.virtual_host_id.in_(ids)))
    by_host: dict[int | None, Mapping[str, int]] = {}
    for number, fixed in rows.all():
        by_host[number] = {**by_host.get(number, {}), **fixed}
    return by_host


async def _fixes(session: AsyncSession, changes: Collection[int]) -> dict[int, Fix]:
    """Without those that are no longer stored."""
    question = select(Deployment).options(*LIGHT).where(col(Deployment.id).in_(changes))
    rows = (await session.exec(question)).all()
    missing = await _missing(session, (added for row in rows for added in row.touched))
    return {
        row.id: Fix(
            row.id,
            row.revision_id,
            row.started_at + timedelta(seconds=row.seconds),
            is_over=not missing.isdisjoint(row.touched),
        )
        for row in rows
        if row.id is not None
    }


async def _missing(session: AsyncSession, rows: Iterable[str]) -> set[str]:
    """Of the rows of policies, written as `rule_exclusion:17`, those that are deleted or disabled; of custom rules, which a fix
    disables, those that are enabled."""
    by_noun: dict[str, set[int]] = defaultdict(set)
    for key, _, number in (row.partition(":") for row in rows):
        if key in NOUNS and NOUNS[key].parent == "policy":
            by_noun[key].add(int(number))
    missing: set[str] = set()
    for key, ids in by_noun.items():
        table: Any = NOUNS[key].table
        has_effect = [col(table.enabled)] if hasattr(table, "enabled") else []
        active = set((await session.exec(select(table.id).where(col(table.id).in_(ids), *has_effect))).all())
        over = ids & active if key == CUSTOM_RULE.key else ids - active
        missing |= {f"{key}:{number}" for number in over}
    return missing
