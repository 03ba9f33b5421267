"""What a save does not read again is as it was: every table that was written, in whatever way, is read."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError

from guardpanel.database import Database
from guardpanel.services.saving import rereading, snapshots
from guardpanel.services.saving.renderer import FACTS, FACTS_TABLES
from guardpanel.sqlite_connection import WrittenTables
from tests.services.saving.test_snapshots import WRITES, database

__all__ = ("database",)

pytestmark = pytest.mark.anyio

MORE = (
    ("DELETE FROM policy WHERE id = ?", 2),
    ("UPDATE OR IGNORE policy SET name = ?", "C"),
    ("REPLACE INTO hostname (id, virtual_host_id, name, position) VALUES (1, 1, ?, 0)", "other.example"),
    ("WITH other AS (SELECT ? AS name) UPDATE policy SET description = (SELECT name FROM other)", "By a longer way"),
    ("DELETE FROM virtualhost WHERE id = ?", 1),
)


async def test_rows_are_taken_again_from_the_tables_that_were_written(database: Database) -> None:
    async with database.write() as session:
        writer = await rereading.writer_of(session)
        assert rereading.changed(writer) == rereading.ALL
        before = await rereading.take(session, "", rereading.ALL)
        for statement, value in WRITES + MORE:
            await (await session.connection()).exec_driver_sql(statement, (value,))
            tables = rereading.changed(writer)
            after = await rereading.take(session, before, tables)
            assert after == await snapshots.take(session) != before, statement
            before = after
        assert not rereading.changed(writer)
        assert await rereading.take(session, before, ()) is before


async def test_what_was_rolled_back_was_written(database: Database) -> None:
    async with database.write() as session:
        rereading.changed(await rereading.writer_of(session))
    with pytest.raises(IntegrityError):
        async with database.write() as session:
            await (await session.connection()).exec_driver_sql("UPDATE server SET virtual_host_id = 9")
    async with database.write() as session:
        assert rereading.changed(await rereading.writer_of(session)) == {"server"}


@pytest.mark.parametrize(
    ("statement", "written"),
    [
        ('INSERT INTO "order" DEFAULT VALUES', WrittenTables(changed={"order"})),
        ("DELETE FROM policy", WrittenTables(emptied={"policy"})),
        ("UPDATE main.policy SET name = 1", WrittenTables(is_known=False)),
        ("INSERT OR REPLACE INTO policy VALUES (1)", WrittenTables(is_known=False)),
        ("update policy SET name = 1", WrittenTables(is_known=False)),
        ("DROP TABLE policy", WrittenTables(is_known=False)),
        ("SELECT 'UPDATE policy SET name = 1'", WrittenTables()),
    ],
)
def test_statements_of_which_it_is_not_known_what_they_write_write_everything(
    statement: str, written: WrittenTables
) -> None:
    noted = WrittenTables()
    noted.note(statement)
    assert noted == written


def test_deleting_rows_changes_all_tables_whose_foreign_keys_lead_there(data_dir: Path) -> None:
    connection = sqlite3.connect(data_dir / "guardpanel.db")
    keys = connection.execute(
        'SELECT child.name, key."table" FROM sqlite_master child, pragma_foreign_key_list(child.name) key'
    ).fetchall()
    assert ("hostname", "virtualhost") in keys
    for child, parent in keys:
        assert child in rereading.reached_from(parent)
        assert rereading.reached_from(child) <= rereading.reached_from(parent)
    assert not connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()


def test_facts_are_asked_again_after_a_write_to_any_table_that_they_are_read_from(
    data_dir: Path,
) -> None:
    read = set()

    def note(action: int, table: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ:
            read.add(table)
        return sqlite3.SQLITE_OK

    connection = sqlite3.connect(data_dir / "guardpanel.db")
    connection.set_authorizer(note)
    compiled = FACTS.params(master_key="").compile(
        dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True}
    )
    connection.execute(str(compiled), [""] * len(compiled.positiontup or ()))
    assert read & rereading.ALL == FACTS_TABLES
