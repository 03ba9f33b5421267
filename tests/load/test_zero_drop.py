"""The short form of `make zero-drop`: saves under load, and not one request for them."""

import pytest

from tests.haproxies import VERSIONS
from tests.load.zero_drop import GUARDED, PLAIN, run

SAVES, REQUESTS, SEEDS = 34, 5_000, {"2.6": 1, "2.8": 2}
"The first saves add the hosts and policies; the rest changes them."

CALM = 4
"Visitors with shorter pauses take most of the processor's time, and a save under them takes longer."


@pytest.mark.live
@pytest.mark.parametrize("version", VERSIONS)
def test_saves_under_load_lose_no_request_and_mix_no_revisions(version: str) -> None:
    result = run(version, SAVES, REQUESTS, SEEDS.get(version, 3), CALM)

    assert (result.refused, result.complaints) == ([], [])
    assert result.saves >= SAVES
    kinds = {(met["What"]["Host"], met["What"]["Kind"], met["What"]["Status"]) for met in result.report["Met"]}
    assert {host for host, _, status in kinds if status == 200} >= {*PLAIN, *GUARDED}
    assert {kind for _, kind, _ in kinds} == {"get", "form", "getattack", "formattack"}
    assert {status for _, _, status in kinds} == {200, 403, 421}
