"""How long an application is kept for requests in progress."""

from collections.abc import Collection

import pytest

from guardpanel.engines import applications_in_use
from guardpanel.engines.applications_in_use import ApplicationsInUse
from guardpanel.engines.haproxy.master_cli import _seconds

pytestmark = pytest.mark.anyio


class Requests:
    """Of HAProxy's visitors, by when they came."""

    def __init__(self) -> None:
        self.came: list[int] = []
        self.now = 100_000

    async def ages_of_requests(self) -> set[tuple[int, int]]:
        return {(self.now - moment, self.now - moment) for moment in self.came}


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Requests:
    requests = Requests()
    monkeypatch.setattr(applications_in_use, "monotonic", lambda: float(requests.now))
    return requests


async def replaced(in_use: ApplicationsInUse, requests: Requests, names: Collection[str]) -> None:
    """A policy is saved every ten minutes. Each time it is another application, and the one before is unused."""
    for at, _ in enumerate(names):
        in_use.go_live([list(names)[at]])
        await in_use._of_requests(list(names)[:at])
        requests.now += 600


async def test_a_request_that_lasts_keeps_what_it_may_ask_for_and_not_each_policy_after_it(requests: Requests) -> None:
    in_use = ApplicationsInUse(requests, None, None)  # type: ignore[arg-type]
    requests.came = [requests.now + 700]  # While the second was live.
    names = ["first", "second", "third", "fourth"]
    await replaced(in_use, requests, names)

    assert await in_use._of_requests(names[:-1]) == {"second"}
    requests.came = []
    assert await in_use._of_requests(names[:-1]) == set()


async def test_what_was_there_before_the_panel_is_kept_for_every_older_request(requests: Requests) -> None:
    in_use = ApplicationsInUse(requests, None, None)  # type: ignore[arg-type]
    requests.came = [requests.now - 3000]
    in_use.go_live(["new"])

    assert await in_use._of_requests(["old"]) == {"old"}
    requests.now += int(applications_in_use.LONGEST_SECONDS) + 1
    assert await in_use._of_requests(["old"]) == set()


async def test_a_request_whose_headers_arrive_slowly_may_ask_for_what_was_loaded_meanwhile(requests: Requests) -> None:
    in_use = ApplicationsInUse(requests, None, None)  # type: ignore[arg-type]
    requests.came = [requests.now - 30]
    in_use.go_live(["loaded meanwhile"])
    requests.now += 1

    assert await in_use._of_requests(["loaded meanwhile"]) == {"loaded meanwhile"}


async def test_what_is_live_again_is_kept_for_requests_that_came_since(requests: Requests) -> None:
    """Also if no look came in between, which would have seen it live."""
    in_use = ApplicationsInUse(requests, None, None)  # type: ignore[arg-type]
    in_use.go_live(["strict"])
    in_use.go_live(["lenient"])
    assert await in_use._of_requests(["strict"]) == set()
    requests.now += 600
    in_use.go_live(["strict"])
    requests.came = [requests.now + 5]
    requests.now += 10
    in_use.go_live(["lenient"])

    assert await in_use._of_requests(["strict"]) == {"strict"}


@pytest.mark.parametrize(
    ("age", "least", "most"),
    [("5s", 5, 5), ("1m2s", 62, 62), ("1h2m", 3720, 3779), ("2d3h", 183_600, 187_199), ("20828d14h", 0, 1_799_593_199)],
)
def test_an_age_is_between_what_haproxy_writes_and_its_next_unit(age: str, least: int, most: int) -> None:
    assert _seconds(age) == (least, most)
