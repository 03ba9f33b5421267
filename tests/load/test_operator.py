"""The operator of the zero-drop test brings no state back: then its place in the order could not be told."""

from itertools import count
from typing import Any

import pytest

from tests.load.zero_drop import Operator


class Imagined(Operator):
    """Saves nothing; a state is its own checksum."""

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
