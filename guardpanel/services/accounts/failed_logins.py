"""Failed logins by address and account: a pause that doubles, never a lockout."""

from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from math import ceil
from time import monotonic

from guardpanel.errors import TooManyAttempts

FORGOTTEN = 900.0
"Seconds after which failures no longer count."

KEPT = 10_000


@dataclass
class Limit:
    """Failures by key: the first `free` ones are free, then each doubles the pause, up to `longest` seconds."""

    free: int
    longest: float
    failures: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)

    def pause(self, key: str) -> float:
        """Seconds until the next attempt."""
        count, last = self.failures.get(key, (0, 0.0))
        past = monotonic() - last
        if count < self.free or past >= FORGOTTEN:
            return 0.0
        return max(0.0, min(self.longest, 2.0 ** min(count - self.free, 30)) - past)

    def add(self, key: str) -> None:
        now = monotonic()
        count, last = self.failures.pop(key, (0, now))
        self.failures[key] = (count + 1 if now - last < FORGOTTEN else 1, now)
        while len(self.failures) > KEPT:
            self.failures.popitem(last=False)

    def take_back(self, key: str) -> None:
        count, last = self.failures.get(key, (0, 0.0))
        if count > 1:
            self.failures[key] = count - 1, last
        else:
            self.failures.pop(key, None)


class Attempts:
    """An account's pause stays short: guessing attackers must not lock out its owner."""

    def __init__(self) -> None:
        self.by_address = Limit(free=5, longest=300.0)
        self.by_account = Limit(free=10, longest=30.0)

    def begin(self, address: str, account: str) -> None:
        """Count an attempt before its outcome is known, so that concurrent ones do not slip through. Raises TooManyAttempts (429)
        while the address or account must wait."""
        pause = max(self.by_address.pause(network(address)), self.by_account.pause(account))
        if pause:
            raise TooManyAttempts(f"Too many failed login attempts. Try again in {ceil(pause)} s.", ceil(pause))
        self.by_address.add(network(address))
        self.by_account.add(account)

    def succeeded(self, address: str, account: str) -> None:
        """Reset the account. For the address, only this attempt is forgotten, or one good login among many bad ones would clear
        it."""
        self.by_address.take_back(network(address))
        self.by_account.failures.pop(account, None)


def network(address: str) -> str:
    """What counts as one client: an IPv4 address, or an IPv6 /64 network."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or ip.packed[:8].hex())
    return str(ip)
