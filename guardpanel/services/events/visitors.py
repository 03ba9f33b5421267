"""Clients of recent events, to try a list on them before it applies."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from guardpanel.events.schema import id_of, time_of
from guardpanel.events.words import VERDICT_CODES, VERDICT_TABLE, Outcome

MOST_EVENTS = 200_000
"The newest."

DENIED = ",".join(
    str(VERDICT_CODES[verdict]) for verdict, words in VERDICT_TABLE.items() if words.outcome is Outcome.DENIED
)


class Visitor(NamedTuple):
    address: str
    events: int
    passed: int
    "Of them, those of requests that were not rejected."
    last_at: datetime


def visitors(connection: sqlite3.Connection, since: datetime) -> Sequence[Visitor]:
    """Those with most requests that were not rejected come first."""
    rows = connection.execute(
        f"SELECT client.text, count(*), sum(verdict NOT IN ({DENIED})) AS passed, max(newest.id) FROM "  # noqa: S608 our own numbers
        "(SELECT id, client, verdict FROM event WHERE id >= ? ORDER BY id DESC LIMIT ?) AS newest "
        "JOIN client ON client.id = newest.client GROUP BY client.id ORDER BY passed DESC, count(*) DESC, client.text",
        (id_of(since), MOST_EVENTS),
    ).fetchall()
    return [Visitor(address, events, passed, time_of(last)) for address, events, passed, last in rows]
