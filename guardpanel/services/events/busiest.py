"""The busiest paths and clients of a virtual host (ingest/busiest.py stores them), and what all others had together."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from guardpanel.events.busiest import DAY, HOUR, Group, Kind, together, whole
from guardpanel.events.traffic import COARSE, FINE, REQUESTS, Count, total

GROUPS = "SELECT floor, names FROM busiest WHERE kind = ? AND host = ? AND begins >= ?"

COUNTED = "SELECT requests, rejected, detected, sent, statuses, times FROM traffic WHERE step = ? AND host = ? AND begins >= ?"

LISTED = 20


@dataclass(frozen=True)
class Busy:
    """`name`: the template of a path, or a client."""

    name: str
    count: Count

    @property
    def passed(self) -> int:
        """Requests that were not rejected."""
        return self.count.requests - self.count.rejected


@dataclass(frozen=True)
class Busiest:
    """Most requests first."""

    since: datetime
    "The beginning of an hour, or of a day in UTC."
    rows: Sequence[Busy]
    others: Count
    total: Count

    def share(self, count: Count) -> float:
        """Of all requests, in percent."""
        return 100 * count.requests / self.total.requests if self.total.requests else 0.0


def since_when(since: datetime, now: datetime) -> datetime:
    """What is older than the hours that are stored is stored by day."""
    step = HOUR if now - since <= timedelta(seconds=FINE.kept_seconds) else DAY
    second = int(since.timestamp())
    return datetime.fromtimestamp(second - second % step, UTC)


def busiest(connection: sqlite3.Connection, kind: Kind, host: int, since: datetime, limit: int) -> Busiest:
    """`since`: as since_when gives it. `host`: a virtual host, or ALL."""
    first = int(since.timestamp())
    group = together(Group.unpacked(*row) for row in connection.execute(GROUPS, (kind, host, first)))
    names = {name: whole(named) for name, named in group.names.items()}
    ranked = sorted(names.items(), key=lambda item: (-item[1][REQUESTS], item[0]))
    rows = [Busy(name, Count.of_numbers(numbers)) for name, numbers in ranked[:limit] if name]
    counted = total(Count.of_row(row) for row in connection.execute(COUNTED, (COARSE.seconds, host, first)))
    return Busiest(since, rows, counted.without(total(row.count for row in rows)), counted)


def nothing(since: datetime) -> Busiest:
    return Busiest(since, (), Count(), Count())
