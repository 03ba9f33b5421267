"""The access log of a virtual host: its last lines as a page that follows, and as JSON."""

from typing import Any

import httpx2
import pytest

from guardpanel.panel import Panel
from guardpanel.services.events.access_log import LISTED
from tests.attacks import PAGE_ATTACKS
from tests.events import a_log_line, a_passed_line, a_request_id, as_line
from tests.factories import a_virtual_host
from tests.html import read

pytestmark = pytest.mark.anyio

PAGE, JSON = "/virtual-hosts/1/traffic/log", "/api/v1/vhosts/1/traffic/log"


@pytest.fixture
async def host(ada: httpx2.AsyncClient) -> None:
    assert (await ada.post("/virtual-hosts", data=a_virtual_host())).status_code == 303


def log(panel: Panel, *lines: dict[str, Any]) -> None:
    panel.settings.log_dir.mkdir(parents=True, exist_ok=True)
    with panel.settings.access_log.open("ab") as file:
        file.writelines(as_line(line) + b"\n" for line in lines)


def passed(number: int, **others: Any) -> dict[str, Any]:
    return a_passed_line(**{"id": a_request_id(number), "path": f"/page/{number}", **others})


async def test_the_page_lists_follows_and_pauses(ada: httpx2.AsyncClient, panel: Panel, host: None) -> None:
    assert "No requests yet." in (await ada.get(PAGE)).text
    blocked = a_log_line(id=a_request_id(3), path="/list?id=1")
    log(panel, passed(1), passed(2, virtual_host="2"), blocked)
    page = await ada.get(PAGE)
    links = [link.get("href") for link in read(page.text).find("a")]
    assert f"/events/{a_request_id(3)}" in links
    assert f"/access/why?q={a_request_id(3)}" in links
    assert f"/events/{a_request_id(1)}" not in links
    assert "/page/2" not in page.text
    assert f"{PAGE}?paused=1" in links

    end = panel.settings.access_log.stat().st_size
    follows = f"{PAGE}?since={end}"
    assert f'hx-get="{follows}"' in page.text
    partial = {"hx-request": "true", "hx-request-type": "partial"}
    assert (await ada.get(follows, headers=partial)).status_code == 204
    log(panel, passed(4, virtual_host="2"))
    assert (await ada.get(follows, headers=partial)).status_code == 204
    log(panel, passed(5))
    part = await ada.get(follows, headers=partial)
    assert part.text.lstrip().startswith('<div id="log"')
    assert "/page/5" in part.text
    assert "/page/1" in part.text

    paused = (await ada.get(f"{PAGE}?paused=1")).text
    assert 'hx-get="/virtual' not in paused
    assert "Reload" in paused


async def test_a_filter_that_cannot_be_meant_is_named_and_nothing_is_lost(
    ada: httpx2.AsyncClient, panel: Panel, host: None
) -> None:
    log(panel, passed(1))
    page = await ada.get(PAGE, params={"client": "nobody", "path": "/page"})
    assert page.status_code == 422
    assert "Enter an IP address or CIDR range" in page.text
    form = read(page.text)
    assert form.value("client") == "nobody"
    assert form.value("path") == "/page"
    for wrong in ({"status": "9xx"}, {"verdict": "x"}, {"method": "GET /"}):
        assert (await ada.get(PAGE, params=wrong)).status_code == 422
    for odd in ({"before": "x"}, {"before": "9" * 30}, {"since": "-1"}, {"paused": "'><b>"}, {"client": ""}):
        assert (await ada.get(PAGE, params=odd)).status_code == 200, odd


async def test_what_attackers_send_is_text(ada: httpx2.AsyncClient, panel: Panel, host: None) -> None:
    """The page has no element and no attribute that it would not have of ordinary requests."""
    log(panel, *(passed(at) for at in range(2)))
    ordinary = {(tag, *sorted(attributes)) for tag, attributes in read((await ada.get(PAGE)).text).tags}
    attacks = [text.encode("utf-8", "surrogateescape").decode("utf-8", "ignore") for text in PAGE_ATTACKS]
    assert len(attacks) < LISTED - 2
    log(panel, *(passed(at, path=f"/{text}", method=text[:20], client=text) for at, text in enumerate(attacks)))
    page = (await ada.get(PAGE)).text
    assert page.count("<tr id=") == len(attacks) + 2
    assert {(tag, *sorted(attributes)) for tag, attributes in read(page).tags} <= ordinary
    assert "\u202e" not in page


async def test_as_json(ada_api: httpx2.AsyncClient, panel: Panel, host: None) -> None:
    log(panel, passed(1, path="https://shop.example/a?b=c", status=302), a_log_line(id=a_request_id(2)))
    answer = (await ada_api.get(JSON)).json()
    assert [item["request_id"] for item in answer["items"]] == [a_request_id(2), a_request_id(1)]
    assert {name: answer["items"][1][name] for name in ("path", "status", "verdict", "bytes_sent")} == {
        "path": "/a", "status": 302, "verdict": None, "bytes_sent": 2_000,
    }  # fmt: skip
    assert answer["items"][0]["verdict"] == "blocked"
    newest = (await ada_api.get(JSON, params={"limit": 1})).json()
    older = (await ada_api.get(JSON, params={"before": newest["before"]})).json()
    assert [item["request_id"] for item in older["items"]] == [a_request_id(1)]
    assert len((await ada_api.get(JSON, params={"status": "3xx"})).json()["items"]) == 1
    for wrong in ({"client": "x"}, {"limit": 0}, {"before": -1}, {"status": "6xx"}, {"page": 1}):
        assert (await ada_api.get(JSON, params=wrong)).status_code == 422, wrong
    assert (await ada_api.get("/api/v1/vhosts/9/traffic/log")).status_code == 404
