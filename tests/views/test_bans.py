"""Bans as pages, as JSON and as the React panel asks for them. HAProxy does not respond here: tests/live/test_bans.py has it."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.corpus import CORPUS
from tests.factories import an_address_list
from tests.html import read

pytestmark = pytest.mark.anyio

PLACE, API, REACT = "/access/bans", "/api/v1/bans", "/api/v1/security/banned-ips"


def a_ban(network: str = "203.0.113.7", **others: str) -> dict[str, str]:
    return {"network": network, "length": "1h", "until": "", "reason": "", **others}


def listed(panel: Panel) -> list[str]:
    """What HAProxy reads."""
    return panel.settings.bans_map.read_text().splitlines()


async def test_one_is_set_shown_and_lifted(ada: httpx2.AsyncClient, panel: Panel) -> None:
    begun = read((await ada.get(f"{PLACE}?network=203.0.113.7&reason=Request+x")).text)
    assert (begun.value("network"), begun.value("reason")) == ("203.0.113.7", "Request x")
    made = await ada.post(PLACE, data=a_ban(length="forever", reason="Scans of 24 Nov"))
    assert made.headers["location"] == PLACE
    assert listed(panel) == ["203.0.113.7 9999999999"]

    page = read((await ada.get(PLACE)).text).text
    assert "203.0.113.7 ends never Scans of 24 Nov ada@example.org" in page
    assert "HAProxy is not responding: live as soon as it does" in page
    assert (await ada.post(f"{PLACE}/1/lift")).status_code == 303
    assert listed(panel) == []
    page = read((await ada.get(PLACE)).text).text
    assert "No address is banned." in page
    assert "lifted by ada@example.org" in page
    assert (await ada.get("/access")).headers["location"] == PLACE


async def test_what_is_undone_in_why_leads_back_to_what_was_typed_there(ada: httpx2.AsyncClient) -> None:
    q = "é b&x=1#2%"
    await ada.post(PLACE, data=a_ban())
    await ada.post("/access/lists", data=an_address_list(entries="203.0.113.8"))
    undone = {
        f"{PLACE}/1/lift": {},
        "/access/lists/1/entries": {"remove": "203.0.113.8"},
        "/access/limits/1/forgive": {},
    }
    for place, more in undone.items():
        back = (await ada.post(place, data={"back": "why", "q": q, **more})).headers["location"]
        assert parse_qs(urlsplit(back).query, keep_blank_values=True) == {"q": [q]}, place


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        (a_ban("203.0.113.7/24"), "network", "has host bits set. Enter 203.0.113.0/24."),
        (a_ban("shop.example"), "network", "Names are not resolved here."),
        (a_ban("0.0.0.0/0"), "network", "contains every address"),
        (a_ban(""), "network", "Enter an IP address or a network"),
        (a_ban('"%[src]'), "network", "Names are not resolved here."),
        (a_ban(length="until"), "until", "Enter when the ban ends."),
        (a_ban(length="until", until="2001-01-01"), "until", "This time has passed."),
        (a_ban(length="until", until="2300-01-01"), "until", "Enter a year before 2200"),
        (a_ban(length="until", until="soon"), "until", "Enter a date and time, for example 2026-12-31 18:00."),
        (a_ban(length="2h"), "length", "Choose 1 hour, "),
        (a_ban(reason="x" * 501), "reason", "At most 500 characters"),
    ],
)
@pytest.mark.changes_nothing
async def test_what_cannot_be_banned_is_said_at_its_field(
    ada: httpx2.AsyncClient, panel: Panel, typed: dict[str, str], field: str, words: str
) -> None:
    refused = await ada.post(PLACE, data=typed)

    page = read(refused.text)
    assert refused.status_code == 422
    assert words in page.text
    assert page.value("network") == typed["network"]
    assert f'id="f-{field}-error"' in refused.text
    assert listed(panel) == []


async def test_the_own_address_is_banned_only_on_purpose(ada: httpx2.AsyncClient, panel: Panel) -> None:
    question = await ada.post(PLACE, data=a_ban("127.0.0.1"))
    assert question.status_code == 409
    assert "127.0.0.1 is your own address." in read(question.text).text
    assert listed(panel) == []

    assert (await ada.post(PLACE, data=a_ban("127.0.0.1", save_anyway="on"))).status_code == 303
    assert len(listed(panel)) == 1


async def test_a_ban_that_is_gone_is_no_success(ada: httpx2.AsyncClient) -> None:
    assert (await ada.post(f"{PLACE}/7/lift")).status_code == 303

    page = (await ada.get(PLACE)).text
    toast = page.partition('class="toast is-bad"')[2].partition("</div>")[0]
    assert "circle-alert" in toast
    assert "circle-check" not in toast


async def test_a_viewer_may_look(vera: httpx2.AsyncClient, panel: Panel) -> None:
    assert "Ban an address" not in (await vera.get(PLACE)).text
    assert (await vera.post(PLACE, data=a_ban())).status_code == 403
    assert listed(panel) == []


async def test_bans_over_json(ada_api: httpx2.AsyncClient, vera_api: httpx2.AsyncClient, panel: Panel) -> None:
    made = await ada_api.post(API, json={"network": "203.0.113.0/24", "length": "1d", "reason": "x"})
    assert (made.status_code, made.json()["network"], made.json()["is_live"]) == (201, "203.0.113.0/24", False)
    question = await ada_api.post(API, json={"network": "::1", "length": "forever"})
    assert (question.status_code, question.json()["code"]) == (409, "needs_confirmation")
    assert (await ada_api.post(f"{API}?confirm=true", json={"network": "::1", "length": "forever"})).status_code == 201
    unending = await ada_api.post(API, json={"network": "192.0.2.9", "length": "until"})
    assert (unending.status_code, [error["field"] for error in unending.json()["errors"]]) == (422, ["until"])
    assert [item["network"] for item in (await vera_api.get(API)).json()["items"]] == ["::1", "203.0.113.0/24"]
    assert (await ada_api.delete(f"{API}/1")).json()["id"] == 1
    assert (await ada_api.delete(f"{API}/1")).status_code == 404
    assert (await vera_api.delete(f"{API}/2")).status_code == 403
    assert listed(panel) == ["::1 9999999999"]


async def test_the_react_panel_s_list_of_banned_addresses(
    ada_api: httpx2.AsyncClient, vera_api: httpx2.AsyncClient, panel: Panel
) -> None:
    """As it asks: the list (administrators alone), then one is lifted by its address, then the list again."""
    until = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    await ada_api.post(API, json={"network": "2001:db8::7", "length": "until", "until": until})

    (item,) = (await ada_api.get(REACT)).json()["items"]
    left = item.pop("expires_in_seconds")
    assert 7000 < left <= 7200
    assert item == {
        "banned": True, "ip": "2001:db8::7", "vhost_id": None, "domain": "all virtual hosts", "gpc0": 0, "ban_threshold": 0,
    }  # fmt: skip
    assert (await vera_api.get(REACT)).status_code == 403
    assert (await vera_api.delete(f"{REACT}/2001%3Adb8%3A%3A7")).status_code == 403
    assert (await ada_api.delete(f"{REACT}/2001%3Adb8%3A%3A7")).json() == {"ip": "2001:db8::7", "cleared": True}
    assert (await ada_api.delete(f"{REACT}/2001%3Adb8%3A%3A7")).json()["cleared"] is False
    assert (await ada_api.delete(f"{REACT}/nobody")).status_code == 422
    assert (await ada_api.get(REACT)).json() == {"items": []}
    assert listed(panel) == []


async def test_hostile_text_stays_text(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    for text in CORPUS[::3]:
        answer = await ada_api.post(API, json={"network": text, "reason": text})
        reason = await ada_api.post(API, json={"network": "203.0.113.9", "reason": text})

        assert answer.status_code == 422 or text in {"::1", "0.0.0.0"}, text
        assert reason.status_code in {201, 422}, text
        assert all(line.startswith(("203.0.113.9 ", "0.0.0.0 ")) for line in listed(panel)), text
        for made in (answer, reason):
            if made.status_code == 201:
                assert (await ada_api.delete(f"{API}/{made.json()['id']}")).status_code == 200


async def test_why_asks_for_an_address_or_a_request(ada: httpx2.AsyncClient) -> None:
    assert (await ada.get("/access/why")).status_code == 200
    wrong = await ada.get("/access/why?q=x")
    assert wrong.status_code == 422
    assert "Enter an IP address, or the ID of a request" in wrong.text
    down = await ada.get("/access/why?q=203.0.113.7")
    assert down.status_code == 503
