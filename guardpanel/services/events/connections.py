"""Connections to the event database, in their own threads: a search that takes a second blocks nothing else."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic_ns
from typing import TypeVar

from guardpanel.errors import StorageFailed
from guardpanel.events import schema

T = TypeVar("T")

READERS = 2

Opened = tuple[int, sqlite3.Connection]
"The file's inode when it was opened, and a connection to it."


class Connections:
    """A missing database means that there are no events. It may be removed at any time, and another one made in its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._threads = ThreadPoolExecutor(READERS, "events")
        self._idle: SimpleQueue[Opened] = SimpleQueue()
        self._watching: Opened | None = None

    def version(self) -> int:
        """Changes whenever anything is written to the database. Takes microseconds: it reads shared memory. While there is none,
        or SQLite is busy, each answer differs."""
        try:
            if self._watching is None or self._watching[0] != self._file():
                self._stop_watching()
                self._watching = self._file(), schema.open_to_watch(self.path)
            (number,) = self._watching[1].execute("PRAGMA data_version").fetchone()
        except sqlite3.OperationalError:
            return -monotonic_ns()
        return hash((self._watching[0], number))

    async def close(self) -> None:
        self._stop_watching()
        await asyncio.to_thread(self._threads.shutdown)
        with suppress(Empty):
            while True:
                self._idle.get_nowait()[1].close()

    async def read(self, ask: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, ask, nothing)

    def _ask(self, ask: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        """In one transaction, so that everything it reads is consistent."""
        file = self._file()
        if not file:
            return nothing
        try:
            with self._connection(file) as connection:
                connection.execute("BEGIN")
                try:
                    return ask(connection) if schema.can_be_read(connection) else nothing
                finally:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise StorageFailed(f"Events can’t be read: {error}.") from error

    @contextmanager
    def _connection(self, file: int) -> Iterator[sqlite3.Connection]:
        """A pooled connection to this file. It is closed if an error occurs."""
        connection = self._pooled(file) or schema.open_to_read(self.path)
        try:
            yield connection
        except sqlite3.Error:
            connection.close()
            raise
        except BaseException:
            self._idle.put((file, connection))
            raise
        self._idle.put((file, connection))

    def _pooled(self, file: int) -> sqlite3.Connection | None:
        with suppress(Empty):
            while True:
                opened, connection = self._idle.get_nowait()
                if opened == file:
                    return connection
                connection.close()
        return None

    def _file(self) -> int:
        """Its inode: of another file, another one. 0: there is none."""
        try:
            return self.path.stat().st_ino
        except OSError:
            return 0

    def _stop_watching(self) -> None:
        if self._watching is not None:
            self._watching[1].close()
            self._watching = None
