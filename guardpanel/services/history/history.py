"""Earlier states: the rows after each change, and how they are restored. Undo and restore are saves like any other."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from sqlmodel import col, func, literal, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Conflict, NeedsConfirmation, NotFound
from guardpanel.models import NOUNS, Deployment, Revision
from guardpanel.models.noun import Key
from guardpanel.models.revision import Outcome
from guardpanel.rendering import Rows
from guardpanel.services.history import earlier_rows
from guardpanel.services.saving import former, noun_rows, revisions, snapshots
from guardpanel.services.saving.change import Change, SaveRequest, SaveResult
from guardpanel.services.saving.changes import Changes
from guardpanel.services.saving.snapshots import Snapshot

OVERTAKEN = "This change can’t be undone because something was saved after it. Restore an earlier revision instead."

SAME = "Nothing to restore. The current values are the same."

REPLACED = "No setting was changed, so there is nothing to undo. If something was replaced, its page has what was there before."
"What is not part of the history, such as private keys, is put back there."

MOST_NAMED = 3
"Rows in a question."

UNDID, REDID = "Undid: ", "Redid: "


@dataclass(frozen=True)
class State:
    """The rows at a time and, if the engines' files were recorded for them, their revision."""

    rows: bytes
    "Packed."
    revision: int | None
    checksum: str | None


async def after(session: AsyncSession, change: Deployment) -> State | None:
    """The result of this attempt or, if it was rejected, what it would have been. None if it is no longer stored."""
    revision = await session.get(Revision, change.revision_id) if change.revision_id else None
    rows = change.snapshot if change.snapshot is not None else revision.snapshot if revision else None
    return _state(rows, revision) if rows is not None else None


async def at_revision(session: AsyncSession, number: int) -> State:
    revision = await session.get(Revision, number)
    if revision is None:
        raise NotFound(f"Revision {number} does not exist or is no longer stored.")
    return _state(revision.snapshot, revision)


async def now(session: AsyncSession) -> State:
    """The current rows: the result of the last successful change."""
    last = await newest(session)
    state = await after(session, await revisions.find(session, last)) if last else None
    if state is None:
        raise NotFound("Nothing is live yet.")
    return state


def _state(rows: bytes, revision: Revision | None) -> State:
    return State(rows, revision.id if revision else None, revision.checksum if revision else None)


async def newest(session: AsyncSession) -> int | None:
    """The last successful change, which is the one that can be undone."""
    newest_id = await session.exec(select(func.max(Deployment.id)).where(col(Deployment.outcome) == Outcome.LIVE))
    return newest_id.one()


async def predecessor(session: AsyncSession, change: Deployment) -> Deployment | None:
    """The last successful change before it."""
    rows = await session.exec(
        select(func.max(Deployment.id)).where(
            col(Deployment.outcome) == Outcome.LIVE, col(Deployment.id) < (change.id or 0)
        )
    )
    last = rows.one()
    return await revisions.find(session, last) if last else None


async def undoable(session: AsyncSession) -> int | None:
    """The newest change, if there is one before it and it changed any row."""
    last = await newest(session)
    change = await revisions.find(session, last) if last else None
    before = await predecessor(session, change) if change else None
    if change is None or before is None:
        return None
    own, earlier = await after(session, change), await after(session, before)
    return last if own and earlier and own.rows != earlier.rows else None


async def undo(changes: Changes, request: SaveRequest, change_id: int) -> SaveResult[Key | None]:
    """Restore the state before the last change. Undone again, that is a redo. The value is the changed row. Raises Conflict (409)
    if someone saved after it. A double click is one undo: both get the same response."""
    async with changes.database.read() as session:
        last, named = await newest(session), await revisions.find(session, change_id)
    change = Change(replace(request, key=f"undo-{change_id}"), _undone(named.summary), named.noun, named.noun_id)

    async def mutate(session: AsyncSession) -> Key | None:
        target = await _before(session, change_id)
        await _put(session, change, target, same=REPLACED)
        return (named.noun, named.noun_id) if named.noun and named.noun_id else None

    saved = await changes.save(change, mutate)
    if last is not None and saved.change_id < last:
        raise Conflict(OVERTAKEN)  # The answer is that of a much earlier undo.
    return saved


def _undone(summary: str) -> str:
    if summary.startswith(UNDID):
        return REDID + summary.removeprefix(UNDID)
    return UNDID + summary.removeprefix(REDID)


async def _before(session: AsyncSession, change_id: int) -> Snapshot:
    """What undoing this change restores. Raises Conflict if it cannot be undone."""
    if await newest(session) != change_id:
        raise Conflict(OVERTAKEN)
    before = await predecessor(session, await revisions.find(session, change_id))
    state = await after(session, before) if before else None
    if state is None:
        raise Conflict("This is the first change. There is nothing to undo.")
    return await asyncio.to_thread(snapshots.unpacked, state.rows)


async def restore(
    changes: Changes, request: SaveRequest, change_id: int, only: Key | None = None
) -> SaveResult[Key | None]:
    """Restore everything, or one row, as it was after this change. Raises Conflict (409) if it contradicts the current state,
    NotFound if the state is not stored or never went live."""
    async with changes.database.read() as session:
        made = await revisions.find(session, change_id)
        state = await after(session, made) if made.outcome is Outcome.LIVE else None
    if state is None:
        raise NotFound("This state can’t be restored. It never went live or is no longer stored.")
    target = await asyncio.to_thread(snapshots.unpacked, state.rows)
    noun, noun_id = only or ("", None)
    change = Change(request, f"Restored {what_is_restored(made)}", noun, noun_id)

    async def mutate(session: AsyncSession) -> Key | None:
        await _put(session, change, target, only)
        return only

    return await changes.save(change, mutate)


def what_is_restored(change: Deployment) -> str:
    """Saves that do not affect the engines share a revision: they are distinguished by what they did."""
    shared = f" as after “{change.summary[:120]}”" if change.snapshot is not None else ""
    return f"revision {change.revision_id}{shared}"


async def _put(
    session: AsyncSession, change: Change, target: Snapshot, only: Key | None = None, same: str = SAME
) -> None:
    """The earlier rows in place of the current ones. Run in a thread, as there may be thousands."""
    current, stamp = await snapshots.take(session), await revisions.highest_version(session)
    rows, touched, name = await asyncio.to_thread(_mixed, current, target, only, stamp)
    change.summary += former.without(snapshots.as_kept(target), touched)
    if not touched:
        raise Conflict(same)
    if not change.request.confirmed:
        await _must_be_as_saved(session, current, touched)
    change.touched = [f"{noun}:{number}" for noun, number in touched]
    if only is not None:
        change.summary = f"{name}: {change.summary[:1].lower()}{change.summary[1:]}"
    await snapshots.put_back(session, rows)


async def _must_be_as_saved(session: AsyncSession, current: Snapshot, touched: list[Key]) -> None:
    """Raises NeedsConfirmation (409) with the rows that something else has written since the last save: no change has that."""
    saved = await asyncio.to_thread(snapshots.unpacked, (await now(session)).rows)
    names = [] if saved == current else await asyncio.to_thread(_written_outside, current, saved, touched)
    if names:
        more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
        verb = "was" if len(names) == 1 else "were"
        raise NeedsConfirmation(
            f"{', '.join(names[:MOST_NAMED])}{more} {verb} changed in the database outside guardpanel. This overwrites it."
        )


def _written_outside(current: Snapshot, saved: Snapshot, touched: list[Key]) -> list[str]:
    """`Policy Strict`, of these rows."""
    is_now, was = (noun_rows.nouns(snapshots.rows(each), {*touched}) for each in (current, saved))
    return [
        NOUNS[noun].title((is_now.get((noun, number)) or was[noun, number])["name"])
        for noun, number in touched
        if is_now.get((noun, number)) != was.get((noun, number))
    ]


def _mixed(current: Snapshot, target: Snapshot, only: Key | None, stamp: int) -> tuple[Rows, list[Key], str]:
    now, then = snapshots.rows(current), snapshots.rows(target)
    rows = earlier_rows.with_one(now, then, *only) if only else then
    merged, touched = earlier_rows.stamped(now, rows, stamp, datetime.now(UTC))
    return merged, touched, _name(now, then, only)


def _name(now: Rows, then: Rows, only: Key | None) -> str:
    """The row as it was then, or as it is now if it did not exist."""
    if only is None:
        return ""
    noun = NOUNS[only[0]]
    return next(noun.name(row) for row in (*then[noun.table_name], *now[noun.table_name]) if row["id"] == only[1])


def row_named(text: str) -> Key | None:
    """The row of `virtual_host:17`. None if that can't be one."""
    noun, _, number = text.partition(":")
    is_row = noun in NOUNS and number.isascii() and number.isdigit() and len(number) < 16
    return (noun, int(number)) if is_row else None


class RowLink(NamedTuple):
    """An existing row: its name, and the URL of its page."""

    name: str
    url: str


async def there(session: AsyncSession, keys: set[Key]) -> dict[Key, RowLink]:
    """Those that still exist."""
    by_key: dict[Key, RowLink] = {}
    for noun in NOUNS.values():
        ids = sorted(row_id for kind, row_id in keys if kind == noun.key)
        if noun.only_name:
            by_key.update({(noun.key, row_id): RowLink(noun.only_name, noun.path) for row_id in ids})
            continue
        columns = noun.table.__table__.c  # type: ignore[attr-defined]
        parent = columns[noun.within] if noun.within else literal(None)
        for start in range(0, len(ids), 500):
            some = columns.id.in_(ids[start : start + 500])
            rows = await session.exec(select(columns.id, columns.name, parent).where(some))
            by_key.update(
                {(noun.key, row_id): RowLink(name, noun.url(row_id, within)) for row_id, name, within in rows.all()}
            )
    return by_key
