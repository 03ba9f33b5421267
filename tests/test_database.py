"""The schema: brought to its newest, and left alone where it is none of ours."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

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

    assert [one.revision for one in scripts.walk_revisions()] == list(reversed(database.SCHEMAS))
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
        connection.executemany("INSERT INTO alembic_version VALUES (?)", [[one] for one in schemas])
    before = file.read_bytes()

    with pytest.raises(StorageFailed, match=f"schema is {', '.join(schemas)}"):
        database.migrate(f"sqlite+aiosqlite:///{file}")

    assert file.read_bytes() == before


def test_ids_of_what_was_deleted_are_not_given_again_after_a_migration(data_dir: Path) -> None:
    file = data_dir / "guardpanel.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO sqlite_sequence VALUES ('hostname', 70), ('policy', 41)")

    downgrade(file, "0009")
    database.migrate(f"sqlite+aiosqlite:///{file}")

    with closing(sqlite3.connect(file)) as connection:
        highest = dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
        assert (highest["policy"], highest["hostname"]) == (41, 70)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
