"""What a rule override does to verdicts, judged by the real agent."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.live.judging import EvaluatedRequest, Judge, a_request
from tests.rows import rows

POLICIES = ("As it is", "Rule off", "Family off", "Tag off", "Counts")
OVERRIDES: list[dict[str, Any]] = [
    {"policy": "Rule off", "rule": "942100"},
    {"policy": "Family off", "rule": "941"},
    {"policy": "Tag off", "rule": "attack-lfi"},
    {"policy": "Counts", "rule": "942330", "action": "enable", "level": 2, "points": 5},
]


def asking(text: str) -> EvaluatedRequest:
    return a_request("GET", f"/?q={quote(text)}")


SQL, XSS, PASSWD = asking("1' or '1'='1"), asking("<script>alert(1)</script>"), asking("/etc/passwd")
LEVEL_2 = asking("' or 1=1--")


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    policies = {name: {"enforcement_mode": "block", "detection_paranoia_level": 2} for name in POLICIES}
    with Judge(rows(policies, {}, overrides=OVERRIDES)) as made:
        yield made


def fired(judge: Judge, policy: str, request: EvaluatedRequest) -> set[int]:
    return judge.fired(request, POLICIES.index(policy) + 1)


def test_a_rule_that_is_off_never_fires_and_all_others_do(judge: Judge) -> None:
    before = fired(judge, "As it is", SQL)

    assert 942100 in before
    assert fired(judge, "Rule off", SQL) == before - {942100}


def test_a_family_that_is_off_never_fires_at_any_level(judge: Judge) -> None:
    before = fired(judge, "As it is", XSS)

    assert any(rule // 1_000 == 941 for rule in before)
    assert fired(judge, "Family off", XSS) == {rule for rule in before if rule // 1_000 != 941}
    assert fired(judge, "Family off", SQL) == fired(judge, "As it is", SQL)


def test_rules_with_a_tag_that_is_off_never_fire(judge: Judge) -> None:
    before = fired(judge, "As it is", PASSWD)

    assert 930120 in before
    assert fired(judge, "Tag off", PASSWD) == before - {930120}


def test_points_of_a_rule_above_the_blocking_level_count_there_and_nowhere_twice(judge: Judge) -> None:
    before, after = (
        judge.says(LEVEL_2, POLICIES.index(name) + 1)["scores"]["inbound"] for name in ("As it is", "Counts")
    )

    assert 942330 in fired(judge, "Counts", LEVEL_2)
    assert after["paranoia_levels"]["1"] == before["paranoia_levels"]["1"] + 5
    assert after["paranoia_levels"]["2"] == before["paranoia_levels"]["2"] - 5
    assert (after["blocking"], after["detection"]) == (before["blocking"] + 5, before["detection"])
