"""Restores a backup's configuration, accounts and secret through the path of every save.

On a machine without any history but its first start, the backup's history is restored, too, and the machine's own records are
renumbered to follow it. Elsewhere the machine keeps its history, and the restore is one more revision. If no engine runs, both
check the configuration, and the next start makes it live.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Table
from sqlmodel import SQLModel, col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines.releases import Releases
from guardpanel.errors import EngineUnavailable
from guardpanel.models import NOUNS, Deployment, IdempotencyKey, Installation
from guardpanel.models.noun import Key
from guardpanel.models.revision import Outcome
from guardpanel.rendering import Rows
from guardpanel.sealing import Seal
from guardpanel.services.backups import keys, lists
from guardpanel.services.backups.backups import Candidate
from guardpanel.services.history import earlier_rows
from guardpanel.services.saving import differences, facts, revisions, snapshots
from guardpanel.services.saving.changes import Change, Changes, SaveRequest, SaveResult
from guardpanel.services.saving.differences import Kind
from guardpanel.services.truth import startup

HISTORY: tuple[Table, ...] = tuple(SQLModel.metadata.tables[name] for name in ("revision", "deployment"))
AT_ONCE = 50
"Revisions, each with its rows, in memory at a time."

COMMAND = SaveRequest("guardpanel restore")
REPLACED = "It was in progress when a backup was restored."


@dataclass(frozen=True)
class Outlook:
    """What a restore would change: `counts` by noun, (now, then), and `changed` by noun and kind."""

    counts: dict[str, tuple[int, int]]
    changed: dict[tuple[str, Kind], int]
    takes_history: bool


ACCOUNT = "account"
"What is counted besides the nouns."

COUNTED = {noun.key: noun.table_name for noun in reversed([*NOUNS.values()]) if not noun.only_name} | {ACCOUNT: "user"}


async def outlook(session: AsyncSession, candidate: Candidate) -> Outlook:
    now = await asyncio.to_thread(snapshots.rows, await snapshots.take_whole(session))
    counted = {noun: (len(now[table]), len(candidate.rows[table])) for noun, table in COUNTED.items()}
    changes = await asyncio.to_thread(differences.between, now, candidate.rows)
    counts = {noun: numbers for noun, numbers in counted.items() if any(numbers)}
    changed: dict[tuple[str, Kind], int] = {}
    for difference in changes:
        changed[difference.noun, difference.kind] = changed.get((difference.noun, difference.kind), 0) + 1
    return Outlook(counts, changed, await is_new_here(session))


async def restore(changes: Changes, request: SaveRequest, candidate: Candidate) -> SaveResult[None]:
    """Make it live. Raises like every save, after which nothing was restored."""

    async def mutate(session: AsyncSession) -> None:
        await _put(session, candidate, changes.seal)
        await lists.fill(session, changes.engines.feeds)

    return await changes.save(Change(request, candidate.summary, of_backup=True), mutate)


async def from_command(changes: Changes, candidate: Candidate) -> str:
    """Restore while no panel runs. Returns a sentence about what is live afterwards."""
    if not await must_answer_alike(changes):
        await put_in(changes, COMMAND, candidate)
        return (
            f"{candidate.summary}. Both engines accept it. They are not running: it goes live when guardpanel starts."
        )
    failed = await startup.bring_up(changes)
    if failed is not None:
        raise EngineUnavailable(
            f"The running configuration could not be verified first: {failed} Nothing was restored."
        )
    saved = await restore(changes, COMMAND, candidate)
    return f"{candidate.summary}. {saved.sentence}."


async def must_answer_alike(changes: Changes) -> bool:
    """Whether both engines run (True) or neither does. Raises EngineUnavailable (503) if only one does."""
    status = await changes.engines.status()
    if status.haproxy.running != status.agent.running:
        words = status.agent.problem if status.haproxy.running else status.haproxy.problem
        raise EngineUnavailable(f"{words or 'One engine is not responding'}. Start both engines, or stop both.")
    return status.haproxy.running


async def put_in(changes: Changes, request: SaveRequest, candidate: Candidate) -> None:
    """Write it to the database after both engines have checked it. The next start makes it live."""
    async with changes.turn(), changes.database.write() as session:
        for left in await revisions.open_deployments(session):
            left.outcome, left.message, left.before = Outcome.ROLLED_BACK, REPLACED, None
            session.add(left)
        await session.flush()
        before = await snapshots.take(session)
        await _put(session, candidate, changes.seal)
        await facts.note_restored(session, facts.RestoredBackup(request.who, candidate.summary))
        change, after = Change(request, candidate.summary, of_backup=True), await snapshots.take(session)
        bundle = await changes.renderer.accepted(change, before, after, await changes.renderer.facts_in(session))
        with TemporaryDirectory(prefix="guardpanel-") as folder:
            release = await asyncio.to_thread(Releases(Path(folder)).stage, 1, bundle)
            names = [app.name for app in bundle.applications]
            await changes.engines.check(release, bundle, changed=names, names=[])


async def _put(session: AsyncSession, candidate: Candidate, seal: Seal) -> None:
    rows = candidate.rows
    if await is_new_here(session):
        await _take_history(session, candidate.database)
    else:
        now, stamp = await snapshots.take(session), await revisions.highest_version(session)
        rows, _ = await asyncio.to_thread(_stamped, now, rows, stamp)
    await snapshots.put_back(session, await _with_own_facts(session, rows))
    await session.exec(delete(IdempotencyKey))  # They name changes by their numbers, which may be others now.
    session.expire_all()
    await keys.restore(session, candidate.database, seal)
    await lists.restore(session, candidate.database)


def _stamped(now: snapshots.Snapshot, rows: Rows, stamp: int) -> tuple[Rows, list[Key]]:
    return earlier_rows.stamped(snapshots.rows(now), rows, stamp, datetime.now(UTC))


async def is_new_here(session: AsyncSession) -> bool:
    """Whether nobody has changed anything on this machine yet: what it did at its first start is not history."""
    deployments = await session.exec(select(Deployment.id).where(col(Deployment.author) != startup.PANEL.who).limit(1))
    return deployments.first() is None


async def _with_own_facts(session: AsyncSession, rows: Rows) -> Rows:
    """What the backup of a machine that never ran lacks stays as it is here, including the setup link while there is no
    account."""
    known = {row["name"] for row in rows["installation"]} | ({facts.SETUP} if rows["user"] else set())
    own = (await session.exec(select(Installation.name, Installation.value))).all()
    own_facts = [{"name": name, "value": value} for name, value in own if name not in known]
    return {**rows, "installation": [*rows["installation"], *own_facts]}


async def _take_history(session: AsyncSession, path: Path) -> None:
    """Restore the backup's revisions and changes with their own numbers. Those of this machine follow."""
    connection = await session.connection()
    await connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    last = await asyncio.to_thread(_last_numbers, path)
    for table, column in (("revision", "id"), ("deployment", "id"), ("deployment", "revision_id")):
        source = "revision" if column == "revision_id" else table
        # Through negative numbers, since no two rows may ever have the same one.
        await connection.exec_driver_sql(f"UPDATE {table} SET {column} = -{column}")  # noqa: S608 our own tables
        await connection.exec_driver_sql(f"UPDATE {table} SET {column} = ? - {column}", (last[source],))  # noqa: S608
    session.expire_all()
    for table_ in HISTORY:
        names = [column.name for column in table_.columns]
        statement = f"INSERT INTO {table_.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
        for at in count(0, AT_ONCE):
            history = await asyncio.to_thread(_history, path, table_.name, names, at)
            if not history:
                break
            await connection.exec_driver_sql(statement, history)


def _last_numbers(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as database:
        return {
            table.name: database.execute(f"SELECT max(id) FROM {table.name}").fetchone()[0] or 0  # noqa: S608
            for table in HISTORY
        }


def _history(path: Path, table: str, names: Sequence[str], offset: int) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        statement = f"SELECT {', '.join(names)} FROM {table} ORDER BY id LIMIT {AT_ONCE} OFFSET ?"  # noqa: S608
        return database.execute(statement, (offset,)).fetchall()
