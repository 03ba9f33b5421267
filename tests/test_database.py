"""The schema: brought to its newest, and left alone where it is none of ours."""

import sqlite3
import subprocess
import sys
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel import database
from guardpanel.errors import StorageFailed
from tests.schemas import downgrade

MIGRATED = """
import sys
from guardpanel.database import migrate
migrate(sys.argv[1])
print("alembic" in sys.modules)
"""


def test_schemas_are_those_that_alembic_knows_in_its_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)

    assert [revision.revision for revision in scripts.walk_revisions()] == list(reversed(database.SCHEMAS))
    assert scripts.get_heads() == [database.SCHEMAS[-1]]


def test_alembic_is_imported_where_there_is_something_to_migrate_and_nowhere_else(folder: Path) -> None:
    command = [sys.executable, "-c", MIGRATED, f"sqlite:///{folder / 'guardpanel.db'}"]

    for imported in ("True\n", "False\n"):
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == imported


@pytest.mark.parametrize("schemas", [["9999"], ["0001", database.SCHEMAS[-1]]])
def test_a_schema_that_is_not_known_is_left_as_it_is(data_dir: Path, schemas: list[str]) -> None:
    file = data_dir / "guardpanel.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM alembic_version")
        connection.executemany("INSERT INTO alembic_version VALUES (?)", [[schema] for schema in schemas])
    before = file.read_bytes()

    with pytest.raises(StorageFailed, match=f"schema is {', '.join(schemas)}"):
        database.migrate(f"sqlite+aiosqlite:///{file}")

    assert file.read_bytes() == before


def test_ids_of_what_was_deleted_are_not_given_again_after_any_migration(data_dir: Path) -> None:
    """Also of tables that a migration rebuilds, there and back: those that the models say, and no others."""
    file = data_dir / "guardpanel.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM sqlite_sequence")
        connection.executemany("INSERT INTO sqlite_sequence VALUES (?, 70)", [[table] for table in counted(connection)])

    downgrade(file, "0009")
    database.migrate(f"sqlite+aiosqlite:///{file}")

    with closing(sqlite3.connect(file)) as connection:
        old = {"hostname", "policy", "server", "user", "virtualhost"}
        highest = dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
        assert {table: highest.get(table) for table in old} == dict.fromkeys(old, 70)
        assert counted(connection) == {
            table.name
            for table in SQLModel.metadata.tables.values()
            if table.dialect_options["sqlite"]["autoincrement"]
        }
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def counted(connection: sqlite3.Connection) -> set[str]:
    """The tables that never give an id again."""
    tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    return {name for name, sql in tables if "AUTOINCREMENT" in (sql or "")}


@pytest.mark.anyio
async def test_readers_one_after_another_share_the_pages_that_one_of_them_keeps(data_dir: Path) -> None:
    """And all connections keep at most 36 MB, however large the database is."""
    opened = database.Database(f"sqlite+aiosqlite:///{data_dir / 'guardpanel.db'}")
    try:
        async with AsyncExitStack() as at_once:
            sessions = [await at_once.enter_async_context(opened.read()) for _ in range(database.READERS)]
            kept = [await cache_of(session) for session in sessions]
            used = {await connection_of(session) for session in sessions}
        async with opened.write() as session:
            kept.append(await cache_of(session))

        assert len(used) == database.READERS
        assert 0 < sum(kept) <= 36_000
        again = set()
        for _ in range(2 * database.READERS):
            async with opened.read() as session:
                again.add(await connection_of(session))
        assert len(again) == 1
    finally:
        await opened.close()


async def connection_of(session: AsyncSession) -> int:
    return id((await (await session.connection()).get_raw_connection()).driver_connection)


async def cache_of(session: AsyncSession) -> int:
    """KiB."""
    (size,) = (await (await session.connection()).exec_driver_sql("PRAGMA cache_size")).one()
    return -int(size)
