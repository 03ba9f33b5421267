"""What speaks for an attack, and what for an application whose visitors mean no harm: an example of each reason."""

from dataclasses import replace
from typing import Any

import pytest

from guardpanel.services.events.groups import Habits
from guardpanel.services.events.triage import Likelihood, Signals, judge

VISITOR = Habits(families=frozenset({941}), paths=2, passed=3, not_found=0, events=5)
SCANNER = Habits(families=frozenset({930, 932, 941, 942}), paths=30, passed=0, not_found=28, events=30)

EDITOR = Signals(
    rules=[941100, 941160], requests=83, visitors=41, highest=8, threshold=5, has_cookies=True, has_own_referer=True,
    values=["<p>Hello</p>"], habits=[VISITOR, VISITOR],
)  # fmt: skip
NOBODY = replace(
    EDITOR,
    rules=[941100, 942100],
    requests=2,
    visitors=1,
    highest=30,
    has_cookies=False,
    has_own_referer=False,
    habits=[],
)


def test_many_visitors_with_one_field_are_a_false_positive() -> None:
    triage = judge(EDITOR)

    assert triage.likelihood is Likelihood.FALSE_POSITIVE
    assert triage.speaks_for == (
        "41 clients met the same rules in the same place.",
        "2 of the last 2 addresses: other requests were answered normally.",
        "The score of 8 is close to the threshold of 5.",
        "Only one family of rules fired.",
        "The newest request carries cookies, as a visitor’s browser sends them.",
        "It was sent from a page of the same host (Referer).",
    )
    assert triage.speaks_against == ()


def test_a_scanner_is_an_attack() -> None:
    triage = judge(
        replace(NOBODY, rules=[913100, 930120], requests=40, values=["%252e%252e/etc/passwd"], habits=[SCANNER])
    )

    assert triage.likelihood is Likelihood.ATTACK
    assert triage.speaks_for == ()
    assert triage.speaks_against == (
        "The User-Agent is that of a scanner.",
        "One address also triggered rules of 4 families.",
        "One address asked for 30 paths, most of which do not exist.",
        "A matched value is encoded in a way that hides what it is.",
        "All 40 requests came from one client.",
    )


def test_what_nobody_can_tell_is_unclear() -> None:
    triage = judge(NOBODY)

    assert (triage.likelihood, triage.speaks_for) == (Likelihood.UNCLEAR, ())
    assert triage.speaks_against == ("All 2 requests so far came from one client.",)


ALONE = replace(EDITOR, visitors=1, habits=[VISITOR], passed=9)
"What an attacker with a browser sends to an ordinary form: nothing else tells it from a visitor."

UNUSUAL = replace(ALONE, passed=0, habits=[])
"Only what a client chooses itself speaks for it."


@pytest.mark.parametrize(
    ("kind", "signals", "likelihood"),
    [
        ("a single request", replace(ALONE, requests=1), Likelihood.UNCLEAR),
        ("a second try", replace(ALONE, requests=2), Likelihood.UNCLEAR),
        ("one client, again and again, in a field that others use", replace(ALONE, requests=3), Likelihood.FALSE_POSITIVE),
        ("one client in a field that nobody uses", replace(UNUSUAL, requests=3), Likelihood.UNCLEAR),
        ("one client that does not stop", replace(UNUSUAL, requests=1_000), Likelihood.UNCLEAR),
        ("two clients in a field that nobody uses", replace(UNUSUAL, requests=2, visitors=2), Likelihood.UNCLEAR),
        ("three clients in a field that nobody uses", replace(UNUSUAL, requests=3, visitors=3), Likelihood.FALSE_POSITIVE),
    ],
)  # fmt: skip
def test_what_one_client_sends_is_no_likely_false_positive_too_early(
    kind: str, signals: Signals, likelihood: Likelihood
) -> None:
    assert judge(signals).likelihood is likelihood, kind


@pytest.mark.parametrize("chosen", [{}, {"has_cookies": False}, {"highest": 30}])
def test_a_single_request_ranks_below_what_several_clients_met(chosen: dict[str, Any]) -> None:
    several = replace(EDITOR, visitors=3, requests=3, has_cookies=False, has_own_referer=False, passed=0, habits=[])

    assert judge(replace(ALONE, requests=1, **chosen)).weight < judge(several).weight


@pytest.mark.parametrize("visitors", [1, 3, 10, 1_000])
def test_visitors_do_not_make_a_scanner_harmless(visitors: int) -> None:
    assert judge(replace(NOBODY, rules=[913100], visitors=visitors, habits=[SCANNER])).likelihood is Likelihood.ATTACK


@pytest.mark.parametrize(
    "value", ["%2527", "%u0027", "&#x3c;script", r"\\x3cscript", "String.fromCharCode(1)", "0xdeadbeef01"]
)
def test_a_value_that_hides_what_it_is_speaks_against(value: str) -> None:
    assert judge(replace(EDITOR, values=[value])).speaks_against == (
        "A matched value is encoded in a way that hides what it is.",
    )


@pytest.mark.parametrize("value", ["100 %", "a & b", "char", "0x1", "C:\\temp"])
def test_an_ordinary_value_says_nothing(value: str) -> None:
    assert judge(replace(EDITOR, values=[value])).speaks_against == ()
