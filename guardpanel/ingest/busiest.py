"""Stores the busiest paths and clients of each hour (events/busiest.py), and puts hours together as days."""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from guardpanel.events.busiest import DAY, HOUR, MOST, Group, Kind
from guardpanel.events.traffic import ALL, COARSE, FINE, UNKNOWN

Key = tuple[Kind, int, int]
"Kind, virtual host, and the beginning of an hour in seconds since 1970."

FIND = "SELECT floor, names FROM busiest WHERE kind = ? AND host = ? AND begins = ?"

STORE = "INSERT INTO busiest VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET floor = excluded.floor, names = excluded.names"

OLD_HOURS = "SELECT kind, host, begins FROM busiest WHERE begins < ? AND begins % 86400 <> 0 ORDER BY begins LIMIT ?"

AT_ONCE = 200
"Hours that are put together in a step, between which nothing else is stored."

CANDIDATES = 4 * MOST
"Names of a batch that are compared with those that are stored."

MOST_GROUPS = 60_000
"Of all virtual hosts, some 2 KB each. The oldest are deleted first."


def store(connection: sqlite3.Connection, counted: Mapping[Key, Group]) -> None:
    """Of each virtual host, and of all together."""
    together: dict[Key, Group] = defaultdict(Group)
    for (kind, host, begins), group in counted.items():
        group.keep(CANDIDATES)
        together[kind, ALL, begins].add(group)
        if host != UNKNOWN:
            _add(connection, (kind, host, begins), group)
    for key, group in together.items():
        _add(connection, key, group)


def tidy(connection: sqlite3.Connection, now: datetime, most: int = MOST_GROUPS) -> None:
    """Put some hours together that traffic has in hours alone, too; remove what is older than that, and what is too much."""
    second = int(now.timestamp())
    for kind, host, begins in connection.execute(OLD_HOURS, (second - FINE.kept_seconds - HOUR, AT_ONCE)).fetchall():
        key = kind, host, begins
        _add(connection, (kind, host, begins - begins % DAY), _find(connection, key))
        connection.execute("DELETE FROM busiest WHERE kind = ? AND host = ? AND begins = ?", key)
    first = second - COARSE.kept_seconds - DAY
    row = connection.execute("SELECT begins FROM busiest ORDER BY begins DESC LIMIT 1 OFFSET ?", (most,)).fetchone()
    connection.execute("DELETE FROM busiest WHERE begins < ?", (max(first, row[0] + 1 if row else 0),))


def _add(connection: sqlite3.Connection, key: Key, group: Group) -> None:
    known = _find(connection, key)
    known.add(group, MOST)
    known.keep(MOST)
    connection.execute(STORE, (*key, known.floor, known.packed()))


def _find(connection: sqlite3.Connection, key: Key) -> Group:
    row = connection.execute(FIND, key).fetchone()
    return Group.unpacked(*row) if row else Group()
