"""Stores how many requests policies' visitors send within a time (events/rates.py)."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from guardpanel.events.busiest import HOUR, client_name
from guardpanel.events.rates import ALL_HASHES, MOST, Sample, hash_of

KEPT_SECONDS = 86_400 + HOUR

MOST_AT_ONCE = 4_000
"Clients of a policy that are known to be left out."

POLICY = re.compile(r"[0-9]{1,9}")

UNSEEN: list[int] = []

MOST_HOURS = 10_000
"Of all policies, some 20 KB each at most. The oldest are deleted first."

FIND = "SELECT bound, visitors FROM rate WHERE policy = ? AND begins = ?"

STORE = "INSERT INTO rate VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET bound = excluded.bound, visitors = excluded.visitors"

Key = tuple[str, int]
"Policy, and hours since 1970."


class Group:
    """Moments of clients under one policy in an hour: of those with the smallest hashes, once there are many."""

    def __init__(self) -> None:
        self.moments: dict[str, list[int] | None] = {}
        "By client. None: one that is left out."
        self.bound = ALL_HASHES
        self._hashes: dict[str, int] = {}
        "Of those that are not."

    def begin(self, client: str, second: int) -> None:
        number = hash_of(client_name(client))
        if number >= self.bound:
            self.moments[client] = None
            return
        self.moments[client] = [second]
        self._hashes[client] = number
        if len(self._hashes) > 2 * MOST:
            self._leave_out()

    def forget(self) -> None:
        """Those that are left out. They are again if they return."""
        self.moments = {client: moments for client, moments in self.moments.items() if moments}

    def by_visitor(self) -> Mapping[str, list[int]]:
        visitors: dict[str, list[int]] = {}
        for client, moments in self.moments.items():
            if moments and (name := client_name(client)):
                visitors.setdefault(name, []).extend(moments)
        return visitors

    def _leave_out(self) -> None:
        self.bound = sorted(self._hashes.values())[MOST]
        for client in [client for client, number in self._hashes.items() if number >= self.bound]:
            self.moments[client] = None
            del self._hashes[client]


class Rates:
    """Of the lines of a batch."""

    def __init__(self) -> None:
        self._groups: dict[Key, Group] = {}

    def add(self, policy: str, client: str, second: int) -> None:
        group = self._groups.get((policy, second // HOUR))
        if group is None:
            group = self._groups[policy, second // HOUR] = Group()
        moments = group.moments.get(client, UNSEEN)
        if moments:
            moments.append(second)
        elif moments is UNSEEN:
            group.begin(client, second)

    def bound(self) -> None:
        """So that no scan fills the memory. Call it after some thousands of lines."""
        for group in self._groups.values():
            if len(group.moments) > MOST_AT_ONCE:
                group.forget()

    def by_hour(self) -> Iterator[tuple[tuple[int, int], Group]]:
        """By policy and the beginning of an hour in seconds since 1970."""
        for (policy, hour), group in self._groups.items():
            if POLICY.fullmatch(policy):
                yield (int(policy), hour * HOUR), group


def store(connection: sqlite3.Connection, batches: Iterable[Rates]) -> None:
    """Of several batches, since each hour that is stored is read and written as a whole."""
    groups: dict[tuple[int, int], list[Group]] = defaultdict(list)
    for rates in batches:
        for key, group in rates.by_hour():
            groups[key].append(group)
    for key, own in groups.items():
        row = connection.execute(FIND, key).fetchone()
        sample = Sample.unpacked(*row) if row else Sample()
        sample.narrow(min(group.bound for group in own))
        for group in own:
            for visitor, moments in group.by_visitor().items():
                sample.add(visitor, moments)
        sample.keep()
        connection.execute(STORE, (*key, sample.bound, sample.packed()))


def remove_old(connection: sqlite3.Connection, now: datetime, most: int = MOST_HOURS) -> None:
    first = int(now.timestamp()) - KEPT_SECONDS
    row = connection.execute("SELECT begins FROM rate ORDER BY begins DESC LIMIT 1 OFFSET ?", (most,)).fetchone()
    connection.execute("DELETE FROM rate WHERE begins < ?", (max(first, row[0] + 1 if row else 0),))
