"""How many requests a virtual host had over time, and what became of them (ingest/traffic.py counts them)."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from guardpanel.events.traffic import COARSE, FINE, Count, Step, starts, total

COLUMNS = "begins, requests, rejected, detected, sent, statuses, times"

QUESTION = f"SELECT {COLUMNS} FROM traffic WHERE step = ? AND host = ? AND begins BETWEEN ? AND ?"  # noqa: S608 our own names

FINE_UNTIL = timedelta(seconds=FINE.kept_seconds)

ROUND_SECONDS = (300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400)

LONGEST = timedelta(seconds=COARSE.kept_seconds)


@dataclass(frozen=True)
class Slot:
    """A step of time, which may have no request."""

    begins: datetime
    count: Count


class Traffic(NamedTuple):
    step: Step
    slots: Sequence[Slot]
    "Oldest first, without a gap. The last one is not over yet."

    @property
    def total(self) -> Count:
        return total(slot.count for slot in self.slots)

    def together(self, most: int) -> list[Slot]:
        """As at most so many slots, each of a round length: the first and the last one may be shorter."""
        parts = self._by(self.step.seconds)
        for seconds in (length for length in ROUND_SECONDS if length > self.step.seconds):
            if len(parts) <= most:
                break
            parts = self._by(seconds)
        return [Slot(part[0].begins, total(slot.count for slot in part)) for part in parts]

    def _by(self, seconds: int) -> list[list[Slot]]:
        groups = groupby(self.slots, key=lambda slot: slot.begins.timestamp() // seconds)
        return [list(slots) for _, slots in groups]


def traffic(connection: sqlite3.Connection, host: int, since: datetime, now: datetime) -> Traffic:
    """`host`: a virtual host, or ALL."""
    empty = nothing(since, now)
    first, last = (int(slot.begins.timestamp()) for slot in (empty.slots[0], empty.slots[-1]))
    rows = connection.execute(QUESTION, (empty.step.seconds, host, first, last)).fetchall()
    counted = {datetime.fromtimestamp(row[0], UTC): Count.of_row(row[1:]) for row in rows}
    return Traffic(empty.step, [Slot(slot.begins, counted.get(slot.begins, slot.count)) for slot in empty.slots])


def nothing(since: datetime, now: datetime) -> Traffic:
    """In fine steps as long as those are kept, without a request."""
    step = FINE if now - since <= FINE_UNTIL else COARSE
    beginnings = starts(step, int(since.timestamp()), int(now.timestamp()))
    return Traffic(step, [Slot(datetime.fromtimestamp(at, UTC), Count()) for at in beginnings])
