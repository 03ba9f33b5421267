"""The ingest's loop: read, store, remember how far, and again. One process, one writer.

The rows and the places up to which the files were read are one transaction: a kill at any moment leaves both or neither, so
nothing is lost and nothing comes twice.
"""

import gc
import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from time import monotonic, time

from guardpanel.engines.lock import only_ingest
from guardpanel.errors import StorageFailed
from guardpanel.events import schema
from guardpanel.ingest import retention, shaping
from guardpanel.ingest.access_log import AccessLog, Position
from guardpanel.ingest.batches import Batch, batches
from guardpanel.ingest.ending import Ending, ToldToEnd
from guardpanel.ingest.lately import Lately
from guardpanel.ingest.segments import Place, Read, Segments
from guardpanel.ingest.status import Status
from guardpanel.ingest.store import Store
from guardpanel.settings import Settings

log = logging.getLogger(__name__)

TOGETHER = 10
"""Batches in a transaction, where so much waits: each event touches a page of its client and one of its path, and the more
events are written together, the more of them share one."""

IDLE = 0.1
"Seconds until the next look where there was nothing."

TIDY_EVERY, BETWEEN_STEPS = 60.0, 0.05
"Seconds between two looks for events that are too old or too many, and between two steps of their removal."

AFTER_FAILURE, LONGEST_WAIT = 1.0, 30.0
"Seconds: a disk that refuses is asked again ever more slowly."

STANDS = 60.0
"Seconds without the end of a step, from which on it stands still: a step takes some, a pause after a failure LONGEST_WAIT."

GC_AFTER = (100_000, 50, 100)
"Between looks for garbage (gc.set_threshold): batches make many objects, and none that refers to itself."

NICENESS = 10
"Traffic and saves go first."


def run(settings: Settings, parent: int | None = None) -> None:
    """Until TERM or INT; with a `parent` also until that process, which started it, is gone: the next panel may be another
    version. Busy where another one runs, StorageFailed where the file of events is not for us."""
    with only_ingest(settings.ingest_lock):
        with suppress(OSError):
            os.nice(NICENESS)
        gc.set_threshold(*GC_AFTER)
        ending = ToldToEnd()
        ingest = Ingest(settings)
        status = Status(settings.ingest_socket, ingest.describe)
        try:
            ingest.keep_reading(ending, parent)
        finally:
            status.close()
            ingest.close()


class Ingest:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.connection = schema.open_to_write(settings.events_database)
        self.store = Store(self.connection)
        self.segments = Segments(settings.events_dir, _places(self.connection))
        self.access_log = AccessLog(settings.access_log, _position(self.connection))
        self.lately = Lately()
        self.problem: str | None = None
        self._read_until = time()
        "The moment up to which everything was read."
        self._next_tidying = 0.0
        self._all_have_shapes = shaping.is_done(self.connection)
        self._moved = monotonic()
        "When a step last came to an end, good or bad."

    def keep_reading(self, ending: Ending, parent: int | None = None) -> None:
        wait = AFTER_FAILURE
        while not ending.is_set() and parent in {None, os.getppid()}:
            if not self.settings.events_database.exists():
                raise StorageFailed("The events database was removed.")
            try:
                busy = self.step(ending)
                self.tidy()
                if not busy:
                    self.shape_some()
            except Exception as error:  # noqa: BLE001 the one loop of this process: logged, told, and begun again
                self._give_way(error)
                self._moved = monotonic()
                ending.wait(wait)
                wait = min(LONGEST_WAIT, wait * 2)
                continue
            self.problem, wait, self._moved = None, AFTER_FAILURE, monotonic()
            if not busy:
                ending.wait(IDLE)

    def step(self, ending: Ending | None = None) -> bool:
        """What waits, in one transaction: at most TOGETHER batches, and no further one when told to end. Whether there was
        anything."""
        stored = None
        with self.connection:
            for batch in islice(batches(self.segments, self.access_log, self.lately), TOGETHER):
                if stored is None:
                    self.connection.execute("BEGIN IMMEDIATE")
                self._store(batch)
                stored = batch
                if ending and ending.is_set():
                    break
        if stored is None:
            self._read_until = time()
            return False
        self.segments.confirm()
        self.access_log.position = stored.position
        if stored.agent:
            self._read_until = schema.time_of(stored.agent[-1].moment).timestamp()
        return True

    def _store(self, batch: Batch) -> None:
        counted = batch.counted
        if batch.agent or batch.proxy:
            counted += self.store.add(batch.agent, batch.proxy)
        self._remember(batch.read, batch.position, counted)

    def tidy(self) -> None:
        """One step of removing what is too old or too much, when it is time for one."""
        if monotonic() < self._next_tidying:
            return
        bounds = {"days": self.settings.event_days, "mib": self.settings.event_mib}
        if not retention.too_many(self.connection, **bounds):
            self._next_tidying = monotonic() + TIDY_EVERY
            return
        with self.connection:
            self.connection.execute("BEGIN IMMEDIATE")
            self._count({"removed": retention.remove_oldest(self.connection, **bounds)})
        self.store.forget()
        self._next_tidying = monotonic() + BETWEEN_STEPS

    def shape_some(self) -> None:
        """One step for events that are older than shapes, as long as there are any."""
        if self._all_have_shapes:
            return
        with self.connection:
            self.connection.execute("BEGIN IMMEDIATE")
            shaping.shape_some(self.connection)
        self._all_have_shapes = shaping.is_done(self.connection)

    def describe(self) -> Mapping[str, object]:
        """For the panel (services/events/state.py)."""
        waiting = self.segments.waiting + self.access_log.waiting
        lag = max(0.0, time() - self._read_until) if waiting else 0.0
        problem = self.problem or self._stands()
        state = {"lag_bytes": waiting, "lag_seconds": round(lag, 1), "problem": problem, "pid": os.getpid()}
        return {**state, "lately": self.lately.describe()}

    def _stands(self) -> str | None:
        """In words, where its loop hangs: this is asked by another thread."""
        still = monotonic() - self._moved
        return f"Event ingest has made no progress for {still:.0f} s." if still > STANDS else None

    def close(self) -> None:
        self.segments.close()
        self.connection.close()

    def _give_way(self, error: Exception) -> None:
        """What was not stored is read again."""
        self.segments.go_back()
        self.store.forget()
        is_known = isinstance(error, (sqlite3.Error, OSError))
        what = str(error) if is_known else f"{type(error).__name__}; the ingest’s log has the stack"
        self.problem = f"Events can’t be stored: {what}."
        log.error("events cannot be stored: %r", error, exc_info=error)

    def _remember(self, read: Read, position: Position, counted: Counter[str]) -> None:
        self.connection.executemany(
            "INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?)",
            [(name, *place) for name, place in read.places.items()],
        )
        self.connection.executemany("DELETE FROM segment WHERE name = ?", [(name,) for name in read.gone])
        self.connection.execute("INSERT OR REPLACE INTO access_log VALUES (1, ?, ?)", position)
        self._count(counted)

    def _count(self, counted: Mapping[str, int]) -> None:
        self.connection.executemany(
            "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [(name, number) for name, number in counted.items() if number],
        )


def _places(connection: sqlite3.Connection) -> dict[str, Place]:
    rows = connection.execute("SELECT name, offset, size, ended FROM segment")
    return {name: Place(offset, size, bool(ended)) for name, offset, size, ended in rows}


def _position(connection: sqlite3.Connection) -> Position:
    row = connection.execute("SELECT inode, offset FROM access_log").fetchone()
    return Position(*row) if row else Position()
