"""The entries of an address list: in order, without what others cover, and as canonical text.

The longest prefix decides in HAProxy's maps (configuration manual, `map_ip`). So an entry within another one is kept only if it
lasts longer: what HAProxy looks up is then always the end of all entries that contain the address.
"""

import hashlib
import zlib
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from guardpanel.access import lines
from guardpanel.access.spans import IPV6, Span, span
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

    @property
    def line(self) -> bytes:
        """Of the canonical text."""
        return f"{self.network}\t{self.ends_at}\t{self.comment}\n".encode()

    @property
    def map_line(self) -> bytes:
        """Of HAProxy's file."""
        return f"{self.network} {self.end}\n".encode()


MOST_CHANGED, FEW = 500, 100
"Changed networks, and which part of all entries, from which on everything is written anew: that takes less time then."

Changes = Mapping[str, Entry | None]
"Entries by network. None: it has none any more."


class Since(NamedTuple):
    """What entries were made of."""

    digest: str
    "Of the entries before."
    networks: frozenset[str]
    "That have changed since."


@dataclass(frozen=True)
class Entries:
    """In order. `doubles` and `covered` count what was left out."""

    items: tuple[Entry, ...]
    doubles: int = 0
    covered: int = 0
    since: Since | None = field(default=None, compare=False, repr=False)
    "If few have changed."

    @cached_property
    def text(self) -> bytes:
        """Canonical, in UTF-8."""
        return "".join([f"{network}\t{ends_at}\t{comment}\n" for network, ends_at, comment in self.items]).encode()

    @cached_property
    def reference(self) -> Reference:
        return Reference(len(self.items), digest_of(self.text))

    @cached_property
    def map(self) -> bytes:
        """HAProxy's file."""
        return "".join([f"{network} {ends_at or FOREVER}\n" for network, ends_at, _ in self.items]).encode()

    @cached_property
    def packed(self) -> bytes:
        """The text, compressed."""
        return zlib.compress(self.text, level=1)

    @cached_property
    def ends(self) -> Mapping[str, int]:
        """Of those that end, by network."""
        return {network: ends_at for network, ends_at, _ in self.items if ends_at}

    @property
    def changes(self) -> Changes:
        """Since what they were made of."""
        return {network: self.find(network) for network in (self.since.networks if self.since else ())}

    @property
    def whole(self) -> list[int]:
        """IP versions of which every address is in it."""
        return [version for version in (4, 6) if _is_whole(self.items, version)]

    def find(self, network: str) -> Entry | None:
        """The entry of exactly this network."""
        at = _place(self.items, span(network))
        return self.items[at] if at < len(self.items) and self.items[at].network == network else None

    def changed(self, items: Sequence[Entry], networks: Collection[str]) -> "Entries":
        """These items, which differ in these networks alone. If they are few, the texts of all others are kept."""
        together = frozenset(networks).union(self.since.networks if self.since else ())
        if len(together) > min(MOST_CHANGED, len(items) // FEW):
            return Entries(tuple(items))
        digest = self.since.digest if self.since else self.reference.digest
        after = Entries(tuple(items), since=Since(digest, together))
        new = [(network, after.find(network)) for network in networks]
        after._know(
            text=lines.exchanged(self.text, [(network, entry.line if entry else b"") for network, entry in new]),
            map=lines.exchanged(self.map, [(network, entry.map_line if entry else b"") for network, entry in new]),
        )
        return after

    @classmethod
    def read(cls, text: bytes) -> "Entries":
        """Canonical text."""
        parts = (line.split("\t", 2) for line in text.decode().splitlines())
        entries = cls(tuple(Entry(network, int(ends_at), comment) for network, ends_at, comment in parts))
        entries._know(text=text)
        return entries

    def _know(self, **texts: bytes) -> None:
        """As if these properties had been read."""
        vars(self).update(texts)


def digest_of(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


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
    # Plain tuples: nothing else in this process runs while they are sorted, which takes a third of the time of spans.
    places = sorted([(*span(network), entry) for network, entry in by_network.items()])
    kept = tuple(_outermost(places))
    return Entries(kept, doubles, len(places) - len(kept))


def _outermost(places: Iterable[tuple[int, int, Entry]]) -> Iterator[Entry]:
    around: list[tuple[int, int]] = []
    for first, negative_size, entry in places:
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
    new = list(new)
    changed = {entry.network for entry in new}
    items = _but(entries.items, changed)
    for entry in new:
        changed |= _add(items, entry)
    return entries.changed(items, changed)


def _add(items: list[Entry], entry: Entry) -> set[str]:
    """Returns the networks of those that it covers, which are left out now."""
    place = _span_of(entry)
    if any(around.end >= entry.end for around in _around(items, place)):
        return set()
    at, after = _place(items, place), _place(items, Span(place.last + 1, -1 << 130))
    inner = items[at:after]
    items[at:after] = [entry, *(within for within in inner if within.end > entry.end)]
    return {within.network for within in inner if within.end <= entry.end}


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
    return entries.changed(_but(entries.items, gone), gone)


def with_changes(entries: Entries, changes: Changes) -> Entries:
    items = _but(entries.items, changes)
    for entry in filter(None, changes.values()):
        items.insert(_place(items, _span_of(entry)), entry)
    return entries.changed(items, changes)


def _but(items: Sequence[Entry], networks: Iterable[str]) -> list[Entry]:
    """Without those of these networks."""
    kept: list[Entry] = []
    done = 0
    for place, network in sorted((span(network), network) for network in networks):
        at = _place(items, place)
        kept += items[done:at]
        done = at + 1 if at < len(items) and items[at].network == network else at
    kept += items[done:]
    return kept
