"""The ingest loop: read, store, remember the position, repeat.

One process, one writer. Rows and file positions are committed in one transaction: a kill at any time leaves both or neither, so
nothing is lost or stored twice.
"""

import gc
import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from time import monotonic, time

from guardpanel import clock
from guardpanel.errors import StorageFailed
from guardpanel.events import schema
from guardpanel.ingest import busiest, rates, recorded, retention, shaping, strikes, traffic
from guardpanel.ingest.access_log import AccessLog, Position
from guardpanel.ingest.batches import Batch, batches
from guardpanel.ingest.rates import Rates
from guardpanel.ingest.recent_requests import RecentRequests
from guardpanel.ingest.segments import Place, Read, Segments
from guardpanel.ingest.status import Status
from guardpanel.ingest.stop_signal import StopEvent, StopSignal
from guardpanel.ingest.store import Store
from guardpanel.lock import only_ingest
from guardpanel.settings import Settings

log = logging.getLogger(__name__)

TOGETHER = 10
"""Batches per transaction if many wait. Each event touches a page of its client and one of its path: the more events are written
together, the more they share."""

IDLE = 0.1
"Seconds between polls when there is nothing to read."

TIDY_EVERY_SECONDS, BETWEEN_STEPS_SECONDS = 60.0, 0.05
"Seconds between two checks for events to delete, and between two steps of deleting them."

AFTER_FAILURE_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 30.0
"Seconds. A failing disk is retried ever more slowly."

STANDS = 60.0
"Seconds after which an unfinished step counts as hanging: a step takes a few, a pause after a failure LONGEST_WAIT_SECONDS."

GC_AFTER = (100_000, 50, 100)
"Between garbage collections (gc.set_threshold): batches create many objects, but no cycles."

NICENESS = 10
"Traffic and saves have priority."


def run(settings: Settings, parent: int | None = None) -> None:
    """Run until TERM or INT, or until the `parent` process that started it is gone, since the next panel may be another version.
    Raises Busy if another ingest runs, StorageFailed if the event database is of another version."""
    with only_ingest(settings.ingest_lock):
        with suppress(OSError):
            os.nice(NICENESS)
        gc.set_threshold(*GC_AFTER)
        ending = StopSignal()
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
        self.recent = RecentRequests()
        self.problem: str | None = None
        self._read_until = time()
        "The time up to which everything was read."
        self._next_tidying = 0.0
        self._all_have_shapes = shaping.is_done(self.connection)
        self._moved = monotonic()
        "When a step last ended, successfully or not."

    def keep_reading(self, ending: StopEvent, parent: int | None = None) -> None:
        wait = AFTER_FAILURE_SECONDS
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
                wait = min(LONGEST_WAIT_SECONDS, wait * 2)
                continue
            self.problem, wait, self._moved = None, AFTER_FAILURE_SECONDS, monotonic()
            if not busy:
                ending.wait(IDLE)

    def step(self, ending: StopEvent | None = None) -> bool:
        """Store what waits in one transaction: at most TOGETHER batches, fewer when stopping. Returns whether there was
        anything."""
        stored = None
        counted: list[Rates] = []
        with self.connection:
            for batch in islice(batches(self.segments, self.access_log, self.recent), TOGETHER):
                if stored is None:
                    self.connection.execute("BEGIN IMMEDIATE")
                self._store(batch)
                counted.append(batch.traffic.rates)
                stored = batch
                if ending and ending.is_set():
                    break
            rates.store(self.connection, counted)
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
        counted["recorded"] += recorded.add(self.connection, batch.recorded)
        strikes.add(self.connection, [*strikes.of_rejected(batch.proxy), *batch.strikes])
        traffic.store(self.connection, batch.traffic.rows)
        busiest.store(self.connection, batch.traffic.groups)
        if batch.uses:
            self.store.add_uses(batch.uses)
        self._remember(batch.read, batch.position, counted)

    def tidy(self) -> None:
        """Delete a portion of what is too old or too much, when it is time."""
        if monotonic() < self._next_tidying:
            return
        with self.connection:
            self.connection.execute("BEGIN IMMEDIATE")
            recorded.remove_ended(self.connection, schema.id_of(clock.AGES.now()))
            strikes.remove_old(self.connection, clock.AGES.now(), clock=datetime.now(UTC))
            traffic.remove_old(self.connection, clock.AGES.now())
            busiest.tidy(self.connection, clock.AGES.now())
            rates.remove_old(self.connection, clock.AGES.now())
        bounds = {"days": self.settings.event_days, "mib": self.settings.event_mib}
        if not retention.too_many(self.connection, **bounds):
            self._next_tidying = monotonic() + TIDY_EVERY_SECONDS
            return
        with self.connection:
            self.connection.execute("BEGIN IMMEDIATE")
            self._count({"removed": retention.remove_oldest(self.connection, **bounds)})
        self.store.forget()
        self._next_tidying = monotonic() + BETWEEN_STEPS_SECONDS

    def shape_some(self) -> None:
        """One step for events that are older than shapes, as long as there are any."""
        if self._all_have_shapes:
            return
        with self.connection:
            self.connection.execute("BEGIN IMMEDIATE")
            shaping.shape_some(self.connection)
        self._all_have_shapes = shaping.is_done(self.connection)

    def describe(self) -> Mapping[str, object]:
        """The status for the panel (services/events/state.py)."""
        waiting = self.segments.waiting + self.access_log.waiting
        lag = max(0.0, time() - self._read_until) if waiting else 0.0
        problem = self.problem or self._stands()
        state = {"lag_bytes": waiting, "lag_seconds": round(lag, 1), "problem": problem, "pid": os.getpid()}
        return {**state, "lately": self.recent.describe()}

    def _stands(self) -> str | None:
        """Where the loop hangs, if it does. Called from another thread."""
        still = monotonic() - self._moved
        return f"Event ingest has made no progress for {still:.0f} s." if still > STANDS else None

    def close(self) -> None:
        self.segments.close()
        self.connection.close()

    def _give_way(self, error: Exception) -> None:
        """Read again what was not stored."""
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
