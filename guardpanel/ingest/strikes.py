"""Rejected requests, counted by policy, client and second: what automatic bans go by (services/access/automatic_bans.py).

HAProxy's lines are counted, each of which is read exactly once. Events are not asked: they come in any order, and may be deleted.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_network

from guardpanel.events.schema import time_of
from guardpanel.ingest.proxy_line import ProxyLine

KEPT_SECONDS = 3_600
"As long as a policy may count."

MOST = 500_000
"Rows. More clients than that, and the oldest are forgotten."


def add(connection: sqlite3.Connection, lines: Iterable[ProxyLine]) -> None:
    counted = Counter(
        (line.policy, network, int(time_of(line.moment).timestamp()))
        for line in lines
        if line.is_strike and line.policy is not None and (network := network_of(line.client))
    )
    connection.executemany(
        "INSERT INTO strike VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number",
        [(*key, number) for key, number in counted.items()],
    )


def remove_old(connection: sqlite3.Connection, now: datetime, most: int = MOST) -> None:
    """What no policy can count any more, and what is too much."""
    first = int((now - timedelta(seconds=KEPT_SECONDS)).timestamp())
    newest = "SELECT second FROM strike ORDER BY second DESC LIMIT 1 OFFSET ?"
    row = connection.execute(newest, (most,)).fetchone()
    connection.execute("DELETE FROM strike WHERE second < ?", (max(first, row[0] + 1 if row else 0),))


def network_of(client: str) -> str:
    """`192.0.2.7`, `2001:db8::/64`: whom a ban would be of. Empty for what is no address."""
    try:
        network = ip_network(client)
    except ValueError:
        return ""
    return client if network.version == 4 else str(network.supernet(new_prefix=64))
