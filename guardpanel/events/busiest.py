"""The busiest paths and clients of a virtual host: what traffic.py counts, by name, for the names with most requests.

A group is what was counted of one virtual host in an hour, or later in a day. It has at most MOST names, so that a scan takes no
more room than visitors do. As in the *space-saving* algorithm (Metwally et al., 2005), a new name begins with as many requests as
one that was dropped may have had: a name with more than 1/MOST of all requests is always among them. What is counted of a name is
what came while it was there, and never too much.
"""

import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import nlargest
from operator import add

import msgspec

from guardpanel.events import addresses
from guardpanel.events.folding import path_template
from guardpanel.events.log_entry import path_of
from guardpanel.events.traffic import LENGTH, REQUESTS, SENT, Numbers

MISSED = LENGTH
"In a name's numbers, after those of traffic.py: requests that it may have had before it was among the busiest."

MOST = 40
"Names of a group that are stored."

LONGEST, LONGEST_PATH = 200, 1024
"Characters of a name, and those of a path that it is made of."

IPV4 = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}", re.ASCII)

HOUR, DAY = 3_600, 86_400


Single = tuple[int, tuple[int, ...], int]
"Of a name with one request, as most are under a scan: bytes, the places that are 1, and requests that it may have had before."

Named = Numbers | Single


class Kind(IntEnum):
    """What the names are of. A number is never reused."""

    PATH = 1
    "Templates of paths (events/folding.py)."
    CLIENT = 2
    "An IPv4 address, or the first 64 bits of an IPv6 address as a network."


@dataclass
class Group:
    names: dict[str, Named] = field(default_factory=dict)
    floor: int = 0
    "No other name had more requests."

    def add(self, other: "Group", most: int = 0) -> None:
        """`most`: how many are kept afterwards. Of other's new names, no more than that can be, so only they are copied."""
        new = other.names.keys() - self.names.keys()
        for name in other.names.keys() - new:
            mine = self.names[name] = whole(self.names[name])
            _add_named(mine, other.names[name])
        fresh = [(name, numbers) for name, numbers in other.names.items() if name in new]
        for name, numbers in nlargest(most + 1, fresh, key=_weight_of) if 0 < most < len(fresh) else fresh:
            mine = self.names[name] = whole(numbers).copy()
            mine[MISSED] += self.floor
        if other.floor:
            for name in self.names.keys() - other.names.keys():
                mine = self.names[name] = whole(self.names[name])
                mine[MISSED] += other.floor
            self.floor += other.floor

    def keep(self, most: int) -> None:
        """The busiest of them, the earlier among equals."""
        if len(self.names) <= most:
            return
        ranked = sorted(self.names.items(), key=_weight_of, reverse=True)
        self.floor = max(self.floor, _weight_of(ranked[most]))
        self.names = dict(ranked[:most])

    def folded(self, fold: Callable[[str], str]) -> "Group":
        """With other names, of which several may be one."""
        folded: dict[str, Named] = {}
        for name, numbers in self.names.items():
            known = folded.get(new := fold(name))
            if known is None:
                folded[new] = numbers
            else:
                mine = folded[new] = whole(known)
                _add_named(mine, numbers)
        return Group(folded, self.floor)

    def packed(self) -> bytes:
        return msgspec.msgpack.encode(self.names)

    @classmethod
    def unpacked(cls, floor: int, names: bytes) -> "Group":
        return cls(dict(NAMES.decode(names)), floor)


NAMES = msgspec.msgpack.Decoder(dict[str, Numbers])


def whole(named: Named) -> Numbers:
    if isinstance(named, list):
        return named
    numbers = [0] * (MISSED + 1)
    _add_named(numbers, named)
    return numbers


def _add_named(numbers: Numbers, named: Named) -> None:
    if isinstance(named, list):
        numbers[:] = map(add, numbers, named)
        return
    sent, places, missed = named
    for place in places:
        numbers[place] += 1
    numbers[SENT] += sent
    numbers[MISSED] += missed


def weight(named: Named) -> int:
    return named[REQUESTS] + named[MISSED] if isinstance(named, list) else 1 + named[2]


def _weight_of(item: tuple[str, Named]) -> int:
    return weight(item[1])


def together(groups: Iterable[Group]) -> Group:
    whole = Group()
    for group in groups:
        whole.add(group)
    return whole


def path_name(uri: str) -> str:
    return path_template(path_of(uri)[:LONGEST_PATH])[:LONGEST]


def client_name(client: str) -> str:
    """`192.0.2.7`, `2001:db8::/64`. Empty for what is no address."""
    if client.endswith("/64") or IPV4.fullmatch(client):
        return client
    key = addresses.key(client)
    if key.startswith(addresses.V4_IN_V6):
        return socket.inet_ntop(socket.AF_INET, key[12:])
    return f"{socket.inet_ntop(socket.AF_INET6, key[:8] + bytes(8))}/64" if key != addresses.NOWHERE else ""
