"""What speaks for an attack, and what for an application whose visitors mean no harm: an example of each reason."""

from dataclasses import replace

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
        "41 addresses met the same rules in the same place.",
        "The score of 8 is close to the threshold of 5.",
        "Only one family of rules fired.",
        "2 of the last 2 addresses: other requests were answered normally.",
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
        "All 40 requests came from one address.",
    )


def test_what_nobody_can_tell_is_unclear() -> None:
    triage = judge(NOBODY)

    assert (triage.likelihood, triage.speaks_for, triage.speaks_against) == (Likelihood.UNCLEAR, (), ())


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
