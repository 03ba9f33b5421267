"""How often rules fired recently, and on which virtual hosts. Each count uses the index of its rule (events/schema.py)."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from guardpanel.events.schema import id_of

DAY, WEEK = timedelta(days=1), timedelta(days=7)

MOST = 20_000
"Events of a rule that are counted, newest first."

MOST_LISTED = 2_000
"The same for each rule of a list."


@dataclass(frozen=True)
class HostCount:
    virtual_host_id: int | None
    "None before HAProxy's line has arrived, or if no virtual host had the hostname."
    day: int
    week: int
    virtual_host: str | None = None
    "Its name. None once it is deleted."


@dataclass(frozen=True)
class Fired:
    """`hosts` has the ones with most events first."""

    day: int
    week: int
    is_exact: bool
    "False: there were more. Only the newest MOST are counted."
    hosts: tuple[HostCount, ...]


NEVER = Fired(0, 0, True, ())


def fired(connection: sqlite3.Connection, rule: int, now: datetime) -> Fired:
    day = id_of(now - DAY)
    rows = connection.execute(
        "SELECT virtual_host, sum(event.id >= ?), count(*) FROM (SELECT event FROM event_rule WHERE rule = ? AND event >= ? "
        "ORDER BY event DESC LIMIT ?) AS newest CROSS JOIN event ON event.id = newest.event "
        "GROUP BY virtual_host ORDER BY 3 DESC, 1",
        (day, rule, id_of(now - WEEK), MOST),
    ).fetchall()
    hosts = tuple(HostCount(*row) for row in rows)
    week = sum(host.week for host in hosts)
    return Fired(sum(host.day for host in hosts), week, week < MOST, hosts)


def counts(connection: sqlite3.Connection, rules: Sequence[int], now: datetime) -> Mapping[int, int]:
    """In the last 24 hours, by rule. MOST_LISTED if there may be more."""
    question = "SELECT count(*) FROM (SELECT 1 FROM event_rule WHERE rule = ? AND event >= ? LIMIT ?)"
    since = id_of(now - DAY)
    return {rule: connection.execute(question, (rule, since, MOST_LISTED)).fetchone()[0] for rule in rules}
