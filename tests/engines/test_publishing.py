"""Which changes HAProxy takes in the running process together."""

import pytest

from guardpanel.bundle import AGENT, BINDINGS, SERVERS
from guardpanel.engines.publishing import is_at_one_moment

KEY = "certs/17.pem"


@pytest.mark.parametrize(
    ("keys", "data", "is_swapped"),
    [
        ([], [BINDINGS, AGENT], True), ([], [AGENT], True), ([KEY], [AGENT, SERVERS], True),
        ([], [BINDINGS, SERVERS], False), ([KEY], [BINDINGS], False), ([], [BINDINGS, AGENT, "lists/3.map"], False),
    ],
)  # fmt: skip
def test_policies_never_change_before_or_after_something_else_of_a_save(
    keys: list[str], data: list[str], is_swapped: bool
) -> None:
    assert is_at_one_moment(keys, data) is is_swapped
