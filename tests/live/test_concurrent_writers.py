"""The short form of `tests/load/writers.py`: clients that write at once lose no update."""

import pytest

from tests.load.writers import EXPECTED, run
from tests.panel import Panel

pytestmark = pytest.mark.one_haproxy

SAVES, SEED = 24, 4711


def test_writes_under_an_etag_lose_no_update(shared_panel: Panel) -> None:
    before = len(shared_panel.output.read_text(errors="replace"))

    result = run(shared_panel, SAVES, SEED)

    assert (result.unexpected, result.lost) == ([], {})
    assert result.saves >= SAVES
    assert set(result.statuses) == {f"{method} {status}" for method, own in EXPECTED.items() for status in own}
    assert "database is locked" not in shared_panel.output.read_text(errors="replace")[before:]
