"""The rows of all configuration tables: taken for each revision, put back when a change is rolled back."""

import json
import zlib
from typing import Any

from sqlalchemy import Table, delete, insert, select, text
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import Hostname, Policy, Server, VirtualHost
from guardpanel.rendering import Rows

TABLES: tuple[Table, ...] = tuple(
    SQLModel.metadata.tables[str(model.__tablename__)] for model in (Policy, VirtualHost, Hostname, Server)
)
"In the order in which their rows can be inserted."


async def take(session: AsyncSession) -> Rows:
    """Every row as a plain mapping with its stored values."""
    connection = await session.connection()
    rows: dict[str, list[dict[str, Any]]] = {}
    for table in TABLES:
        found = await connection.execute(select(table).order_by(table.c.id))
        keys = tuple(found.keys())
        rows[table.name] = [dict(zip(keys, row, strict=True)) for row in found.all()]
    return rows


async def put_back(session: AsyncSession, rows: Rows) -> None:
    """Make the tables hold exactly these rows."""
    connection = await session.connection()
    await connection.execute(text("PRAGMA defer_foreign_keys = ON"))
    for table in reversed(TABLES):
        await connection.execute(delete(table))
    for table in TABLES:
        if found := rows[table.name]:
            await connection.execute(insert(table), [dict(row) for row in found])


def packed(rows: Rows) -> bytes:
    return zlib.compress(json.dumps(rows, default=_stored, separators=(",", ":")).encode(), level=1)


def unpacked(data: bytes) -> Rows:
    """The rows again, with times as times."""
    rows: Rows = json.loads(zlib.decompress(data))
    return {
        table.name: [
            {
                name: table.c[name].type.python_type.fromisoformat(value)
                if name.endswith("_at") and isinstance(value, str)
                else value
                for name, value in row.items()
            }
            for row in rows[table.name]
        ]
        for table in TABLES
    }


def _stored(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeError(f"{type(value).__name__} does not belong in a snapshot")
