"""The copy of the database that goes into a backup."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates import contents
from guardpanel.database import Database
from guardpanel.models import AccessToken, ApiToken, IdempotencyKey, Installation, Session
from guardpanel.models.revision import Outcome
from guardpanel.places import sqlite_url
from guardpanel.services.saving import revisions, snapshots
from guardpanel.services.saving.facts import SETUP

UNDER_WAY = "It was in progress when the backup was made. The backup contains the state before it."


def copy_database(source: Path, target: Path) -> None:
    """A snapshot of the database. Writers continue: it reads in one transaction of WAL mode."""
    with closing(sqlite3.connect(source, timeout=30, isolation_level=None)) as database:
        database.execute("VACUUM INTO ?", (str(target),))


async def settle(path: Path) -> tuple[int | None, str | None]:
    """Remove transient data from a copy. Returns the live revision and its checksum."""
    async with database_at(path) as copy:
        await copy.migrate()
        async with copy.write() as session:
            await (await session.connection()).exec_driver_sql("PRAGMA secure_delete = ON")
            for table in (AccessToken, ApiToken, IdempotencyKey, Session):
                await session.exec(delete(table))
            await session.exec(delete(Installation).where(col(Installation.name) == SETUP))
            await _end_open_changes(session)
            live = await revisions.live(session)
    await asyncio.to_thread(_one_file, path)
    return (live.id, live.checksum) if live else (None, None)


async def _end_open_changes(session: AsyncSession) -> None:
    for change in reversed(await revisions.open_deployments(session)):
        if change.before is not None:
            await snapshots.put_back(session, snapshots.rows(snapshots.unpacked(change.before)))
            await contents.retire_rolled_back(session)
        change.outcome, change.message, change.before = Outcome.ROLLED_BACK, UNDER_WAY, None
        session.add(change)


def _one_file(path: Path) -> None:
    """Without the WAL mode's additional files."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = DELETE")


@asynccontextmanager
async def database_at(path: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(path))
    try:
        yield database
    finally:
        await database.close()
