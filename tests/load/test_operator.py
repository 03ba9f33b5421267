"""The operator of the zero-drop test brings no state back (then its place in the order could not be told), and has visitors
meet all that there is."""

from collections import Counter
from itertools import count
from typing import Any

import pytest

from tests.load.test_zero_drop import SAVES
from tests.load.zero_drop import BLOCKED, Operator


class Imagined(Operator):
    """Saves nothing, so that it needs neither panel nor client; a state is its own checksum."""

    def __init__(self, seed: int) -> None:
        self.numbers = count(1)
        super().__init__(None, None, [8001, 8002, 8003], seed)  # type: ignore[arg-type]

    def checksum(self) -> str:
        return repr(sorted(self.state.rendered().items()))

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return {"id": next(self.numbers)}


@pytest.mark.parametrize("seed", range(50))
def test_no_state_comes_back(seed: int) -> None:
    operator = Imagined(seed)

    while len(operator.seconds) < 100:
        operator.save()


@pytest.mark.parametrize("seed", range(50))
def test_attacks_are_blocked_whatever_comes_by_chance(seed: int) -> None:
    """For some saves, so that visitors meet it."""
    operator, blocked = Imagined(seed), Counter[str]()

    while len(operator.seconds) < SAVES:
        operator.save()
        blocked.update(host for host in operator.state.hosts if operator.state.answer(host, "getattack")[0] == 403)

    assert {host for host, saves in blocked.items() if saves >= 4} >= set(BLOCKED)
