"""Connections to the event database, in their own threads: a search that takes a second blocks nothing else."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar

from guardpanel.errors import StorageFailed
from guardpanel.events import schema

T = TypeVar("T")

READERS = 2


class Connections:
    """A missing database means that there are no events."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._threads = ThreadPoolExecutor(READERS, "events")
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    async def read(self, ask: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, ask, nothing)

    def _ask(self, ask: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        """In one transaction, so that everything it reads is consistent."""
        if not self.path.exists():
            return nothing
        try:
            with self._connection() as connection:
                connection.execute("BEGIN")
                try:
                    return ask(connection) if schema.can_be_read(connection) else nothing
                finally:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise StorageFailed(f"Events can’t be read: {error}.") from error

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A pooled connection. It is closed if an error occurs."""
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = schema.open_to_read(self.path)
        try:
            yield connection
        except sqlite3.Error:
            connection.close()
            raise
        except BaseException:
            self._idle.put(connection)
            raise
        self._idle.put(connection)
