"""Traffic as a chart: a bar for each slot of time, in percent of the busiest one, and the same as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from guardpanel.events.traffic import Count, total
from guardpanel.services.events.traffic import Slot, Traffic

MOST_BARS = 60

GAP = 0.2
"Of a bar's width."


class Range(StrEnum):
    """How far back."""

    HOURS_3 = "3h"
    HOURS_24 = "24h"
    DAYS_7 = "7d"
    DAYS_30 = "30d"

    @property
    def length(self) -> timedelta:
        number = int(self.value[:-1])
        return timedelta(hours=number) if self.value.endswith("h") else timedelta(days=number)

    @property
    def words(self) -> str:
        unit = "hours" if self.value.endswith("h") else "days"
        return f"{self.value[:-1]} {unit}"


@dataclass(frozen=True)
class Part:
    """A piece of a bar, in percent of the chart from its top."""

    series: str
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    begins: datetime
    count: Count
    x: float
    width: float
    parts: Sequence[Part]


@dataclass(frozen=True)
class Chart:
    bars: Sequence[Bar]
    total: Count
    top: int
    "Requests at the upper edge."

    @classmethod
    def of(cls, traffic: Traffic) -> "Chart":
        slots = traffic.together(MOST_BARS)
        top = max((slot.count.requests for slot in slots), default=0)
        width = 100 / len(slots) if slots else 0
        bars = [_bar(slot, at * width, width, top) for at, slot in enumerate(slots)]
        return cls(bars, total(slot.count for slot in slots), top)


def _bar(slot: Slot, x: float, width: float, top: int) -> Bar:
    count = slot.count
    parts, below = [], 0.0
    for series, number in (("passed", count.passed), ("detected", count.detected), ("blocked", count.rejected)):
        if number:
            height = 100 * number / top
            parts.append(Part(series, 100 - below - height, height))
            below += height
    return Bar(slot.begins, count, x + width * GAP / 2, width * (1 - GAP), parts)
