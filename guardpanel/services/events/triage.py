"""Is a group a false positive? A likelihood with its reasons in words, for and against, never a bare number.

What is asked is what an experienced operator would ask (tests/services/events/test_triage.py has an example of each).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from guardpanel.events.grouping import NO_PLACE
from guardpanel.services.events import scores
from guardpanel.services.events.details import EventDetail
from guardpanel.services.events.groups import FoundGroup, Habits

SCANNERS = 913
"Thousand of the rules that know scanners by their User-Agent."

MANY, SEVERAL = 10, 3
"Visitors, or requests."

USUAL = 3
"Recorded requests with a field that visitors use."

ATTACKERS_FAMILIES = 4
"Kinds of attack from one address that no visitor makes by chance."

SEARCHERS_PATHS = 10

ENCODED = re.compile(
    r"%25[0-9a-f]{2}|%u[0-9a-f]{4}|&#x?[0-9a-f]{2,}|\\\\x[0-9a-f]{2}|fromcharcode|\bchar\(|unhex\(|base64_decode|\b0x[0-9a-f]{8,}",
    re.IGNORECASE,
)
"What hides what it is: encoded twice, or put together from numbers."

CRITICAL_POINTS = 5

LIKELY = 3
"Weight of a false positive."

MOST_CHOSEN = 2
"Weight of all that one or two clients choose themselves: cookies and a Referer, an attack small enough to score little."


Reason = tuple[int, str]
"Its weight, and its words."


class Likelihood(StrEnum):
    FALSE_POSITIVE = "false_positive"
    UNCLEAR = "unclear"
    ATTACK = "attack"


@dataclass(frozen=True)
class Signals:
    """What is known of a group."""

    rules: Sequence[int]
    requests: int
    visitors: int
    "Client networks: one client has all addresses of an IPv6 /64."
    highest: int
    "Score."
    threshold: int | None
    has_cookies: bool
    "Its newest request."
    has_own_referer: bool
    values: Sequence[str]
    "That matched there."
    habits: Sequence[Habits]
    passed: int = 0
    "Recorded ordinary requests to this path that have the same fields."


@dataclass(frozen=True)
class Triage:
    likelihood: Likelihood
    speaks_for: tuple[str, ...]
    "Reasons to think that it is no attack."
    speaks_against: tuple[str, ...]
    weight: int
    "Sorts groups; says nothing by itself."


def judge(signals: Signals) -> Triage:
    chosen, good, bad = list(_chosen(signals)), list(_no_attack(signals)), list(_attack(signals))
    weight = _points(good) - _points(bad)
    weight += _points(chosen) if signals.visitors >= SEVERAL else min(_points(chosen), MOST_CHOSEN)
    if signals.visitors == 1 and signals.requests < SEVERAL:
        weight = min(weight, LIKELY - 1)
    return Triage(_likelihood(weight), _words(good + chosen), _words(bad), weight)


def _likelihood(weight: int) -> Likelihood:
    if weight >= LIKELY:
        return Likelihood.FALSE_POSITIVE
    return Likelihood.ATTACK if weight < 0 else Likelihood.UNCLEAR


def _no_attack(signals: Signals) -> Iterator[Reason]:
    if signals.visitors >= SEVERAL:
        yield (
            (3 if signals.visitors >= MANY else 2),
            f"{signals.visitors:,} clients met the same rules in the same place.",
        )
    well = sum(habits.passed > 0 for habits in signals.habits)
    if well and well * 2 >= len(signals.habits):
        of_all = "" if well == len(signals.habits) == 1 else f"{well} of the last {len(signals.habits)} addresses: "
        yield 1, f"{of_all}other requests were answered normally.".capitalize()
    if signals.passed >= USUAL:
        yield 2, f"{signals.passed:,} recorded ordinary requests have the same field on this path, and passed."


def _chosen(signals: Signals) -> Iterator[Reason]:
    if signals.threshold and signals.threshold <= signals.highest < signals.threshold + CRITICAL_POINTS:
        yield 1, f"The score of {signals.highest} is close to the threshold of {signals.threshold}."
    if len({rule // 1_000 for rule in signals.rules}) == 1:
        yield 1, "Only one family of rules fired."
    if signals.has_cookies:
        yield 1, "The newest request carries cookies, as a visitor’s browser sends them."
    if signals.has_own_referer:
        yield 1, "It was sent from a page of the same host (Referer)."


def _attack(signals: Signals) -> Iterator[Reason]:
    families = max((len(habits.families) for habits in signals.habits), default=0)
    if any(rule // 1_000 == SCANNERS for rule in signals.rules):
        yield 5, "The User-Agent is that of a scanner."
    if families >= ATTACKERS_FAMILIES:
        yield 4, f"One address also triggered rules of {families} families."
    searching = [habits for habits in signals.habits if habits.paths >= SEARCHERS_PATHS]
    lost = [habits for habits in searching if habits.not_found * 2 >= habits.events]
    if lost:
        yield 3, f"One address asked for {max(habits.paths for habits in lost)} paths, most of which do not exist."
    if any(ENCODED.search(value) for value in signals.values):
        yield 2, "A matched value is encoded in a way that hides what it is."
    if signals.visitors == 1 and signals.requests >= MANY:
        yield 1, f"All {signals.requests:,} requests came from one client."
    elif signals.visitors == 1:
        yield 0, _alone(signals.requests)


def _alone(requests: int) -> str:
    """It says little, so it only limits what speaks for the group."""
    if requests == 1:
        return "It is a single request so far."
    return f"All {requests:,} requests so far came from one client."


def _points(reasons: Sequence[Reason]) -> int:
    return sum(points for points, _ in reasons)


def _words(reasons: Sequence[Reason]) -> tuple[str, ...]:
    return tuple(words for _, words in reasons)


def signals_of(group: FoundGroup, newest: EventDetail, passed: int) -> Signals:
    headers = {name.lower(): value for name, value in newest.headers}
    causes = scores.causes(newest)
    return Signals(
        rules=[rule.id for rule in causes],
        requests=group.row.requests,
        visitors=group.row.networks,
        highest=group.row.highest,
        threshold=newest.scores.get("inbound_anomaly_score_threshold"),
        has_cookies="cookie" in headers,
        has_own_referer=bool(newest.item.host) and f"//{newest.item.host}/" in headers.get("referer", ""),
        values=[match.value for rule in causes for match in rule.matches if match.variable not in NO_PLACE],
        habits=group.habits,
        passed=passed,
    )
