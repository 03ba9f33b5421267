"""How an event's score came about: what each rule added, and which rules fired without adding anything."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from guardpanel.events.crs import is_reporting
from guardpanel.events.words import Severity
from guardpanel.services.events.details import EventDetail, FiredRule

POINTS = {
    Severity.EMERGENCY: 5, Severity.ALERT: 5, Severity.CRITICAL: 5, Severity.ERROR: 4, Severity.WARNING: 3, Severity.NOTICE: 2,
}  # fmt: skip
"The points that CRS adds per severity. guardpanel's policies do not change them."

Own = Mapping[int, int]
"The inbound points of custom rules, by rule id: they have no paranoia level, and any number of points."

NO_OWN: Own = {}

RESPONSE_PHASES = {3, 4}
HIGHEST_LEVEL = 4


@dataclass(frozen=True)
class Step:
    """A rule, the score before it and the points it added."""

    rule: FiredRule
    before: int
    points: int

    @property
    def after(self) -> int:
        return self.before + self.points


@dataclass(frozen=True)
class ScoreSum:
    """One direction's score, step by step. `quiet` rules fired at a paranoia level that only detects."""

    outbound: bool
    score: int
    threshold: int | None
    steps: tuple[Step, ...]
    quiet: tuple[FiredRule, ...]
    adds_up: bool
    "False: the steps are CRS's points by severity, but CRS reported another sum."

    @property
    def reached(self) -> bool:
        return self.threshold is not None and self.score >= self.threshold > 0


def may_be_fixed(event: EventDetail) -> bool:
    """Whether a change of its virtual host's policy may let such requests pass."""
    return event.item.virtual_host_id is not None and bool(causes(event))


def causes(event: EventDetail) -> list[FiredRule]:
    """Rules that detected something, without those that report the sum."""
    return [rule for rule in event.rules if not is_reporting(rule.id)]


def is_of_response(event: EventDetail) -> bool:
    """Whether rules about the response are what blocked it, or would have."""
    if all(rule.phase in RESPONSE_PHASES for rule in causes(event)):
        return True
    to_visitor, to_server = outbound(event), inbound(event)
    return bool(to_visitor and to_visitor.reached and not (to_server and to_server.reached))


def inbound(event: EventDetail, own: Own = NO_OWN) -> ScoreSum | None:
    return _sum(event, own, outbound=False)


def outbound(event: EventDetail) -> ScoreSum | None:
    """None also if no rule inspected the response."""
    total = _sum(event, NO_OWN, outbound=True)
    return total if total and (total.steps or total.quiet) else None


def _sum(event: EventDetail, own: Own, *, outbound: bool) -> ScoreSum | None:
    way = "outbound" if outbound else "inbound"
    score = event.scores.get(f"blocking_{way}_anomaly_score")
    if score is None:
        return None
    scoring = [
        rule for rule in causes(event)
        if (rule.id in own or rule.paranoia_level is not None)
        and (rule.phase in RESPONSE_PHASES) == outbound and rule.severity in POINTS
    ]  # fmt: skip
    level, times, adds_up = _explained(scoring, score, event.scores.get("blocking_paranoia_level"), own)
    steps: list[Step] = []
    for rule in scoring:
        if (rule.paranoia_level or 0) <= level:
            steps.append(Step(rule, steps[-1].after if steps else 0, _points(rule, times, own)))
    quiet = tuple(rule for rule in scoring if (rule.paranoia_level or 0) > level)
    return ScoreSum(outbound, score, event.scores.get(f"{way}_anomaly_score_threshold"), tuple(steps), quiet, adds_up)


Times = Callable[[FiredRule], int]


def _explained(scoring: Sequence[FiredRule], score: int, known_level: int | None, own: Own) -> tuple[int, Times, bool]:
    """The paranoia level that blocks, and how often each rule counts, so that the sum equals the score.

    A rule adds its points for each matching value, at whichever link of its chain does so, and older agents do not report the
    level. The combination that yields the score is what happened.
    """
    levels = [known_level] if known_level else range(1, HIGHEST_LEVEL + 1)
    for times in (_by_last_link, _once, _by_first_link):
        for level in levels:
            if sum(_points(rule, times, own) for rule in scoring if (rule.paranoia_level or 0) <= level) == score:
                return level, times, True
    return known_level or HIGHEST_LEVEL, _by_last_link, False


def _points(rule: FiredRule, times: Times, own: Own) -> int:
    return (own.get(rule.id) or POINTS[rule.severity or Severity.NOTICE]) * times(rule)


def _by_last_link(rule: FiredRule) -> int:
    last = max((match.chain for match in rule.matches), default=0)
    return max(1, sum(match.chain == last for match in rule.matches) + rule.matches_cut)


def _by_first_link(rule: FiredRule) -> int:
    first = min((match.chain for match in rule.matches), default=0)
    return max(1, sum(match.chain == first for match in rule.matches) + rule.matches_cut)


def _once(_rule: FiredRule) -> int:
    return 1
