"""Statements take one trip to the database's thread, and transactions are what they were."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from guardpanel.database import Database
from guardpanel.models import User

pytestmark = pytest.mark.anyio

Trip = Callable[..., Awaitable[Any]]


@pytest.fixture
async def database(data_dir: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite+aiosqlite:///{data_dir / 'guardpanel.db'}")
    yield database
    await database.close()


@pytest.fixture
async def trips(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """To the threads of connections, which are open already."""
    for session in (database.read, database.write):
        async with session() as opened:
            await opened.exec(select(User.id))
    trips: list[str] = []
    trip: Trip = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, function: Any, *arguments: Any) -> Any:
        trips.append(function.__name__)
        return await trip(self, function, *arguments)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
    return trips


async def test_a_read_takes_a_trip_for_each_statement_with_its_begin_and_its_rows(
    database: Database, trips: list[str]
) -> None:
    async with database.read() as session:
        users = (await session.exec(select(User))).all()

    assert len(users) == 2
    assert trips == ["_run", "rollback"]


async def test_a_write_takes_a_trip_for_each_statement_and_its_commit(database: Database, trips: list[str]) -> None:
    async with database.write() as session:
        user = (await session.exec(select(User))).all()[0]
        user.email = "new@example.com"
        session.add(user)

    assert trips == ["_run", "_run", "commit"]


async def test_a_write_keeps_others_out_from_its_first_statement_on(database: Database, data_dir: Path) -> None:
    async with database.write() as session:
        await session.exec(select(User.id))
        with (
            closing(sqlite3.connect(data_dir / "guardpanel.db", timeout=0, isolation_level=None)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")


async def test_a_transaction_without_statements_leaves_nothing_for_the_next_one(
    database: Database, data_dir: Path
) -> None:
    async with database.write() as session:
        await session.connection()
    async with database.write() as session:
        await session.connection()
        await session.rollback()
        await session.exec(select(User.id))

    with closing(sqlite3.connect(data_dir / "guardpanel.db", timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")


async def test_a_transaction_that_cannot_begin_can_be_tried_again(database: Database, data_dir: Path) -> None:
    async with database.writing.connect() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(data_dir / "guardpanel.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with database.writing.connect() as connection:
            with pytest.raises(OperationalError, match="locked"):
                await connection.exec_driver_sql("DELETE FROM session")
        other.execute("ROLLBACK")
    async with database.write() as session:
        assert len((await session.exec(select(User.id))).all()) == 2


async def test_what_was_canceled_is_rolled_back_though_it_may_not_have_begun_yet(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: list[str] = []

    async def canceled(_: aiosqlite.Connection, function: Any, *_arguments: Any) -> None:
        trips.append(function.__name__)
        if function.__name__ == "_run":
            raise asyncio.CancelledError

    async with database.writing.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        with monkeypatch.context() as patch:
            patch.setattr(aiosqlite.Connection, "_execute", canceled)
            with pytest.raises(asyncio.CancelledError):
                await raw.run("execute", "DELETE FROM session", ())
            await raw.rollback()
            await raw.rollback()

    assert trips == ["_run", "rollback"]
