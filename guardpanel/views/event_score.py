"""A score as a waterfall: where each bar begins and ends, in percent of a common scale."""

from dataclasses import dataclass

from guardpanel.services.events import EventDetail, FiredRule, scores
from guardpanel.services.events.scores import NO_OWN, Own, ScoreSum

ROOM = 2
"Points that the scale extends beyond the threshold at least."

ROOM_FOR_A_WORD = 22
"Percent of the scale."

MOST_WITH_WORDS = 10
"Up to this number of bars, each gets a second line."


@dataclass(frozen=True)
class Bar:
    """A bar from `x` to `end`. Hairlines connect it with the previous and the next bar."""

    rule: FiredRule
    points: int
    x: float
    end: float
    is_first: bool
    is_last: bool


@dataclass(frozen=True)
class Waterfall:
    sum: ScoreSum
    bars: tuple[Bar, ...]
    threshold: float | None
    "The threshold's position."
    end: float
    "The score's position."

    @property
    def is_low(self) -> bool:
        """Whether the threshold is so close to zero that both labels do not fit."""
        return self.threshold is not None and self.threshold < ROOM_FOR_A_WORD

    @property
    def anchor(self) -> str:
        """On which side of the threshold its label fits."""
        if self.is_low:
            return "start"
        return "end" if self.threshold is not None and self.threshold > 100 - ROOM_FOR_A_WORD else "middle"

    @property
    def is_long(self) -> bool:
        """Whether there are too many bars for two lines each."""
        return len(self.bars) > MOST_WITH_WORDS

    @classmethod
    def of(cls, total: ScoreSum) -> "Waterfall":
        top = max(total.score, *(step.after for step in total.steps), (total.threshold or 0) + ROOM, 1)
        last = len(total.steps) - 1
        bars = tuple(
            Bar(step.rule, step.points, 100 * step.before / top, 100 * step.after / top, at == 0, at == last)
            for at, step in enumerate(total.steps)
        )
        return cls(total, bars, 100 * total.threshold / top if total.threshold else None, 100 * total.score / top)


def waterfalls(event: EventDetail, own: Own = NO_OWN) -> list[Waterfall]:
    """The request's score, and the response's if it was inspected. `own`: the points of the policy's custom rules."""
    sums = [scores.inbound(event, own), scores.outbound(event)]
    return [Waterfall.of(total) for total in sums if total and (total.steps or total.quiet)]


def points_of(event: EventDetail, own: Own = NO_OWN) -> dict[int, int]:
    """The points that each rule added, by rule id."""
    return {bar.rule.id: bar.points for waterfall in waterfalls(event, own) for bar in waterfall.bars}
