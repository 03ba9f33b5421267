"""The entries of an address list: in order, without what others cover, and as canonical text.

The longest prefix decides in HAProxy's maps (configuration manual, `map_ip`). So an entry within another one is kept only if it
lasts longer: what HAProxy looks up is then always the end of all entries that contain the address.
"""

import hashlib
import socket
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from guardpanel.models.access.reference import Reference

FOREVER = 9_999_999_999
"The end of what does not end, as HAProxy's maps have it: the year 2286 (seconds since 1970)."


class Entry(NamedTuple):
    network: str
    "Canonical: `10.0.0.0/8`, `192.0.2.7`, `2001:db8::/32`."
    ends_at: int = 0
    "Seconds since 1970. 0: it does not end."
    comment: str = ""

    @property
    def end(self) -> int:
        """As HAProxy's maps have it."""
        return self.ends_at or FOREVER


class Span(NamedTuple):
    """The addresses of a network as numbers: sorted, each comes before those that it contains."""

    first: int
    "Of an IPv6 address, with IPV6 added."
    negative_size: int
    "So that of two with the same beginning, the larger one comes first."

    @property
    def last(self) -> int:
        return self.first - self.negative_size - 1

    def contains(self, other: "Span") -> bool:
        return self.first <= other.first and other.last <= self.last


IPV6 = 1 << 130
"Above all addresses."


def span(network: str) -> Span:
    """Of a canonical network. There may be hundreds of thousands: faster than `ipaddress`."""
    address, _, prefix = network.partition("/")
    if ":" in address:
        first = IPV6 + int.from_bytes(socket.inet_pton(socket.AF_INET6, address))
        return Span(first, -(1 << (128 - int(prefix))) if prefix else -1)
    first = int.from_bytes(socket.inet_pton(socket.AF_INET, address))
    return Span(first, -(1 << (32 - int(prefix))) if prefix else -1)


@dataclass(frozen=True)
class Entries:
    """In order. `doubles` and `covered` count what was left out."""

    items: tuple[Entry, ...]
    doubles: int = 0
    covered: int = 0

    @cached_property
    def text(self) -> str:
        return "".join([f"{network}\t{ends_at}\t{comment}\n" for network, ends_at, comment in self.items])

    @cached_property
    def reference(self) -> Reference:
        return Reference(len(self.items), digest_of(self.text))

    @property
    def whole(self) -> list[int]:
        """IP versions of which every address is in it."""
        return [version for version in (4, 6) if _is_whole(self.items, version)]

    def find(self, network: str) -> Entry | None:
        """The entry of exactly this network."""
        at = _place(self.items, span(network))
        return self.items[at] if at < len(self.items) and self.items[at].network == network else None

    @property
    def map(self) -> bytes:
        """HAProxy's file."""
        return "".join([f"{network} {ends_at or FOREVER}\n" for network, ends_at, _ in self.items]).encode()

    @classmethod
    def read(cls, text: str) -> "Entries":
        """Canonical text."""
        lines = (line.split("\t", 2) for line in text.splitlines())
        return cls(tuple(Entry(network, int(ends_at), comment) for network, ends_at, comment in lines))


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def ordered(entries: Iterable[Entry]) -> Entries:
    """Of equal networks, the one that lasts longest, with the newest comment. Entries within others that last as long are left
    out."""
    by_network: dict[str, Entry] = {}
    doubles = 0
    for entry in entries:
        before = by_network.get(entry.network)
        if before is None:
            by_network[entry.network] = entry
            continue
        doubles += 1
        ends_at = 0 if not before.ends_at * entry.ends_at else max(before.ends_at, entry.ends_at)
        by_network[entry.network] = Entry(entry.network, ends_at, entry.comment or before.comment)
    spans = sorted([(span(network), entry) for network, entry in by_network.items()])
    kept = tuple(_outermost(spans))
    return Entries(kept, doubles, len(spans) - len(kept))


def _outermost(spans: Iterable[tuple[Span, Entry]]) -> Iterator[Entry]:
    around: list[tuple[int, int]] = []
    for (first, negative_size), entry in spans:
        last = first - negative_size - 1
        while around and around[-1][0] < last:
            around.pop()
        if not around or around[-1][1] < entry.end:
            around.append((last, entry.end))
            yield entry


def _span_of(entry: Entry) -> Span:
    return span(entry.network)


def _place(items: Sequence[Entry], place: Span) -> int:
    """Of the first entry that is not before this place."""
    return bisect_left(items, place, key=_span_of)


def _is_whole(items: Sequence[Entry], version: int) -> bool:
    """From the lowest address on, entry by entry, up to the first gap."""
    first, size = (0, 1 << 32) if version == 4 else (IPV6, 1 << 128)
    after = first
    while after < first + size:
        at = _place(items, Span(after, -size))
        if at == len(items) or _span_of(items[at]).first != after:
            return False
        after = _span_of(items[at]).last + 1
    return True


def with_added(entries: Entries, new: Iterable[Entry]) -> Entries:
    """What `ordered` makes of both, where an entry that is there gets the new end and comment. A few are added to hundreds of
    thousands without sorting these again."""
    items, new = list(entries.items), list(new)
    for entry in new:
        at = _place(items, _span_of(entry))
        if at < len(items) and items[at].network == entry.network:
            del items[at]
    for entry in new:
        _add(items, entry)
    return Entries(tuple(items))


def _add(items: list[Entry], entry: Entry) -> None:
    place = _span_of(entry)
    if any(around.end >= entry.end for around in _around(items, place)):
        return
    at, after = _place(items, place), _place(items, Span(place.last + 1, -1 << 130))
    items[at:after] = [entry, *(inner for inner in items[at:after] if inner.end > entry.end)]


def _around(items: Sequence[Entry], inner: Span) -> Iterator[Entry]:
    """Those that contain a network, narrowest first."""
    size, most = -inner.negative_size, 1 << (128 if inner.first >= IPV6 else 32)
    while size < most:
        size *= 2
        wider = Span(inner.first & ~(size - 1), -size)
        at = _place(items, wider)
        if at < len(items) and _span_of(items[at]) == wider:
            yield items[at]


def without(entries: Entries, networks: Iterable[str]) -> Entries:
    gone = set(networks)
    return Entries(tuple(entry for entry in entries.items if entry.network not in gone))


def covering(entries: Iterable[Entry], network: str, now: float) -> list[Entry]:
    """Those in effect that contain this network, widest first."""
    inner = span(network)
    return [entry for entry in entries if entry.end > now and span(entry.network).contains(inner)]
