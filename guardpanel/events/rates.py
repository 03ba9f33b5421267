"""How many requests visitors send within a time: of a policy's visitors in an hour, a sample, so that a scan takes no more room
than visitors do.

In the sample are those whose names have the smallest hashes (*bottom-k*, Cohen and Kaplan, 2007): as many of a kind as there are
of it among all visitors, and in each hour the same ones. Up to MOST of them are no sample: they are all.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b

import msgspec

from guardpanel.events.busiest import HOUR

WINDOWS = (1, 10, 60, 600, HOUR)
"Seconds, by the clock."

MOST = 250
"Visitors of an hour that are stored."

ALL_HASHES = 1 << 32

SLOT, COUNT, BEFORE, PEAK, PAIR = range(5)
"""Of a visitor and a window: the last one with requests, how many, and how many in the one before it; the most that one had, and
two in a row. Any time as long as a window is within two."""

Numbers = list[list[int]]
"Of a visitor, by window."


@dataclass
class Sample:
    visitors: dict[str, Numbers] = field(default_factory=dict)
    bound: int = ALL_HASHES
    "Whoever has a smaller hash is in it."

    def add(self, visitor: str, seconds: Sequence[int]) -> None:
        """Its requests, by when they were sent."""
        if hash_of(visitor) >= self.bound:
            return
        numbers = self.visitors.setdefault(visitor, [[-1, 0, 0, 0, 0] for _ in WINDOWS])
        by_second = sorted(Counter(seconds).items()) if len(seconds) > 1 else [(seconds[0], 1)]
        for window, counted in zip(WINDOWS, numbers, strict=True):
            slot, requests = by_second[0][0] // window, 0
            for second, times in by_second:
                if second // window == slot:
                    requests += times
                else:
                    _count(counted, slot, requests)
                    slot, requests = second // window, times
            _count(counted, slot, requests)

    def keep(self, most: int = MOST) -> None:
        if len(self.visitors) > most:
            self.narrow(sorted(map(hash_of, self.visitors))[most])

    def narrow(self, bound: int) -> None:
        """Whoever has a larger hash is left out."""
        if bound < self.bound:
            self.bound = bound
            self.visitors = {name: numbers for name, numbers in self.visitors.items() if hash_of(name) < bound}

    def join(self, other: "Sample") -> None:
        """Of another hour."""
        self.narrow(other.bound)
        for name, numbers in other.visitors.items():
            if hash_of(name) >= self.bound:
                continue
            known = self.visitors.setdefault(name, [[-1, 0, 0, 0, 0] for _ in WINDOWS])
            for mine, theirs in zip(known, numbers, strict=True):
                mine[PEAK], mine[PAIR] = max(mine[PEAK], theirs[PEAK]), max(mine[PAIR], theirs[PAIR])

    def packed(self) -> bytes:
        return msgspec.msgpack.encode(self.visitors)

    @classmethod
    def unpacked(cls, bound: int, visitors: bytes) -> "Sample":
        return cls(VISITORS.decode(visitors), bound)


VISITORS = msgspec.msgpack.Decoder(dict[str, Numbers])


@lru_cache(maxsize=4_096)
def hash_of(visitor: str) -> int:
    return int.from_bytes(blake2b(visitor.encode(), digest_size=4).digest())


def _count(counted: list[int], slot: int, requests: int) -> None:
    """Lines are in the order in which requests ended: one that took long belongs to an earlier window."""
    behind = counted[SLOT] - slot
    if behind > 1:
        return
    if behind == 1:
        counted[BEFORE] += requests
    elif behind == 0:
        counted[COUNT] += requests
    else:
        counted[BEFORE] = counted[COUNT] if behind == -1 else 0
        counted[SLOT], counted[COUNT] = slot, requests
    counted[PEAK] = max(counted[PEAK], counted[COUNT], counted[BEFORE])
    counted[PAIR] = max(counted[PAIR], counted[COUNT] + counted[BEFORE])
