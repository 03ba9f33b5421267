"""Clients whose requests a policy has rejected again and again (ingest/strikes.py)."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime

MOST = 1_000
"Clients of a policy at a time, the latest first: who is banned is rejected before anything is counted."

Struck = Mapping[str, int]
"Rejected requests by the client's network."

Count = Callable[[sqlite3.Connection], Struck]

NOBODY: Struck = {}

HAVING = "GROUP BY strike.client HAVING sum(number) >= ? ORDER BY max(second) DESC LIMIT ?"

OF_ALL = f"SELECT client, sum(number) FROM strike WHERE policy = ? AND second > ? AND second <= ? {HAVING}"  # noqa: S608

OF_THESE = f"""
SELECT strike.client, sum(number)
FROM json_each(?) AS since CROSS JOIN strike ON policy = ? AND client = since.key AND second > since.value AND second <= ?
{HAVING}
"""  # noqa: S608


def of_all(policy_id: int, since: datetime, now: datetime, least: int) -> Count:
    """Those with at least so many. `now`: what is later was counted before the clock was set back."""
    values = policy_id, int(since.timestamp()), int(now.timestamp()), least, MOST
    return lambda connection: dict(connection.execute(OF_ALL, values).fetchall())


def of_these(policy_id: int, since: Mapping[str, datetime], now: datetime, least: int) -> Count:
    """Those with at least so many, each since a time of its own."""
    seconds = json.dumps({network: int(moment.timestamp()) for network, moment in since.items()})
    values = seconds, policy_id, int(now.timestamp()), least, MOST
    return lambda connection: dict(connection.execute(OF_THESE, values).fetchall())
