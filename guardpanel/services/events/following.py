"""Events as they arrive. An event has the time of its request: one that took long arrives after later ones, and HAProxy's line
may come after the agent's. So each look compares the newest ones with those of the look before."""

import sqlite3
from dataclasses import dataclass, field
from datetime import timedelta

from guardpanel.events.schema import A_MICROSECOND
from guardpanel.services.events import paging, scan
from guardpanel.services.events.conditions import conditions
from guardpanel.services.events.filters import EventFilter
from guardpanel.services.events.paging import EventRows
from guardpanel.services.events.scan import EventRow, Span

LOOK_BACK = timedelta(minutes=5)
MOST = 1_000
"Events that are compared: of more in a flood, between two looks, the newest are new."


@dataclass
class Following:
    """A search that is repeated. `first`: the smallest id that counts."""

    filters: EventFilter
    first: int
    known: dict[int, EventRow] = field(default_factory=dict)
    version: int | None = None
    "Of the database, when it was last looked at."

    def look(self, connection: sqlite3.Connection) -> EventRows:
        """Those that are new or have changed since the last look, oldest first."""
        span = paging.span_of(self.filters)
        try:
            with scan.patience(connection, scan.PATIENCE_SECONDS):
                where = conditions(connection, self.filters)
        except scan.TimeUp:
            return EventRows(stopped=True)
        rows, _ = scan.rows(connection, where, Span(max(self.first, span.first), span.end), MOST)
        fresh = [row for row in reversed(rows) if self.known.get(row[0]) != row]
        self.known = {row[0]: row for row in rows}
        if rows:
            self.first = max(self.first, before(rows[0][0]))
        return EventRows(fresh, messages=paging.messages(connection, fresh))


def before(event_id: int) -> int:
    """The id from which events may still arrive when this one has."""
    return max(0, event_id - LOOK_BACK // timedelta(microseconds=1) * A_MICROSECOND)
