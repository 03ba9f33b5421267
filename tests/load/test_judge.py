"""The judge of the zero-drop test complains of all that must not be, and of nothing else."""

from typing import Any

import pytest

from tests.load.judge import BLOCKING, Expected, Host, Policy, State, complaints

FIRST, SECOND = "1" * 64, "2" * 64


def a_state(server: int, threshold: int) -> State:
    """shop is blocked by the policy, alike by another that says the same; plain is not looked at."""
    hosts = {"shop": Host(server, 1, 7, None), "alike": Host(server, 1, 8, None), "plain": Host(server, 1, 7, "off")}
    return State(hosts, {7: Policy("block", threshold, 4), 8: Policy("block", threshold, 4)})


@pytest.fixture
def expected() -> Expected:
    """The second save moves both hosts to another server, and lets the attack pass."""
    saves = Expected()
    saves.live(FIRST, a_state(8001, BLOCKING))
    saves.live(SECOND, a_state(8002, 1_000))
    return saves


def met(checksum: str, host: str, kind: str, status: int, server: str, application: str) -> dict[str, Any]:
    what = {"Checksum": checksum, "Host": host, "Kind": kind, "Status": status}
    return {"What": {**what, "Server": server, "Application": application}, "Count": 3}


def a_report(*more: dict[str, Any], **others: Any) -> dict[str, Any]:
    """As it should be, and what else was met."""
    good = [
        met(FIRST, "shop", "get", 200, "8001", "old"),
        met(FIRST, "shop", "getattack", 403, "", "old"),
        met(FIRST, "alike", "get", 200, "8001", "old"),
        met(FIRST, "plain", "formattack", 200, "8001", "-"),
        met(SECOND, "shop", "getattack", 200, "8002", "new"),
        met(SECOND, "nobody", "get", 421, "", ""),
    ]
    firsts = [{"What": {"AtLeast": 1, "Checksum": SECOND}, "Count": 1}]
    steps = [{"What": {"Before": FIRST, "After": SECOND}, "Count": 1}]
    return {"Met": [*good, *more], "Firsts": firsts, "Steps": steps, "Lost": [], **others}


def test_it_has_nothing_to_say_where_all_is_well(expected: Expected) -> None:
    assert complaints(a_report(), expected) == []


def test_an_old_worker_may_judge_by_a_later_save_that_changes_policies_alone() -> None:
    third, fourth = "3" * 64, "4" * 64
    saves = Expected()
    for checksum, server, threshold in ((FIRST, 8001, BLOCKING), (third, 8001, 1_000), (fourth, 8002, 1_001)):
        saves.live(checksum, a_state(server, threshold))
    good = [
        met(FIRST, "shop", "get", 200, "8001", "old"), met(third, "shop", "get", 200, "8001", "new"),
        met(FIRST, "shop", "formattack", 200, "8001", "new"), met(FIRST, "shop", "formattack", 403, "", "old"),
        met(FIRST, "alike", "get", 200, "8001", "new"), met(fourth, "shop", "get", 200, "8002", "newest"),
    ]  # fmt: skip
    nothing: dict[str, Any] = {"Firsts": [], "Steps": [], "Lost": []}
    assert complaints({"Met": good, **nothing}, saves) == []
    for wrong in (
        met(FIRST, "shop", "get", 200, "8001", "newest"), met(FIRST, "shop", "get", 200, "8002", "newest"),
        met(FIRST, "shop", "formattack", 200, "8001", "old"), met(third, "shop", "formattack", 403, "", "old"),
        met(FIRST, "plain", "get", 200, "8001", "new"),
    ):  # fmt: skip
        assert complaints({"Met": [*good, wrong], **nothing}, saves), wrong


def test_policies_that_are_swapped_share_a_checksum() -> None:
    saves = Expected()
    for checksum, server, threshold in ((FIRST, 8001, BLOCKING), (FIRST, 8001, 1_000), (SECOND, 8002, 1_001)):
        saves.live(checksum, a_state(server, threshold))
    good = [
        met(FIRST, "shop", "formattack", 403, "", "old"), met(FIRST, "shop", "formattack", 200, "8001", "new"),
        met(SECOND, "shop", "get", 200, "8002", "newest"),
    ]  # fmt: skip
    swapped = {"What": {"AtLeast": 1, "Checksum": FIRST}, "Count": 1}
    late = {"What": {"AtLeast": 2, "Checksum": FIRST}, "Count": 1}
    nothing: dict[str, Any] = {"Steps": [], "Lost": []}
    assert complaints({"Met": good, "Firsts": [swapped], **nothing}, saves) == []
    assert complaints({"Met": good, "Firsts": [late], **nothing}, saves)
    wrong = met(FIRST, "shop", "formattack", 200, "8001", "old")
    assert complaints({"Met": [*good, wrong], "Firsts": [], **nothing}, saves)


WRONG = {
    "the server of another revision": (met(SECOND, "shop", "get", 200, "8001", "new"), "of server 8001 instead of"),
    "the rules of another revision": (met(SECOND, "shop", "form", 200, "8002", "old"), "judged by old, which is not"),
    "rules where none are asked for": (met(SECOND, "plain", "get", 200, "8002", "new"), "although the mode is off"),
    "an attack that passed": (met(FIRST, "shop", "getattack", 200, "8001", "old"), "instead of (403, '')"),
    "an attack that was stopped too much": (met(SECOND, "shop", "formattack", 403, "", "new"), "403 of server -"),
    "a verdict that was missing": (met(FIRST, "shop", "get", 503, "", "old"), "503 of server -"),
    "a host that is not there": (met(FIRST, "nobody", "get", 200, "8001", "-"), "instead of (421, '')"),
    "a revision that nobody saved": (met("3" * 64, "shop", "get", 200, "8001", "old"), "was never saved"),
}


@pytest.mark.parametrize("case", WRONG)
def test_it_complains_of(expected: Expected, case: str) -> None:
    answer, words = WRONG[case]

    problems = complaints(a_report(answer), expected)

    assert any(words in complaint and complaint.startswith("3 ×") for complaint in problems), problems


def test_it_complains_of_a_request_without_an_answer(expected: Expected) -> None:
    lost = [{"Cause": "ended without an answer", "Fleet": "kept", "Answers": 4}]

    assert complaints(a_report(Lost=lost), expected) == [
        "1 × lost on a used connection of kept: ended without an answer"
    ]


def test_it_complains_of_a_new_connection_that_an_old_revision_decides(expected: Expected) -> None:
    firsts = [{"What": {"AtLeast": 1, "Checksum": FIRST}, "Count": 2}]

    problems = complaints(a_report(Firsts=firsts), expected)

    assert problems == ["2 × a connection opened after save 1 was decided by save 0"]


def test_judge_reports_a_connection_that_goes_back(expected: Expected) -> None:
    steps = [{"What": {"Before": SECOND, "After": FIRST}, "Count": 1}]

    assert "went back" in complaints(a_report(Steps=steps), expected)[0]
