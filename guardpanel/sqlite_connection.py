"""A connection whose statements each take one trip to the database's thread: the transaction's begin, the statement and all its
rows. aiosqlite takes four, and a trip takes longer than what most statements do there."""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import aiosqlite

WRITE = re.compile(r'(INSERT INTO|UPDATE(?! OR\b)|DELETE FROM) "?(\w+)"?(?= |$)')
NOT_A_WRITE = ("SELECT ", "PRAGMA ", "SAVEPOINT ", "RELEASE ", "ROLLBACK ")


@dataclass
class WrittenTables:
    """By the statements that a connection was given: nothing else writes through it."""

    is_known: bool = True
    changed: set[str] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)
    "Those of which rows were deleted, which may change rows of others."

    def note(self, sql: str) -> None:
        if sql.startswith(NOT_A_WRITE):
            return
        write = WRITE.match(sql)
        if write is None:
            self.is_known = False
        else:
            (self.emptied if write[1] == "DELETE FROM" else self.changed).add(write[2])


class OneTripConnection(aiosqlite.Connection):
    def __init__(self, path: str, **options: Any) -> None:
        super().__init__(partial(sqlite3.connect, path, **options), iter_chunk_size=0)
        self._thread.daemon = True  # As SQLAlchemy makes aiosqlite's.
        self._begin: tuple[str, ...] = ()
        self._was_interrupted = False
        self._written = WrittenTables(is_known=False)

    def written(self) -> WrittenTables:
        """Since this was asked last, also in transactions that were rolled back. At first, it is not known."""
        written, self._written = self._written, WrittenTables()
        return written

    def begin_with(self, *begin: str) -> None:
        """The next statement begins a transaction in this way."""
        self._begin = begin

    def then(self, statement: str) -> None:
        """After the transaction's begin, in the same trip. Only before its first statement."""
        self._begin += (statement,)

    def cursor(self) -> Any:
        return _Cursor(self)

    async def run(self, method: str, sql: str, parameters: Iterable[Any]) -> "Result":
        self._written.note(sql)
        begin, self._begin = self._begin, ()
        was_interrupted, self._was_interrupted = self._was_interrupted, True
        result: Result = await self._execute(self._run, begin, method, sql, parameters)  # type: ignore[no-untyped-call]
        self._was_interrupted = was_interrupted
        return result

    def _run(self, begin: Sequence[str], method: str, sql: str, parameters: Iterable[Any]) -> "Result":
        for statement in begin:
            self._conn.execute(statement).close()
        cursor = self._conn.cursor()
        try:
            getattr(cursor, method)(sql, parameters)
            return Result(cursor, cursor.fetchall() if cursor.description else ())
        finally:
            cursor.close()

    async def commit(self) -> None:
        if self._is_open():
            await super().commit()

    async def rollback(self) -> None:
        if self._is_open():
            await super().rollback()

    def _is_open(self) -> bool:
        """Whether the transaction that ends now has begun, or may have: the thread finishes what was canceled here."""
        is_open = self.in_transaction or self._was_interrupted
        self._begin, self._was_interrupted = (), False
        return is_open


class Result:
    def __init__(self, cursor: sqlite3.Cursor, rows: Sequence[Any]) -> None:
        self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
        self.rows = rows


class _Cursor:
    """What SQLAlchemy calls of a cursor."""

    arraysize = 1

    def __init__(self, connection: OneTripConnection) -> None:
        self._connection = connection
        self._result: Result | None = None

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:
        return self._result.description if self._result else None

    @property
    def rowcount(self) -> int:
        return self._result.rowcount if self._result else -1

    @property
    def lastrowid(self) -> int | None:
        return self._result.lastrowid if self._result else None

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> Self:
        self._result = await self._connection.run("execute", sql, parameters)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> Self:
        self._result = await self._connection.run("executemany", sql, parameters)
        return self

    async def fetchall(self) -> Sequence[Any]:
        return self._result.rows if self._result else ()

    async def close(self) -> None:
        """There is nothing left open."""
