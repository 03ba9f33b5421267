"""What a save need not read again: no table that was not written since."""

from collections.abc import Collection
from functools import cache, lru_cache
from typing import Any

from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.services.saving import snapshots
from guardpanel.services.saving.snapshots import TABLES, Snapshot
from guardpanel.sqlite_connection import OneTripConnection

ALL = frozenset(SQLModel.metadata.tables)

Tables = frozenset[str]


async def writer_of(session: AsyncSession) -> OneTripConnection:
    connection = await (await session.connection()).get_raw_connection()
    writer: Any = connection.driver_connection
    return writer  # type: ignore[no-any-return]


def changed(writer: OneTripConnection) -> Tables:
    """The tables that may have other rows than when this was asked last, by foreign keys, too."""
    written = writer.written()
    if not written.is_known:
        return ALL
    return frozenset(written.changed).union(*map(reached_from, written.emptied))


async def take(session: AsyncSession, before: Snapshot, tables: Collection[str]) -> Snapshot:
    """All rows as stored. `before`: as taken before, except for these tables. Empty: not taken."""
    names = tuple(table.name for table in TABLES if table.name in tables)
    if not before or len(names) == len(TABLES):
        return await snapshots.take(session)
    if not names:
        return before
    taken = (await (await session.connection()).exec_driver_sql(_statement(names))).one()
    return _with(before, dict(zip(names, taken, strict=True)))


@lru_cache(maxsize=100)
def _statement(names: tuple[str, ...]) -> str:
    return snapshots.statement_of([table for table in TABLES if table.name in names])


def _with(before: Snapshot, taken: dict[str, str]) -> Snapshot:
    """No text has a line break, so that only a table begins a line with its name."""
    parts, end = [], 1
    for table, following in zip(TABLES, (*TABLES[1:], None), strict=True):
        at, end = end, before.index(f'\n"{following.name}":', end) + 1 if following is not None else len(before) + 1
        parts.append(taken.get(table.name) or before[at : end - 2])
    return "{" + ",\n".join(parts) + "}"


@cache
def reached_from(table: str) -> Tables:
    """A table and those that refer to it, directly or not: rows may be deleted with a row of it, or lose what refers to it."""
    reached, new = frozenset[str](), frozenset({table})
    while new:
        reached |= new
        new = (
            frozenset(
                other.name
                for other in SQLModel.metadata.tables.values()
                if any(key.column.table.name in new for key in other.foreign_keys)
            )
            - reached
        )
    return reached
