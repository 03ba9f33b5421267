"""How many requests a virtual host had over time, and what became of them (ingest/traffic.py counts them)."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from guardpanel.events.traffic import COARSE, FINE, Count, Step, starts, total

COLUMNS = "begins, requests, rejected, detected, sent, statuses, times"

QUESTION = f"SELECT {COLUMNS} FROM traffic WHERE step = ? AND host = ? AND begins BETWEEN ? AND ?"  # noqa: S608 our own names

FINE_UNTIL = timedelta(seconds=FINE.kept_seconds)

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

    def together(self, each: int) -> list[Slot]:
        """So many slots as one: the first one may be shorter."""
        ends = range(len(self.slots), 0, -each)
        parts = [self.slots[max(0, end - each) : end] for end in reversed(ends)]
        return [Slot(part[0].begins, total(slot.count for slot in part)) for part in parts]


NOTHING = Traffic(FINE, ())


def traffic(connection: sqlite3.Connection, host: int, since: datetime, now: datetime) -> Traffic:
    """In fine steps as long as those are kept. `host`: a virtual host, or ALL."""
    step = FINE if now - since <= FINE_UNTIL else COARSE
    slots = list(starts(step, int(since.timestamp()), int(now.timestamp())))
    rows = connection.execute(QUESTION, (step.seconds, host, slots[0], slots[-1])).fetchall()
    counted = {row[0]: Count.of_row(row[1:]) for row in rows}
    return Traffic(step, [Slot(datetime.fromtimestamp(at, UTC), counted.get(at) or Count()) for at in slots])
