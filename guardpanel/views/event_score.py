"""A score as a waterfall: where each bar begins and ends, in percent of a common scale."""

from dataclasses import dataclass

from guardpanel.services.events import EventDetail, FiredRule, scores
from guardpanel.services.events.scores import Sum

ROOM = 2
"Points beyond the threshold that the scale has at least."

ROOM_FOR_A_WORD = 22
"Percent of the scale."

MOST_WITH_WORDS = 10
"Bars up to which each has a second line."


@dataclass(frozen=True)
class Bar:
    """`x` to `end`. A hairline leads there from the bar before, and on to the next one."""

    rule: FiredRule
    points: int
    x: float
    end: float
    is_first: bool
    is_last: bool


@dataclass(frozen=True)
class Waterfall:
    sum: Sum
    bars: tuple[Bar, ...]
    threshold: float | None
    "Where its line stands."
    end: float
    "Where the score stands."

    @property
    def is_low(self) -> bool:
        """The threshold stands so near to zero that there is no room for both words."""
        return self.threshold is not None and self.threshold < ROOM_FOR_A_WORD

    @property
    def anchor(self) -> str:
        """Which side of the threshold its word stands on, so that it stays within the scale."""
        if self.is_low:
            return "start"
        return "end" if self.threshold is not None and self.threshold > 100 - ROOM_FOR_A_WORD else "middle"

    @property
    def is_long(self) -> bool:
        """So many bars that each gets one line."""
        return len(self.bars) > MOST_WITH_WORDS

    @classmethod
    def of(cls, found: Sum) -> "Waterfall":
        top = max(found.score, *(step.after for step in found.steps), (found.threshold or 0) + ROOM, 1)
        last = len(found.steps) - 1
        bars = tuple(
            Bar(step.rule, step.points, 100 * step.before / top, 100 * step.after / top, at == 0, at == last)
            for at, step in enumerate(found.steps)
        )
        return cls(found, bars, 100 * found.threshold / top if found.threshold else None, 100 * found.score / top)


def waterfalls(event: EventDetail) -> list[Waterfall]:
    """The request's score, and the response's where it was judged."""
    sums = [scores.inbound(event), scores.outbound(event)]
    return [Waterfall.of(found) for found in sums if found and (found.steps or found.quiet)]


def points_of(event: EventDetail) -> dict[int, int]:
    """What each rule added, by its id."""
    return {bar.rule.id: bar.points for one in waterfalls(event) for bar in one.bars}
