"""The rows of all configuration tables: taken for each revision, put back when a change is rolled back.

A restored backup changes accounts and the installation's facts, too: then they are part of what is taken and put back.

Read and written as they are stored, past the ORM: at a thousand virtual hosts this is in the way of every save.
"""

import json
import zlib
from collections.abc import Sequence

from sqlalchemy import JSON, Table
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import AccessToken, Hostname, Installation, Policy, Server, Session, User, VirtualHost
from guardpanel.rendering import Rows


def _tables(*models: type[SQLModel]) -> tuple[Table, ...]:
    return tuple(SQLModel.metadata.tables[str(model.__tablename__)] for model in models)


TABLES = _tables(Policy, VirtualHost, Hostname, Server)
"In the order in which their rows can be inserted."

WHOLE = (*TABLES, *_tables(User, Session, AccessToken, Installation))
"With all that a restored backup replaces."


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
        table: [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]
        for table, found in json.loads(snapshot).items()
    }


async def put_back(session: AsyncSession, kept: Rows) -> None:
    """Make the tables that it names hold exactly these rows."""
    connection = await session.connection()
    await connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    tables = [table for table in WHOLE if table.name in kept]
    for table in reversed(tables):
        await connection.exec_driver_sql(f'DELETE FROM "{table.name}"')  # noqa: S608
    for table in tables:
        names = [column.name for column in table.columns]
        parsed = _json_columns(table)
        values = [
            tuple(json.dumps(row[name]) if name in parsed else row[name] for name in names) for row in kept[table.name]
        ]
        if values:
            places = ", ".join("?" * len(names))
            await connection.exec_driver_sql(
                f'INSERT INTO "{table.name}" ({", ".join(names)}) VALUES ({places})',  # noqa: S608
                values,
            )


def packed(snapshot: Snapshot) -> bytes:
    return zlib.compress(snapshot.encode(), level=1)


def unpacked(data: bytes) -> Snapshot:
    return zlib.decompress(data).decode()
