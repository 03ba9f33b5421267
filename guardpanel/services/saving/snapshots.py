"""Snapshots of all configuration tables: taken for each revision, and restored when a change is rolled back.

A restored backup also changes accounts and the installation's facts: then these are included. Rows are read and written as
stored, bypassing the ORM: at a thousand virtual hosts, this is on the critical path of every save.
"""

import asyncio
import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import JSON, Table
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import NOUNS, AccessToken, ApiToken, Installation, Session, User, former_values
from guardpanel.rendering import Rows
from guardpanel.services.saving.parsed_rows import ParsedRows, Unparsed, tables_of

TABLES: tuple[Table, ...] = tuple(table for noun in NOUNS.values() for table in noun.tables)
"In an order in which rows can be inserted."

NAMES = frozenset(table.name for table in TABLES)

WHOLE = (
    *TABLES,
    *(
        SQLModel.metadata.tables[str(model.__tablename__)]
        for model in (User, Session, AccessToken, ApiToken, Installation)
    ),
)
"Plus everything that a restored backup replaces."


def _defaults(model: type[SQLModel]) -> dict[str, Any]:
    return {
        name: to_jsonable_python(info.get_default(call_default_factory=True))
        for name, info in model.model_fields.items()
        if not info.is_required()
    }


DEFAULTS = {
    str(model.__tablename__): _defaults(model)
    for noun in NOUNS.values()
    for model in (noun.table, *(part.table for part in noun.parts if part.table))
}
"Values of columns that a snapshot does not have yet."

LONG_AGO = "1970-01-01 00:00:00.000000"

ABSENT: dict[str, list[dict[str, Any]]] = {table.name: [] for table in TABLES} | {
    noun.table_name: [DEFAULTS[noun.table_name] | {"created_at": LONG_AGO, "updated_at": LONG_AGO}]
    for noun in NOUNS.values()
    if noun.only_name
}
"Rows of tables that a snapshot does not have yet."


def _json_columns(table: Table) -> list[str]:
    return [column.name for column in table.columns if isinstance(column.type, JSON)]


def _taken(table: Table) -> str:
    """SQL that returns a table as `"policy":{"columns":[…],"rows":[…]}`, each row in a line of its own (`parsed_rows.py`)."""
    parsed = _json_columns(table)
    names = [column.name for column in table.columns]
    values = ", ".join(f"json({name})" if name in parsed else name for name in names)
    (key,) = table.primary_key.columns
    lines = f"char(10) || group_concat(json_array({values}), ',' || char(10)) || char(10)"
    rows = f"SELECT coalesce({lines}, '') FROM (SELECT * FROM {table.name} ORDER BY {key.name})"  # noqa: S608 our own tables
    return f"""'"{table.name}":{{"columns":{json.dumps(names)},"rows":[' || ({rows}) || ']}}'"""


def statement_of(tables: Sequence[Table]) -> str:
    """A column for each table: SQLite takes longer to put them together than to read them."""
    return "SELECT " + ", ".join(map(_taken, tables))


TAKEN, TAKEN_WHOLE = statement_of(TABLES), statement_of(WHOLE)

Snapshot = str
"""JSON by table: `{"policy": {"columns": ["id", …], "rows": [[1, …], …]}, …}`."""


async def take(session: AsyncSession) -> Snapshot:
    """All rows as stored. SQLite writes the JSON: no row passes through Python."""
    return await _taken_by(session, TAKEN)


async def take_whole(session: AsyncSession) -> Snapshot:
    """The same with accounts, sessions and the installation's facts."""
    return await _taken_by(session, TAKEN_WHOLE)


async def _taken_by(session: AsyncSession, statement: str) -> Snapshot:
    tables = (await (await session.connection()).exec_driver_sql(statement)).one()
    return "{" + ",\n".join(tables) + "}"


def rows(snapshot: Snapshot) -> Rows:
    """Every row as a mapping of stored values. JSON columns are parsed. Rows of equal texts are the same objects."""
    if PARSED.reads(snapshot):
        return {**_ABSENT_ROWS, **PARSED.rows(snapshot)}
    return {table: _rows(table, kept["columns"], kept["rows"]) for table, kept in _loaded(snapshot).items()}


def as_kept(snapshot: Snapshot) -> Rows:
    """Rows that may be corrected when they are read, as they are in the snapshot."""
    taken = _loaded(snapshot)
    return {
        name: [dict(zip(taken[name]["columns"], values, strict=True)) for values in taken[name]["rows"]]
        for name in former_values.NOW
    }


def _loaded(snapshot: Snapshot) -> dict[str, Any]:
    """With tables that were added later."""
    taken: dict[str, Any] = json.loads(snapshot)
    return _ABSENT | taken


def _as_taken(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"columns": list(rows[0]) if rows else [], "rows": [list(row.values()) for row in rows]}


_ABSENT = {table: _as_taken(rows) for table, rows in ABSENT.items()}


def _rows(table: str, columns: Sequence[str], values_of_rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    later = {name: value for name, value in DEFAULTS.get(table, {}).items() if name not in columns}
    rows = [later | dict(zip(columns, values, strict=True)) for values in values_of_rows]
    return [dict(former_values.mended(table, row)[0]) for row in rows] if table in former_values.NOW else rows


PARSED = ParsedRows(_rows)

_ABSENT_ROWS: Rows = {table: _rows(table, kept["columns"], kept["rows"]) for table, kept in _ABSENT.items()}


def differing(before: Snapshot | None, after: Snapshot) -> tuple[Rows, Rows]:
    """Both states without nouns whose rows are equal in both: of thousands, few remain to compare. Rows that those refer to are
    included for their names. Without a previous state, everything differs."""
    old, new = (_tables(snapshot) if snapshot else _EMPTY for snapshot in (before, after))
    touched: dict[str, set[int]] = defaultdict(set)
    for table, (noun, owner) in OWNERS.items():
        same = {*old[table].lines} & {*new[table].lines}
        touched[noun] |= old[table].numbers(owner, same) | new[table].numbers(owner, same)
    for state in (old, new):
        _add_referred(state, touched)
    return _of(old, touched), _of(new, touched)


def _tables(snapshot: Snapshot) -> dict[str, Unparsed]:
    """With those that were added later."""
    return _ABSENT_TABLES | (tables_of(snapshot) if PARSED.reads(snapshot) else _as_tables(json.loads(snapshot)))


def _as_tables(taken: Mapping[str, Any]) -> dict[str, Unparsed]:
    return {name: Unparsed(table["columns"], [*map(_line, table["rows"])]) for name, table in taken.items()}


def _line(values: Sequence[Any]) -> str:
    """As SQLite writes it."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


_ABSENT_TABLES, _EMPTY = _as_tables(_ABSENT), {name: Unparsed((), ()) for name in _ABSENT}


def _referred(value: Any) -> Sequence[Any]:
    """The ids that a column has: one, or a list of them as JSON."""
    return json.loads(value) if isinstance(value, str) else value if isinstance(value, list) else [value]


def _add_referred(state: Mapping[str, Unparsed], touched: dict[str, set[int]]) -> None:
    """The rows that the touched ones refer to: nouns precede those that refer to them."""
    for noun in reversed([*NOUNS.values()]):
        table = state[noun.table_name]
        rows = [*table.rows("id", touched[noun.key])] if noun.references else []
        places = {name: at for at, name in enumerate(table.columns)}
        for column, key in noun.references.items():
            if column in places:
                touched[key] |= {number for row in rows for number in _referred(row[places[column]])}


OWNERS = {
    table: (noun.key, column)
    for noun in NOUNS.values()
    if not noun.only_name
    for table, column in {noun.table_name: "id", **{part.table_name: part.owner for part in noun.parts}}.items()
    if table
}
"For each table whose rows may be omitted: the noun, and the column with the id of the noun's row."


def _of(state: Mapping[str, Unparsed], touched: Mapping[str, set[int]]) -> Rows:
    rows: dict[str, list[dict[str, Any]]] = {}
    for name, table in state.items():
        noun, owner = OWNERS.get(name, ("", ""))
        rows[name] = _rows(name, table.columns, table.rows(owner, touched[noun]) if noun else table.all())
    return rows


async def put_back(session: AsyncSession, rows: Rows) -> None:
    """Make the tables that it contains hold exactly these rows."""
    values = await asyncio.to_thread(_stored, rows)
    connection = await session.connection()
    await connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    tables = [table for table in WHOLE if table.name in rows]
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


def _stored(rows: Rows) -> dict[str, list[tuple[Any, ...]]]:
    """The values of each table's rows in the order of its columns. Thousands of rows: not for the event loop."""
    stored = {}
    for table in WHOLE:
        if table.name not in rows:
            continue
        names, parsed = [column.name for column in table.columns], _json_columns(table)
        stored[table.name] = [
            tuple(json.dumps(row[name]) if name in parsed else row[name] for name in names) for row in rows[table.name]
        ]
    return stored


def packed(snapshot: Snapshot) -> bytes:
    return zlib.compress(snapshot.encode(), level=1)


def unpacked(data: bytes) -> Snapshot:
    return zlib.decompress(data).decode()
