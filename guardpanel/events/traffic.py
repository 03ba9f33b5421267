"""Requests that were counted, whether or not anything is recorded of them: the rows of table `traffic`, and what they add up to.

A row holds what HAProxy logged of one virtual host in one step of time. Steps of five minutes are kept for two days, those of an
hour for a month, so that a scan costs no more room than a quiet day.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

ALL, UNKNOWN = -1, 0
"In place of a virtual host's id: everything together, and requests that no virtual host answered."


class Step(NamedTuple):
    """A length of time that is counted together, in seconds, and how long its rows are kept."""

    seconds: int
    kept_seconds: int


FINE, COARSE = Step(300, 2 * 86_400), Step(3_600, 31 * 86_400)
STEPS = (FINE, COARSE)

MILLISECONDS = (
    1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 150, 200, 300, 400, 500, 700,
    1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000, 20_000, 30_000, 60_000,
)  # fmt: skip
"Upper bounds, inclusive. What took longer is counted after the last."

CLASSES = ("other", "1xx", "2xx", "3xx", "4xx", "5xx")
"Of statuses, by their first digit. Other: no response."

REQUESTS, REJECTED, DETECTED, SENT, STATUSES = range(5)
TIMES = STATUSES + len(CLASSES)
NO_TIME = TIMES + len(MILLISECONDS) + 1
LENGTH = NO_TIME + 1
"""Places in a plain list of these numbers, to which the ingest adds each line. NO_TIME is of requests without a server's
response."""

Numbers = list[int]

SINGLE = ("requests", "rejected", "detected", "sent")


@dataclass
class Count:
    requests: int = 0
    rejected: int = 0
    "Answered by HAProxy because of a verdict. In no other number but the first and the bytes."
    detected: int = 0
    "Rules fired, and it was not rejected."
    sent: int = 0
    "Bytes to clients, headers included."
    statuses: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    times: list[int] = field(default_factory=lambda: [0] * (len(MILLISECONDS) + 1))
    "Responses of servers, by how long they took to begin."

    @property
    def passed(self) -> int:
        """Neither rejected nor detected."""
        return self.requests - self.rejected - self.detected

    def add(self, other: Self) -> None:
        for name in SINGLE:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.statuses = [a + b for a, b in zip(self.statuses, other.statuses, strict=True)]
        self.times = [a + b for a, b in zip(self.times, other.times, strict=True)]

    def took(self, milliseconds: int) -> None:
        self.times[bisect_left(MILLISECONDS, milliseconds)] += 1

    def percentile(self, part: float) -> int | None:
        """The bound below which this part of the servers' responses began, in milliseconds. None without any; of those after the
        last bound, that bound."""
        wanted, below = part * sum(self.times), 0
        for bound, number in zip((*MILLISECONDS, MILLISECONDS[-1]), self.times, strict=True):
            below += number
            if number and below >= wanted:
                return bound
        return None

    def as_row(self) -> tuple[int, int, int, int, str, str]:
        return self.requests, self.rejected, self.detected, self.sent, _text(self.statuses), _text(self.times)

    @classmethod
    def of_numbers(cls, numbers: Numbers) -> Self:
        requests, rejected, detected, sent = numbers[:STATUSES]
        return cls(requests, rejected, detected, sent, numbers[STATUSES:TIMES], numbers[TIMES:NO_TIME])

    def without(self, other: Self) -> Self:
        """What remains of it. Nothing is less than 0."""
        rest = type(self)(*(max(0, getattr(self, name) - getattr(other, name)) for name in SINGLE))
        rest.statuses = [max(0, a - b) for a, b in zip(self.statuses, other.statuses, strict=True)]
        rest.times = [max(0, a - b) for a, b in zip(self.times, other.times, strict=True)]
        return rest

    @classmethod
    def of_row(cls, row: Sequence[int | str]) -> Self:
        requests, rejected, detected, sent = (int(value) for value in row[:4])
        return cls(requests, rejected, detected, sent, *(_numbers(str(text)) for text in row[4:]))


def total(counts: Iterable[Count]) -> Count:
    together = Count()
    for count in counts:
        together.add(count)
    return together


def _text(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def starts(step: Step, first: int, last: int) -> Iterator[int]:
    """The beginning of each step from that of `first` to that of `last`: seconds since 1970."""
    return iter(range(first - first % step.seconds, last + 1, step.seconds))
