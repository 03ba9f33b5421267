"""The rows of all configuration tables: taken for each revision, put back when a change is rolled back.

Read and written as they are stored, past the ORM: at a thousand virtual hosts this is in the way of every save.
"""

import json
import zlib
from typing import Any

from sqlalchemy import JSON, Table
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import Hostname, Policy, Server, VirtualHost
from guardpanel.rendering import Rows

TABLES: tuple[Table, ...] = tuple(
    SQLModel.metadata.tables[str(model.__tablename__)] for model in (Policy, VirtualHost, Hostname, Server)
)
"In the order in which their rows can be inserted."


async def take(session: AsyncSession) -> Rows:
    """Every row as a mapping of stored values; JSON columns are parsed."""
    connection = await session.connection()
    rows: dict[str, list[dict[str, Any]]] = {}
    for table in TABLES:
        names = [column.name for column in table.columns]
        found = await connection.exec_driver_sql(f"SELECT {', '.join(names)} FROM {table.name} ORDER BY id")  # noqa: S608
        rows[table.name] = [dict(zip(names, row, strict=True)) for row in found.all()]
        for name in _json_columns(table):
            for row in rows[table.name]:
                row[name] = json.loads(row[name])
    return rows


async def put_back(session: AsyncSession, rows: Rows) -> None:
    """Make the tables hold exactly these rows."""
    connection = await session.connection()
    await connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    for table in reversed(TABLES):
        await connection.exec_driver_sql(f"DELETE FROM {table.name}")  # noqa: S608 our own tables
    for table in TABLES:
        names = [column.name for column in table.columns]
        parsed = _json_columns(table)
        values = [
            tuple(json.dumps(row[name]) if name in parsed else row[name] for name in names) for row in rows[table.name]
        ]
        if values:
            places = ", ".join("?" * len(names))
            await connection.exec_driver_sql(
                f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places})",  # noqa: S608
                values,
            )


def packed(rows: Rows) -> bytes:
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), level=1)


def unpacked(data: bytes) -> Rows:
    rows: Rows = json.loads(zlib.decompress(data))
    return rows


def _json_columns(table: Table) -> list[str]:
    return [column.name for column in table.columns if isinstance(column.type, JSON)]
