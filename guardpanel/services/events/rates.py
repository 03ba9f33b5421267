"""How many of a policy's visitors would have met a limit in the last 24 hours (ingest/rates.py counts)."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_network

from guardpanel.events.busiest import HOUR
from guardpanel.events.rates import ALL_HASHES, PAIR, PEAK, WINDOWS, Numbers, Sample
from guardpanel.models.policies.policy_limits import NETWORK_BITS

COUNTED = timedelta(hours=24)

ROWS = "SELECT bound, visitors FROM rate WHERE policy = ? AND begins > ?"


@dataclass(frozen=True)
class Met:
    """By so many visitors at least, and at most: they are counted by the clock, and limits from any moment on."""

    least: int
    most: int


@dataclass(frozen=True)
class VisitorRates:
    visitors: Mapping[str, Numbers] = field(default_factory=dict)
    total: int = 0
    "Of all visitors, about. As many as are counted, if these are all."

    @property
    def is_sample(self) -> bool:
        return self.total > len(self.visitors)

    def over(self, requests: int, seconds: int) -> Met:
        """Who sent more requests within a time of so many seconds."""
        within = [at for at, window in enumerate(WINDOWS) if window <= seconds]
        around = next(at for at, window in enumerate(WINDOWS) if window >= seconds)
        least = sum(any(numbers[at][PEAK] > requests for at in within) for numbers in self.visitors.values())
        most = sum(numbers[around][PAIR] > requests for numbers in self.visitors.values())
        return Met(least, max(least, most))

    def by_network(self) -> "VisitorRates":
        """Their networks, as limits count them, of visitors that are no sample: each sent at least what one of its visitors did,
        and at most what all did together."""
        networks: dict[str, Numbers] = {}
        for name, numbers in self.visitors.items():
            known = networks.setdefault(network_of(name), [[-1, 0, 0, 0, 0] for _ in WINDOWS])
            for mine, theirs in zip(known, numbers, strict=True):
                mine[PEAK], mine[PAIR] = max(mine[PEAK], theirs[PEAK]), mine[PAIR] + theirs[PAIR]
        return VisitorRates(networks, len(networks))


def network_of(visitor: str) -> str:
    whole = ip_network(visitor)
    return str(whole.supernet(new_prefix=NETWORK_BITS[whole.version]))


def visitor_rates(connection: sqlite3.Connection, policy_id: int, now: datetime) -> VisitorRates:
    """Of a policy's visitors in the last 24 hours."""
    joined = Sample()
    for row in connection.execute(ROWS, (policy_id, int((now - COUNTED).timestamp()) - HOUR)):
        joined.join(Sample.unpacked(*row))
    count = len(joined.visitors)
    return VisitorRates(joined.visitors, count * ALL_HASHES // joined.bound)
