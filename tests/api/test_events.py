"""Events over JSON: every one of them page by page, and what the page of one shows."""

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.events import a_log_line, an_event, store
from tests.factories import a_vhost

pytestmark = pytest.mark.anyio

EVENTS = "/api/v1/events"
Client = httpx2.AsyncClient


async def test_pages_lead_to_older_and_newer_ones(ada_api: Client, panel: Panel) -> None:
    events = [an_event() for _ in range(3)]
    store(panel.settings.events_database, events)

    first = (await ada_api.get(EVENTS, params={"time": "all", "per_page": 2})).json()
    second = (await ada_api.get(EVENTS, params={"time": "all", "per_page": 2, "cursor": first["next_cursor"]})).json()
    back = (
        await ada_api.get(EVENTS, params={"time": "all", "per_page": 2, "cursor": second["previous_cursor"]})
    ).json()

    assert [item["request_id"] for page in (first, second) for item in page["items"]] == [
        event["id"] for event in reversed(events)
    ]
    assert (first["count"], first["count_is_exact"], second["next_cursor"]) == (3, True, None)
    assert back["items"] == first["items"]


async def test_an_event_has_what_its_page_shows(ada_api: Client, vera_api: Client, panel: Panel) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost("shop.example", policy_id=1))
    event = an_event()
    store(panel.settings.events_database, [event], [a_log_line(event)])

    whole = (await vera_api.get(f"{EVENTS}/ {event['id'].upper()} ")).json()

    assert (whole["virtual_host"], whole["policy"], whole["verdict"]) == ("shop.example", "Default", "blocked")
    assert (whole["request"]["uri"], whole["haproxy"]["ended"]) == (event["uri"], "PR--")
    assert whole["fired"][0]["id"] == 942100
    assert whole["inbound"]["score"] == 5 and whole["inbound"]["adds_up"]
    assert whole["inbound"]["steps"] == [{"rule": 942100, "points": 5, "after": 5}]
    assert (await vera_api.get(f"{EVENTS}/nothing")).status_code == 404


@pytest.mark.parametrize(
    "uri", ["/login?token=hunter2", "https://shop.example/login?token=hunter2", '/a"\\b?c="hunter2']
)
async def test_a_query_that_the_agent_did_not_mask_is_nowhere(
    ada: Client, ada_api: Client, panel: Panel, uri: str
) -> None:
    event = an_event(uri="/login?token=***")
    store(panel.settings.events_database, [event], [a_log_line(event, path=uri)])

    for client, path in (
        (ada, f"/events/{event['id']}/lines"), (ada_api, f"{EVENTS}/{event['id']}"), (ada_api, f"{EVENTS}/{event['id']}/lines"),
        (ada_api, f"/api/v1/logs?q={event['id']}"),
    ):  # fmt: skip
        answer = await client.get(path)
        assert answer.status_code == 200
        assert event["id"] in answer.text and "PR--" in answer.text
        assert "hunter2" not in answer.text, path


async def test_an_empty_filter_is_refused_by_its_name(ada_api: Client) -> None:
    answer = await ada_api.get(EVENTS, params={"since": ""})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "since")
