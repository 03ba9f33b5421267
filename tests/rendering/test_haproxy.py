"""What the cases (tests/rendering/cases) do not show: what is no line of a file, and what holds for every configuration."""

import pytest

from guardpanel.rendering import DesiredState, render
from tests.rendering.case import Case, cases
from tests.rows import FACTS, rows


def test_names_that_must_resolve_are_told() -> None:
    servers = [
        {"address": "one.lan:81"},
        {"address": "192.0.2.1"},
        {"address": "two.lan", "resolve_later": True},
        {"address": "three.lan", "enabled": False},
    ]
    state = DesiredState.from_rows(rows({}, {"a.test": {"servers": servers}}), FACTS)

    (named,) = render(state).named_servers

    assert (named.virtual_host_id, named.position, named.host, named.port) == (1, 0, "one.lan", 81)


ORDER = ["tcp-request connection", "tcp-request content", "http-request"]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_rules_stand_in_the_order_in_which_haproxy_asks_them(case: Case) -> None:
    """It warns of each that does not, at every check."""
    words = [line.split() for line in case.kept()["haproxy.cfg"].splitlines()]
    rules = [f"{one[0]} {one[1]}" if one[0] == "tcp-request" else one[0] for one in words if len(one) > 2]
    rules = [rule for rule in rules if rule in ORDER]

    assert set(rules) == set(ORDER)
    assert rules == sorted(rules, key=ORDER.index)
