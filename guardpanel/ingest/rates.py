"""Stores how many requests policies' visitors send within a time (events/rates.py)."""

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime

from guardpanel.events.busiest import HOUR, client_name
from guardpanel.events.rates import Sample, hash_of

KEPT_SECONDS = 86_400 + HOUR

MOST_AT_ONCE = 4_000
"Clients that are held before some are chosen among them."

MOST_HOURS = 10_000
"Of all policies, some 20 KB each at most. The oldest are deleted first."

FIND = "SELECT bound, visitors FROM rate WHERE policy = ? AND begins = ?"

STORE = "INSERT INTO rate VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET bound = excluded.bound, visitors = excluded.visitors"

Key = tuple[str, int]
"Policy, and hours since 1970."


class Rates:
    """Of the lines of a batch."""

    def __init__(self) -> None:
        self._moments: dict[Key, dict[str, list[int]]] = {}

    def add(self, policy: str, client: str, second: int) -> None:
        clients = self._moments.setdefault((policy, second // HOUR), {})
        moments = clients.get(client)
        if moments is None:
            clients[client] = [second]
        else:
            moments.append(second)

    def bound(self) -> None:
        """So that no scan fills the memory. Call it after some thousands of lines."""
        for clients in self._moments.values():
            if len(clients) > MOST_AT_ONCE:
                ranked = sorted(clients, key=lambda client: hash_of(client_name(client)))
                for client in ranked[MOST_AT_ONCE // 2 :]:
                    del clients[client]

    def groups(self) -> Iterator[tuple[int, int, Mapping[str, list[int]]]]:
        """Policy, the beginning of an hour in seconds since 1970, and moments by visitor."""
        for (policy, hour), clients in self._moments.items():
            visitors: dict[str, list[int]] = {}
            for client, moments in clients.items():
                if name := client_name(client):
                    visitors.setdefault(name, []).extend(moments)
            yield int(policy), hour * HOUR, visitors


def store(connection: sqlite3.Connection, rates: Rates) -> None:
    for policy, begins, visitors in rates.groups():
        row = connection.execute(FIND, (policy, begins)).fetchone()
        sample = Sample.unpacked(*row) if row else Sample()
        for visitor, moments in visitors.items():
            sample.add(visitor, moments)
        sample.keep()
        connection.execute(STORE, (policy, begins, sample.bound, sample.packed()))


def remove_old(connection: sqlite3.Connection, now: datetime, most: int = MOST_HOURS) -> None:
    first = int(now.timestamp()) - KEPT_SECONDS
    row = connection.execute("SELECT begins FROM rate ORDER BY begins DESC LIMIT 1 OFFSET ?", (most,)).fetchone()
    connection.execute("DELETE FROM rate WHERE begins < ?", (max(first, row[0] + 1 if row else 0),))
