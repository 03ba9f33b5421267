"""A policy's form tells how many visitors its limit would have met."""

from contextlib import closing
from datetime import UTC, datetime

import httpx2
import pytest

from guardpanel.events import schema
from guardpanel.ingest import rates
from guardpanel.panel import Panel
from tests.factories import a_policy
from tests.html import read

pytestmark = pytest.mark.anyio


def keep(panel: Panel, visitors: int, requests: int) -> None:
    """So many visitors without, and one with so many requests, in the second before last."""
    batch, second = rates.Rates(), int(datetime.now(UTC).timestamp()) - 2
    for number in range(visitors):
        batch.add("2", f"10.0.{number // 250}.{number % 250}", second)
    for _ in range(requests):
        batch.add("2", "192.0.2.7", second)
    with closing(schema.open_to_write(panel.settings.events_database)) as connection:
        rates.store(connection, [batch])


async def hints(ada: httpx2.AsyncClient) -> str:
    return read((await ada.get("/policies/2/edit")).text).text


async def test_the_form_says_who_would_have_met_the_limit(ada: httpx2.AsyncClient, panel: Panel) -> None:
    await ada.post("/policies", data=a_policy("Strict"))
    assert "No visitor in the last 24 hours to compare it with." in await hints(ada)

    keep(panel, 40, 101)
    page = await hints(ada)

    assert "In the last 24 hours, 1 of 41 visitors sent more than 100 requests within 10 s." in page
    assert "more than 64: 1." in page
    typed = a_policy("", rate_limit_requests="200", rate_limit_window_seconds="60", version="1")
    assert (
        "none of 41 visitors sent more than 200 requests" in read((await ada.post("/policies/2", data=typed)).text).text
    )
    for odd in ({"rate_limit_requests": "9" * 5_000}, {"rate_limit_window_seconds": "0"}):
        answer = await ada.post("/policies/2", data=a_policy("", version="1", **odd))
        assert answer.status_code == 422
        assert "In the last 24 hours" not in answer.text


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("network", "In the last 24 hours, 1–2 of 2 networks sent more than 30 requests within 10 s."),
        ("path", "In the last 24 hours, at most 1 of 41 visitors sent more than 30 requests within 10 s to one path."),
        ("header", "is not known: HAProxy’s log does not have the header’s values."),
        ("cookie", "is not known: HAProxy’s log does not have the cookie’s values."),
    ],
)
async def test_of_other_keys_it_says_what_is_known(ada: httpx2.AsyncClient, panel: Panel, by: str, words: str) -> None:
    """40 visitors of one network sent 40 requests together, and another one 101."""
    name = "session" if by in {"header", "cookie"} else ""
    await ada.post("/policies", data=a_policy("Strict", limit_by=by, limit_by_name=name, rate_limit_requests="30"))
    keep(panel, 40, 101)

    assert words in await hints(ada)


async def test_networks_of_a_sample_of_visitors_are_not_known(ada: httpx2.AsyncClient, panel: Panel) -> None:
    await ada.post("/policies", data=a_policy("Strict", limit_by="network"))
    keep(panel, 1_000, 1)

    assert "is not known: of so many visitors, a sample is counted, each by itself." in await hints(ada)


async def test_of_many_visitors_it_is_a_sample(ada: httpx2.AsyncClient, panel: Panel) -> None:
    await ada.post("/policies", data=a_policy("Strict"))
    keep(panel, 1_000, 1)

    assert "of 250 visitors, a sample of some" in await hints(ada)


async def test_as_json(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    await ada_api.post("/api/v1/policies", json={"name": "Strict"})
    keep(panel, 3, 20)
    place = "/api/v1/policies/2/visitor-rates"

    answer = await ada_api.get(place, params={"requests": 19, "seconds": 1})

    assert answer.json() == {"visitors": 4, "visitors_in_all": 4, "over_at_least": 1, "over_at_most": 1}
    assert (await ada_api.get(place, params={"requests": 20, "seconds": 1})).json()["over_at_most"] == 0
    assert (await ada_api.get("/api/v1/policies/9/visitor-rates?requests=1&seconds=1")).status_code == 404
    assert (await ada_api.get(place, params={"requests": 0, "seconds": 1})).status_code == 422
