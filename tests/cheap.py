"""What takes a good part of all tests' time and is no part of what they prove: it is done once, or not at all."""

import asyncio
import functools
import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiosqlite.core
import httpcore2
import pytest
from aiosqlite.core import set_exception, set_result
from httpx2._config import DEFAULT_TIMEOUT_CONFIG
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import LRUCache

from guardpanel import database
from guardpanel.services.events import scan
from tests.panel import migrated


def pytest_collection_finish() -> None:
    """What is imported stays: looking for garbage in it, and after every 700 objects, took a twentieth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(autouse=True, scope="session")
def compiled_once() -> Iterator[None]:
    """Each test's database is a new one; what SQLAlchemy compiles for it is the same SQL: a sixth of all tests' time."""
    compiled = LRUCache[Any, Any](2000)
    make = AsyncEngine.__init__

    def share(self: AsyncEngine, sync_engine: Engine) -> None:
        make(self, sync_engine)
        sync_engine._compiled_cache = compiled

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(AsyncEngine, "__init__", share)
        # It is a part of the cache's key.
        patched.setattr(SQLiteDialect_aiosqlite, "__eq__", lambda dialect, other: type(dialect) is type(other))
        patched.setattr(SQLiteDialect_aiosqlite, "__hash__", lambda dialect: hash(type(dialect)))
        yield


@pytest.fixture(autouse=True, scope="session")
def at_once() -> Iterator[None]:
    """The database's driver works in the event loop, and answers in its next turn, as if its thread were that fast: to wake
    one another took both a third of all tests' time. Panels of their own (live, browser, crash) have it as it is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(aiosqlite.core, "SimpleQueue", AtOnce)
        patched.setattr(aiosqlite.core, "Thread", NoThread)
        yield


@pytest.fixture(autouse=True, scope="session")
def migrated_once() -> Iterator[None]:
    """A new database is a copy of one that all migrations made: to make it takes as long as ten ordinary tests."""
    migrate = database.migrate

    def copy(url: str) -> None:
        file = Path(url.partition(":///")[2])
        if not file.exists() or not file.stat().st_size:  # `Database` opens it first, which makes an empty file.
            with suppress(OSError):  # which the real one then meets
                file.write_bytes(migrated())
        migrate(url)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(database, "migrate", copy)
        yield


@pytest.fixture(autouse=True, scope="session")
def unhurried_searches() -> Iterator[None]:
    """However busy the machine is, searches of events find and count all: a test that means otherwise says so."""
    with pytest.MonkeyPatch.context() as patched:
        for limit in ("PATIENCE_SECONDS", "COUNTING", "TOTALLING"):
            patched.setattr(scan, limit, 60.0)
        yield


@pytest.fixture(autouse=True, scope="session")
def patient_clients() -> Iterator[None]:
    """However busy the machine is, a test's client waits for its answer: httpx gives up after 5 seconds."""
    with pytest.MonkeyPatch.context() as patched:
        for limit in ("connect", "read", "write", "pool"):
            patched.setattr(DEFAULT_TIMEOUT_CONFIG, limit, 120.0)
        yield


@pytest.fixture(autouse=True, scope="session")
def authorities_once() -> Iterator[None]:
    """Reading the authorities that a client trusts takes longer than the request that most of them are made for."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(httpcore2, "default_ssl_context", functools.cache(httpcore2.default_ssl_context))
        yield


class AtOnce:
    """In the place of the thread's queue. Whoever waits goes on in a later turn of the loop, as with a thread."""

    def put_nowait(self, item: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        future, function = item
        tell: Callable[[asyncio.Future[Any], Any], None]
        try:
            tell, outcome = set_result, function()
        except BaseException as error:  # noqa: BLE001 the driver's thread gives any of them to the future
            tell, outcome = set_exception, error
        if future is not None:
            tell(future, outcome)


class NoThread:
    def __init__(self, target: object, args: object) -> None:
        self.daemon = True

    def start(self) -> None:
        """There is nothing to start."""
