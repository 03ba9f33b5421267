"""Rejected requests, failed logins and errors, counted by policy, client and second: what automatic bans go by
(services/access/automatic_bans.py).

HAProxy's lines are counted, each of which is read exactly once. Events are not asked: they come in any order, and may be deleted.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from guardpanel.events.busiest import client_name
from guardpanel.events.log_entry import ALWAYS_REJECTED
from guardpanel.events.schema import time_of
from guardpanel.ingest.proxy_line import ProxyLine
from guardpanel.ingest.traffic import DIGITS, LogEntry

KEPT_SECONDS = 3_600
"As long as a policy may count."

MOST = 500_000
"Rows. More clients than that, and the oldest are forgotten."

NO_ANSWERS = {*ALWAYS_REJECTED, "login_asked"}
"Verdicts by which a request counts already, or never: browsers first ask without a password."


class Strike(NamedTuple):
    policy: int
    client: str
    second: int


def of_rejected(lines: Iterable[ProxyLine]) -> Iterator[Strike]:
    for line in lines:
        if line.is_strike and line.policy is not None:
            yield Strike(line.policy, line.client, int(time_of(line.moment).timestamp()))


def of_response(entry: LogEntry) -> Iterator[Strike]:
    """With a status that counts, by the server or by HAProxy in its place."""
    is_counted = str(entry.status) in entry.strikes.split(",") and entry.verdict not in NO_ANSWERS
    if is_counted and DIGITS.fullmatch(entry.policy):
        yield Strike(int(entry.policy), entry.client, int(entry.time))


def add(connection: sqlite3.Connection, strikes: Iterable[Strike]) -> None:
    counted = Counter(
        (strike.policy, network, strike.second) for strike in strikes if (network := client_name(strike.client))
    )
    connection.executemany(
        "INSERT INTO strike VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number",
        [(*key, number) for key, number in counted.items()],
    )


def remove_old(connection: sqlite3.Connection, now: datetime, *, clock: datetime, most: int = MOST) -> None:
    """What no policy can count any more, what is too much, and what is later than the clock, which was set back: its time would
    come again, also for those who have been forgiven since."""
    first = int((now - timedelta(seconds=KEPT_SECONDS)).timestamp())
    newest = "SELECT second FROM strike ORDER BY second DESC LIMIT 1 OFFSET ?"
    row = connection.execute(newest, (most,)).fetchone()
    first = max(first, row[0] + 1 if row else 0)
    connection.execute("DELETE FROM strike WHERE second < ? OR second > ?", (first, int(clock.timestamp())))
