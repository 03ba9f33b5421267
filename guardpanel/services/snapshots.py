"""The rows of all configuration tables: taken for each revision, put back when a change is rolled back.

A restored backup changes accounts and the installation's facts, too: then they are part of what is taken and put back.

Read and written as they are stored, past the ORM: at a thousand virtual hosts this is in the way of every save.
"""

import asyncio
import json
import zlib
from collections.abc import Container, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, Table
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import AccessToken, Hostname, Installation, Policy, Server, Session, Traffic, User, VirtualHost
from guardpanel.models.policy import MASKED_FIELDS
from guardpanel.rendering import Rows


def _tables(*models: type[SQLModel]) -> tuple[Table, ...]:
    return tuple(SQLModel.metadata.tables[str(model.__tablename__)] for model in models)


TABLES = _tables(Traffic, Policy, VirtualHost, Hostname, Server)
"In the order in which their rows can be inserted."

WHOLE = (*TABLES, *_tables(User, Session, AccessToken, Installation))
"With all that a restored backup replaces."


LATER: dict[str, dict[str, Any]] = {
    "policy": {
        "masked_fields": MASKED_FIELDS,
        "argument_limit": 1_000,
        "json_value_limit": 5_000,
        "file_inspection": False,
        "content_type_readings": [],
        "upload_seconds": 10,
        "upload_rate_kib": 16,
        "response_seconds": 5,
        "streamed_responses": "judge_beginning",
    },
    "traffic": {"max_connections": 0, "max_requests_per_client": 0},
}
"Columns that came later, with what rows of a snapshot from before are taken to have there."


LONG_AGO = "1970-01-01 00:00:00.000000"

TABLES_LATER: dict[str, dict[str, Any]] = {
    "traffic": Traffic().model_dump(mode="json") | {"created_at": LONG_AGO, "updated_at": LONG_AGO},
}
"Tables of one row that came later, with what a snapshot from before is taken to hold in that row."


def _json_columns(table: Table) -> list[str]:
    return [column.name for column in table.columns if isinstance(column.type, JSON)]


def _taken(table: Table) -> str:
    """A table as SQL that gives `"policy":{"columns":[…],"rows":[…]}`"""
    parsed = _json_columns(table)
    names = [column.name for column in table.columns]
    values = ", ".join(f"json({name})" if name in parsed else name for name in names)
    (key,) = table.primary_key.columns
    rows = f"SELECT json_group_array(json_array({values})) FROM (SELECT * FROM {table.name} ORDER BY {key.name})"  # noqa: S608 our own tables
    return f"""'"{table.name}":{{"columns":{json.dumps(names)},"rows":' || ({rows}) || '}}'"""


def _statement(tables: Sequence[Table]) -> str:
    return "SELECT '{' || " + " || ',' || ".join(map(_taken, tables)) + " || '}'"


TAKEN, TAKEN_WHOLE = _statement(TABLES), _statement(WHOLE)

Snapshot = str
"""JSON by table: `{"policy": {"columns": ["id", …], "rows": [[1, …], …]}, …}`."""


async def take(session: AsyncSession) -> Snapshot:
    """All rows as they are stored. SQLite writes the JSON: no row passes through Python."""
    connection = await session.connection()
    return str((await connection.exec_driver_sql(TAKEN)).scalar_one())


async def take_whole(session: AsyncSession) -> Snapshot:
    """The same with accounts, sessions and the installation's facts."""
    connection = await session.connection()
    return str((await connection.exec_driver_sql(TAKEN_WHOLE)).scalar_one())


def rows(snapshot: Snapshot) -> Rows:
    """Every row as a mapping of stored values; JSON columns are parsed."""
    return {
        table: [_row(table, found["columns"], row) for row in found["rows"]]
        for table, found in _loaded(snapshot).items()
    }


def _loaded(snapshot: Snapshot) -> dict[str, Any]:
    """With the tables that came later."""
    later = {table: {"columns": list(row), "rows": [list(row.values())]} for table, row in TABLES_LATER.items()}
    return {**later, **json.loads(snapshot)}


def _row(table: str, columns: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return LATER.get(table, {}) | dict(zip(columns, values, strict=True))


def differing(before: Snapshot | None, after: Snapshot) -> tuple[Rows, Rows]:
    """Both states without the virtual hosts that are the same in both: of thousands, few are left to compare.

    No state before: everything differs from it.
    """
    old, new = (_loaded(one) if one else _EMPTY for one in (before, after))
    touched: set[int] = set()
    for table, owner in OWNERS.items():
        was, now = _by_id(old[table]), _by_id(new[table])
        changed = [row_id for row_id in {*was, *now} if was.get(row_id) != now.get(row_id)]
        for found, rows in ((old, was), (new, now)):
            if rows:
                at = found[table]["columns"].index(owner)
                touched |= {rows[row_id][at] for row_id in changed if row_id in rows}
    return _of_hosts(old, touched), _of_hosts(new, touched)


OWNERS = {"virtualhost": "id", "hostname": "virtual_host_id", "server": "virtual_host_id"}
"The column of each table that names the virtual host."

_EMPTY: dict[str, Any] = {table.name: {"columns": [], "rows": []} for table in TABLES}


def _by_id(found: Mapping[str, Any]) -> dict[int, list[Any]]:
    if not found["rows"]:
        return {}
    at = found["columns"].index("id")
    return {row[at]: row for row in found["rows"]}


def _of_hosts(state: Mapping[str, Any], hosts: Container[int]) -> Rows:
    found: dict[str, list[dict[str, Any]]] = {}
    for table, kept in state.items():
        at = kept["columns"].index(OWNERS[table]) if table in OWNERS and kept["rows"] else None
        found[table] = [_row(table, kept["columns"], row) for row in kept["rows"] if at is None or row[at] in hosts]
    return found


async def put_back(session: AsyncSession, kept: Rows) -> None:
    """Make the tables that it names hold exactly these rows."""
    values = await asyncio.to_thread(_stored, kept)
    connection = await session.connection()
    await connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    tables = [table for table in WHOLE if table.name in kept]
    for table in reversed(tables):
        await connection.exec_driver_sql(f'DELETE FROM "{table.name}"')  # noqa: S608
    for table in tables:
        names = [column.name for column in table.columns]
        if values[table.name]:
            places = ", ".join("?" * len(names))
            await connection.exec_driver_sql(
                f'INSERT INTO "{table.name}" ({", ".join(names)}) VALUES ({places})',  # noqa: S608
                values[table.name],
            )


def _stored(kept: Rows) -> dict[str, list[tuple[Any, ...]]]:
    """The values of each table's rows in the order of its columns. Thousands of rows: not for the event loop."""
    found = {}
    for table in WHOLE:
        if table.name not in kept:
            continue
        names, parsed = [column.name for column in table.columns], _json_columns(table)
        found[table.name] = [
            tuple(json.dumps(row[name]) if name in parsed else row[name] for name in names) for row in kept[table.name]
        ]
    return found


def packed(snapshot: Snapshot) -> bytes:
    return zlib.compress(snapshot.encode(), level=1)


def unpacked(data: bytes) -> Snapshot:
    return zlib.decompress(data).decode()
