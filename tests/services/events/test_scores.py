"""How a score came about: what the rules added is what CRS counted, or it is said that it is not."""

from typing import Any

import pytest

from guardpanel.events.schema import EPOCH
from guardpanel.services.events import EventDetail, EventItem, Verdict, scores
from guardpanel.services.events.details import detail
from tests.events import BY_SCORE, a_rule, an_event, as_line

ITEM = EventItem(
    request_id="1", time=EPOCH, virtual_host_id=None, virtual_host=None, policy_id=None, policy=None, application="", revision=None,
    client="192.0.2.7", method="GET", host="", path="/", verdict=Verdict.BLOCKED, status=403, score=5, severity=None, rules=(), reason=None, message="",
)  # fmt: skip


def event(rules: list[dict[str, Any]], **others: int) -> EventDetail:
    """With these rules, and CRS's variables by the first word of their names."""
    named = {
        "inbound": "blocking_inbound_anomaly_score", "threshold": "inbound_anomaly_score_threshold", "level": "blocking_paranoia_level",
        "outbound": "blocking_outbound_anomaly_score", "limit": "outbound_anomaly_score_threshold",
    }  # fmt: skip
    line = an_event(rules=[*rules, BY_SCORE], scores={named[name]: value for name, value in others.items()})
    return detail(ITEM, as_line(line), None)


def matches(*chains: int) -> list[dict[str, Any]]:
    return [{"variable": "ARGS", "key": "a", "value": "b", "chain": chain, "bytes": 1} for chain in chains]


def test_each_rule_adds_the_points_of_its_severity() -> None:
    rules = [
        a_rule(1, severity="critical"),
        a_rule(2, severity="error"),
        a_rule(3, severity="warning"),
        a_rule(4, severity="notice"),
    ]

    total = scores.inbound(event(rules, inbound=14, threshold=5, level=1))

    assert total is not None
    assert [(step.rule.id, step.before, step.points) for step in total.steps] == [
        (1, 0, 5),
        (2, 5, 4),
        (3, 9, 3),
        (4, 12, 2),
    ]
    assert total.adds_up and total.reached and total.quiet == ()


@pytest.mark.parametrize(
    ("chains", "score", "points"),
    [
        ((0,), 5, 5),
        ((1, 1, 1), 15, 15),
        ((1, 2, 2), 10, 10),
        ((1, 1, 2), 5, 5),
        ((1, 2, 2, 2), 5, 5),
        ((1, 1, 2, 2, 2), 10, 10),
    ],
)
def test_a_rule_counts_for_each_value_at_the_link_that_adds(chains: tuple[int, ...], score: int, points: int) -> None:
    total = scores.inbound(event([a_rule(matches=matches(*chains))], inbound=score, level=1))

    assert total is not None and total.adds_up
    assert [step.points for step in total.steps] == [points]


def test_values_that_are_not_kept_count() -> None:
    total = scores.inbound(event([a_rule(matches=matches(*[1] * 20), matches_cut=3)], inbound=115, level=1))

    assert total is not None and total.adds_up


def test_rules_of_a_higher_level_only_detect() -> None:
    rules = [a_rule(1), a_rule(2, paranoia_level="2"), a_rule(3, paranoia_level="4")]

    for level in ({"level": 2}, {}):
        total = scores.inbound(event(rules, inbound=10, threshold=15, **level))
        assert total is not None and total.adds_up and not total.reached
        assert [step.rule.id for step in total.steps] == [1, 2]
        assert [rule.id for rule in total.quiet] == [3]


def test_another_sum_is_said_so() -> None:
    total = scores.inbound(event([a_rule()], inbound=7, level=1))

    assert total is not None and not total.adds_up and total.score == 7


def test_the_response_has_a_score_of_its_own() -> None:
    detail = event([a_rule(1), a_rule(951100, phase=4, severity="error")], inbound=5, outbound=4, limit=4, level=1)

    found_in, found_out = scores.inbound(detail), scores.outbound(detail)

    assert found_in is not None and [step.rule.id for step in found_in.steps] == [1]
    assert found_out is not None and [step.rule.id for step in found_out.steps] == [951100] and found_out.reached
    assert scores.outbound(event([a_rule(1)], inbound=5, outbound=0, limit=4)) is None


def test_a_rule_without_a_level_or_severity_adds_nothing() -> None:
    """One of the operator's own, for instance."""
    detail = event(
        [a_rule(9000001, paranoia_level=None, severity=None) | {"paranoia_level": "", "severity": ""}],
        inbound=0,
        level=1,
    )

    total = scores.inbound(detail)

    assert total is not None and total.steps == () and total.adds_up
    assert [rule.id for rule in scores.causes(detail)] == [9000001]


def test_without_the_agents_line_nothing_is_known() -> None:
    assert scores.inbound(detail(ITEM, None, None)) is None


def test_a_custom_rule_adds_its_own_points() -> None:
    """It has no paranoia level, and its severity says nothing of its points."""
    mine = a_rule(9_000_001, paranoia_level="", severity="critical")
    detail = event([a_rule(942100), mine], inbound=8, level=1)

    unknown, known = scores.inbound(detail), scores.inbound(detail, {9_000_001: 3})

    assert unknown is not None and known is not None
    assert (unknown.adds_up, [step.points for step in unknown.steps]) == (False, [5])
    assert (known.adds_up, [step.points for step in known.steps]) == (True, [5, 3])
