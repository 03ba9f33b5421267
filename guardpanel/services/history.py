"""Earlier states: what a change did, and how it is undone or restored. Both are saves like any other."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.bundle import Bundle
from guardpanel.errors import Conflict, NotFound
from guardpanel.models import Deployment, Revision
from guardpanel.models.revision import Outcome
from guardpanel.rendering import Rows
from guardpanel.services import differences, revisions, snapshots
from guardpanel.services.changes import Asked, Change, Changes, Saved
from guardpanel.services.differences import Difference
from guardpanel.services.snapshots import Snapshot
from guardpanel.services.text_differences import FileDifference, of_agent, of_haproxy

EMPTY: Rows = {"policy": [], "virtualhost": [], "hostname": [], "server": []}

Row = Mapping[str, Any]


async def after(session: AsyncSession, change: Deployment) -> Snapshot | None:
    """The rows that this attempt made or, where it was refused, would have made."""
    if change.snapshot is not None:
        return snapshots.unpacked(change.snapshot)
    revision = await session.get(Revision, change.revision_id) if change.revision_id else None
    return snapshots.unpacked(revision.snapshot) if revision else None


async def predecessor(session: AsyncSession, change: Deployment) -> Deployment | None:
    """The last attempt before it that went through."""
    found = await session.exec(
        select(Deployment)
        .where(col(Deployment.outcome) == Outcome.LIVE, col(Deployment.id) < change.id)
        .order_by(col(Deployment.id).desc())
        .limit(1)
    )
    return found.first()


async def newest(session: AsyncSession) -> Deployment | None:
    """The last attempt that went through: the one that can be undone."""
    found = await session.exec(
        select(Deployment).where(col(Deployment.outcome) == Outcome.LIVE).order_by(col(Deployment.id).desc()).limit(1)
    )
    return found.first()


async def undo(changes: Changes, asked: Asked, change_id: int) -> Saved[None]:
    """Put back what was before the last change. Conflict (409) if somebody saved after it."""
    async with changes.database.read() as session:
        change = await revisions.find(session, change_id)
        last, before = await newest(session), await predecessor(session, change)
        wanted = await after(session, before) if before else None
    if last is None or last.id != change.id:
        raise Conflict(
            "Something was saved after this change, so it cannot be undone alone. Restore an earlier revision instead."
        )
    if wanted is None:
        raise Conflict("There is nothing before this change to go back to.")
    summary = f"Undid: {change.summary}"
    return await _put(
        changes, Change(replace(asked, key=f"undo-{change_id}"), summary, change.noun, change.noun_id), wanted
    )


async def restore(
    changes: Changes, asked: Asked, change_id: int, noun: str = "", noun_id: int | None = None
) -> Saved[None]:
    """Put everything, or one virtual host or policy, back as it was after this change."""
    async with changes.database.read() as session:
        change = await revisions.find(session, change_id)
        wanted = await after(session, change) if change.outcome is Outcome.LIVE else None
    if wanted is None:
        raise NotFound("Its state is not kept, so it cannot be restored.")
    what = f"revision {change.revision_id}"
    if noun:
        name = _name(snapshots.rows(wanted), noun, noun_id or 0)
        summary = f"Restored {name} from {what}" if name else f"Removed a {noun.replace('_', ' ')}, as in {what}"
        return await _put(changes, Change(asked, summary, noun, noun_id), wanted, only=(noun, noun_id or 0))
    return await _put(changes, Change(asked, f"Restored {what}"), wanted)


async def _put(changes: Changes, change: Change, wanted: Snapshot, only: tuple[str, int] | None = None) -> Saved[None]:
    async def mutate(session: AsyncSession) -> None:
        now, then = snapshots.rows(await snapshots.take(session)), snapshots.rows(wanted)
        merged = one_of(now, then, *only) if only else then
        must_fit(merged)
        await snapshots.put_back(session, stamped(now, merged, await stamp(session)))

    return await changes.save(change, mutate)


async def stamp(session: AsyncSession) -> int:
    """Higher than any row's version ever was, as each edit is one attempt: a form from before is stale then."""
    newest_id = (await session.exec(select(func.max(Deployment.id)))).one()
    return (newest_id or 0) + 2


def one_of(now: Rows, then: Rows, noun: str, noun_id: int) -> Rows:
    """The rows as they are, but this noun as it was then; gone, if it was not there."""
    table = differences.TABLES.get(noun)
    if table is None:
        raise NotFound("There is no such thing to restore.")
    mixed = {name: list(rows) for name, rows in now.items()}
    own = {table: "id"} | (dict.fromkeys(differences.CHILDREN, "virtual_host_id") if noun == "virtual_host" else {})
    for name, column in own.items():
        mixed[name] = [row for row in mixed[name] if row[column] != noun_id]
        mixed[name] += [row for row in then[name] if row[column] == noun_id]
    return {name: _fresh_ids(now[name], rows) if name in differences.CHILDREN else rows for name, rows in mixed.items()}


def _fresh_ids(now: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """Ids of names and servers are nobody's: one that was given to another row since gets a new one."""
    taken: set[int] = set()
    free = count(max((row["id"] for row in (*now, *rows)), default=0) + 1)
    found: list[Row] = []
    for row in rows:
        own = row["id"] if row["id"] not in taken else next(free)
        taken.add(own)
        found.append({**row, "id": own})
    return found


def must_fit(rows: Rows) -> None:
    """Conflict (409) where one noun from then does not fit the others of now."""
    policies = {row["id"] for row in rows["policy"]}
    names = {row["id"]: row["name"] for row in rows["virtualhost"]}
    lost = [row["name"] for row in rows["virtualhost"] if row["policy_id"] and row["policy_id"] not in policies]
    if lost:
        raise Conflict(f"{', '.join(lost[:5])} would be without its policy. Restore or change that first.")
    owners: dict[str, int] = {}
    for row in rows["hostname"]:
        other = owners.setdefault(row["name"], row["virtual_host_id"])
        if other != row["virtual_host_id"]:
            raise Conflict(f"{row['name']} belongs to {names[other]} now. Change that first.")
    seen: set[str] = set()
    for row in rows["policy"]:
        if row["name"].lower() in seen:
            raise Conflict(f"There is another policy {row['name']} now. Change that first.")
        seen.add(row["name"].lower())


def stamped(now: Rows, then: Rows, stamp: int) -> Rows:
    """The rows from then; each noun that differs from now counts as edited now, the others stay as they are."""
    old, new = differences.nouns(now), differences.nouns(then)
    kept = {(noun, row["id"]): row for noun, table in differences.TABLES.items() for row in now[table]}
    fresh = {"version": stamp, "updated_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")}
    result = dict(then)
    for noun, table in differences.TABLES.items():
        result[table] = [
            kept[noun, row["id"]] if old.get((noun, row["id"])) == new[noun, row["id"]] else {**row, **fresh}
            for row in then[table]
        ]
    return result


def _name(rows: Rows, noun: str, noun_id: int) -> str:
    return next((str(row["name"]) for row in rows[differences.TABLES.get(noun, "policy")] if row["id"] == noun_id), "")


@dataclass(frozen=True)
class Comparison:
    """What a change did to the rows and to both engines' files, against another state (`before` None: nothing)."""

    before: Deployment | None
    nouns: list[Difference]
    haproxy: list[FileDifference]
    agent: list[FileDifference]


async def compared(
    changes: Changes, session: AsyncSession, change: Deployment, against: Deployment | None
) -> Comparison | None:
    """None where the change's rows are not kept any more."""
    now = await after(session, change)
    then = await after(session, against) if against else None
    if now is None or (against is not None and then is None):
        return None
    new, old = await changes.rendered(now), await changes.rendered(then) if then else None
    return await asyncio.to_thread(_compared, against, now, then, new, old)


def _compared(
    against: Deployment | None, now: Snapshot, then: Snapshot | None, new: Bundle, old: Bundle | None
) -> Comparison:
    before = snapshots.rows(then) if then else EMPTY
    return Comparison(
        against, differences.between(before, snapshots.rows(now)), of_haproxy(old, new), of_agent(old, new)
    )
