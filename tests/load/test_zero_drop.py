"""The short form of `make zero-drop`: saves under load, and not one request for them."""

import random

import pytest

from tests.haproxies import VERSIONS
from tests.load.zero_drop import GUARDED, PLAIN, run

SAVES, REQUESTS = 45, 5_000
"The first saves add the hosts and policies; the rest changes them."


@pytest.mark.live
@pytest.mark.parametrize("version", VERSIONS)
def test_saves_under_load_lose_no_request_and_mix_no_revisions(version: str) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")

    result = run(version, SAVES, REQUESTS, seed)

    assert (result.refused, result.complaints) == ([], [])
    assert result.saves >= SAVES
    kinds = {(one["What"]["Host"], one["What"]["Kind"], one["What"]["Status"]) for one in result.report["Met"]}
    assert {host for host, _, status in kinds if status == 200} >= {*PLAIN, *GUARDED}
    assert {kind for _, kind, _ in kinds} == {"get", "form", "getattack", "formattack"}
    assert {status for _, _, status in kinds} == {200, 403, 421}
