"""Rows of a snapshot are those of the tables, whoever wrote them since the last one was parsed."""

import json
import sqlite3
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from guardpanel.database import Database
from guardpanel.models import Policy, VirtualHost
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.rendering import Rows
from guardpanel.services.saving import snapshots
from guardpanel.services.saving.parsed_rows import PART, ParsedRows

pytestmark = pytest.mark.anyio

WRITES = (
    ("UPDATE policy SET name = ? WHERE id = 2", 'New\nline], "rows":[\n[1,2],\n]}'),
    ("UPDATE server SET address = ? WHERE virtual_host_id = 1", "127.0.0.1:2"),
    ("UPDATE server SET address = ? WHERE virtual_host_id = 1", "127.0.0.1:1"),
    ("INSERT INTO hostname (virtual_host_id, name, position) VALUES (1, ?, 1)", "añadido.example"),
    ("UPDATE hostname SET position = ? WHERE position = 1", 2),
    ("DELETE FROM hostname WHERE position = ?", 2),
    ("DELETE FROM server WHERE address = ?", "127.0.0.1:1"),
    ("UPDATE policy SET allowed_methods = json_array(?) WHERE id = 1", "GET"),
)
"By another process, one after the other."


@pytest.fixture
async def database(data_dir: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite+aiosqlite:///{data_dir / 'guardpanel.db'}")
    async with database.write() as session:
        session.add_all(Policy(name=name).replace(PolicyFields(name=name)) for name in ("A", "B"))
        fields = VirtualHostFields.model_validate(
            {"hostnames": "shop.example", "servers": [{"address": "127.0.0.1:1"}], "policy_id": 1}
        )
        session.add(VirtualHost(name=fields.name, hostnames=[], servers=[]).replace(fields))
    yield database
    await database.close()


async def taken(database: Database) -> str:
    async with database.read() as session:
        return await snapshots.take(session)


def parsed_whole(snapshot: str) -> dict[str, list[dict[str, Any]]]:
    return {
        table: [dict(zip(kept["columns"], row, strict=True)) for row in kept["rows"]]
        for table, kept in json.loads(snapshot).items()
    }


async def test_rows_are_as_stored_after_each_write_of_another_process(database: Database, data_dir: Path) -> None:
    before: Rows = snapshots.rows(await taken(database))
    for statement, value in WRITES:
        with sqlite3.connect(data_dir / "guardpanel.db") as other:
            assert other.execute(statement, (value,)).rowcount == 1
        other.close()
        snapshot = await taken(database)

        now = snapshots.rows(snapshot)

        assert now == parsed_whole(snapshot) != before
        assert snapshots.rows(json.dumps(json.loads(snapshot))) == now  # As earlier versions wrote it.
        before = now


async def test_only_rows_with_another_text_are_parsed_again(database: Database, data_dir: Path) -> None:
    before = snapshots.rows(await taken(database))
    with sqlite3.connect(data_dir / "guardpanel.db") as other:
        other.execute("UPDATE policy SET name = 'C' WHERE id = 2")
    other.close()

    now = snapshots.rows(await taken(database))

    assert now["policy"][0] is before["policy"][0] and now["server"][0] is before["server"][0]
    assert (before["policy"][1]["name"], now["policy"][1]["name"]) == ("B", "C")


async def test_equal_values_of_rows_are_kept_once(database: Database) -> None:
    """Of thousands of virtual hosts, most have the same values in most columns."""
    rows = snapshots.rows(await taken(database))
    first, second = rows["policy"]
    own = {"id", "name", "created_at", "updated_at"}

    assert {name for name in first if first[name] != second[name]} <= own
    texts = {name for name, value in first.items() if isinstance(value, str)} - own
    assert len(texts) > 5
    assert [name for name in texts if first[name] is not second[name] and len(first[name]) > 1] == []
    lists = [name for name, value in first.items() if isinstance(value, list) and value]
    assert lists
    assert all(a is b for name in lists for a, b in zip(first[name], second[name], strict=True) if isinstance(a, str))
    assert len({id(value) for value in first.values() if value == []}) == 1


def test_a_flag_is_no_number_and_lines_of_several_parts_are_in_order() -> None:
    """What is equal may be something else."""
    values: list[list[Any]] = [[at, True, 1, [True, 1, "x"], {"a": 1}, 1.0, None] for at in range(2 * PART + 3)]
    lines = ",\n".join(json.dumps(row) for row in values)
    parsed = ParsedRows(lambda _table, _columns, of_rows: [{"values": row} for row in of_rows])

    rows = parsed.rows(f'{{"t":{{"columns":["id"],"rows":[\n{lines}\n]}}}}')["t"]

    assert [row["values"] for row in rows] == values
    assert {tuple(map(type, row["values"])) for row in rows} == {(int, bool, int, list, dict, float, type(None))}
    assert [type(value) for value in rows[-1]["values"][3]] == [bool, int, str]


def of_hosts(number: int, last: str) -> str:
    """A snapshot of so many virtual hosts, as SQLite writes it."""
    defaults = snapshots.DEFAULTS["virtualhost"] | {"id": 0, "name": ""}
    names = (*(f"h{at}.example" for at in range(1, number)), last)
    rows = [[*(defaults | {"id": at, "name": name}).values()] for at, name in enumerate(names, 1)]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    return f'{{"virtualhost":{{"columns":{json.dumps([*defaults])},"rows":[\n{lines}\n]}}}}'


def test_a_comparison_of_thousands_of_rows_holds_few_of_them() -> None:
    before, after = of_hosts(3_000, "old.example"), of_hosts(3_000, "new.example")
    snapshots.differing(before, after)
    tracemalloc.start()
    try:
        old, new = snapshots.differing(before, after)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert [row["name"] for rows in (old, new) for row in rows["virtualhost"]] == ["old.example", "new.example"]
    assert most < 5 * len(after)  # Both as texts of lines. All rows would be 10 times.


def test_rows_of_thousands_take_little_more_than_their_values() -> None:
    snapshot = of_hosts(3_000, "last.example")
    snapshots.rows(of_hosts(1, "other.example"))
    tracemalloc.start()
    try:
        rows = ParsedRows(snapshots._rows).rows(snapshot)["virtualhost"]
        each = tracemalloc.get_traced_memory()[0] / len(rows)
    finally:
        tracemalloc.stop()

    assert {**rows[-1]} == snapshots.DEFAULTS["virtualhost"] | {"id": 3_000, "name": "last.example"}
    assert each < 1_200  # With its line, of 480. Dicts take 1,990.


async def test_what_differs_is_the_same_in_snapshots_of_earlier_versions(database: Database, data_dir: Path) -> None:
    before = await taken(database)
    for statement, value in WRITES:
        with sqlite3.connect(data_dir / "guardpanel.db") as other:
            other.execute(statement, (value,))
        after = await taken(database)
        old, new = (json.dumps(json.loads(snapshot)) for snapshot in (before, after))
        differing = snapshots.differing(before, after)
        assert snapshots.differing(old, new) == snapshots.differing(old, after) == differing
        assert differing[0] != differing[1]
        before = after
