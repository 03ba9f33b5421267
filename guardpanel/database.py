"""SQLite: readers next to one writer.

Two engines on one file. Readers begin deferred and never wait. The writer begins IMMEDIATE, so that what it has read cannot
change before it writes (a deferred transaction that turns into a write fails with "database is locked", and the driver's default
mode loses updates silently). `synchronous=FULL`: a committed save survives a power failure.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, make_url, pool
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import StorageFailed
from guardpanel.sqlite_connection import OneTripConnection

PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=5000",
    "temp_store=MEMORY",
)

READERS = 5

READER_CACHE, LOOKER_CACHE, WRITER_CACHE = 1_000, 100, 4_000
"""KiB of the database's pages that a connection keeps. 3,000 are 5,000 virtual hosts. A reader that looks through them all has
them from the system again in 2 ms: each reader would keep its own."""

MIGRATIONS = Path(__file__).parent / "migrations"

SCHEMAS = tuple(sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")))
"All schema revisions, newest last."

_one_migration = threading.Lock()
"Alembic keeps the running migration in module state."


class Database:
    """The panel's database. It must be closed, or the process does not exit: aiosqlite's threads are not daemons."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.reading = _engine(url, "BEGIN", connections=READERS, cache=READER_CACHE)
        self.looking = _engine(url, "BEGIN", connections=1, cache=LOOKER_CACHE)
        self.writing = _engine(url, "BEGIN IMMEDIATE", connections=1, cache=WRITER_CACHE)
        self._one_writer = asyncio.Lock()
        self._watching = sqlite3.connect(
            make_url(url).database or "", timeout=0, check_same_thread=False, isolation_level=None
        )

    def version(self) -> int:
        """Changes whenever anything is written to the database, by any process. Takes microseconds: it reads shared memory.
        While SQLite is busy, each answer differs."""
        try:
            (number,) = self._watching.execute("PRAGMA data_version").fetchone()
        except sqlite3.OperationalError:
            return -time.monotonic_ns()
        return int(number)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self.reading, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def look(self) -> AsyncIterator[AsyncSession]:
        """A short session beside one that is open: if all of `read` were, each would wait for another one's connection."""
        async with AsyncSession(self.looking, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A writing session. Commits at the end of the block and rolls back if it raises. Raises StorageFailed if SQLite cannot
        write: the disk is full or read-only, or another writer blocks it."""
        async with self._one_writer:
            try:
                async with AsyncSession(self.writing, expire_on_commit=False) as session:
                    yield session
                    await session.commit()
            except OperationalError as error:
                raise StorageFailed(f"The database cannot be written: {error.orig}.") from error

    async def migrate(self) -> None:
        await asyncio.to_thread(migrate, self.url)

    async def close(self) -> None:
        await self.reading.dispose()
        await self.looking.dispose()
        await self.writing.dispose()
        self._watching.close()


def migrate(url: str) -> None:
    """Migrate to the newest schema. Raises StorageFailed if the current one is unknown. Alembic is not imported if there is
    nothing to do, which saves a tenth of the startup time."""
    url = url.replace("+aiosqlite", "")
    schema = _schema(url)
    if schema == SCHEMAS[-1]:
        return
    if schema and not is_known_schema(schema):
        raise StorageFailed(
            f"The database’s schema is {schema}, which this guardpanel does not know: it knows {SCHEMAS[0]} to {SCHEMAS[-1]}. "
            "Start the version that wrote it, or a newer one."
        )

    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    with _one_migration:
        command.upgrade(config, "head")


def _schema(url: str) -> str:
    """The schema revision that Alembic recorded in a database. Empty for a new one."""
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        try:
            return ", ".join(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars())
        except OperationalError:  # The table does not exist. Alembic reports any other error.
            return ""


def is_known_schema(revision: str) -> bool:
    """Whether a database with this schema can be migrated to ours. A newer guardpanel's cannot."""
    return revision in SCHEMAS


def _engine(url: str, begin: str, *, connections: int, cache: int) -> AsyncEngine:
    """The connection used last is used next: it keeps the pages that are read most. In turns, each would keep all of them."""
    engine = create_async_engine(url, pool_size=connections, max_overflow=0, pool_use_lifo=True)

    @event.listens_for(engine.sync_engine, "do_connect")
    def _one_trip(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        return dialect.connect(*arguments, **options, async_creator_fn=_open)

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: DBAPIConnection, _record: Any) -> None:
        connection.isolation_level = None  # We issue BEGIN ourselves.
        cursor = connection.cursor()
        for pragma in (*PRAGMAS, f"cache_size=-{cache}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.connection.driver_connection.begin_with(begin)

    return engine


async def _open(path: str, **options: Any) -> OneTripConnection:
    connection = OneTripConnection(path, **options)
    await connection
    return connection
