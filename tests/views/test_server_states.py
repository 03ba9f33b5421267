"""A server taken out of its virtual host, and back, from the virtual host's page."""

from typing import Any

import httpx2
import pytest

from tests.factories import a_virtual_host

pytestmark = pytest.mark.anyio

HOST = "/virtual-hosts/1"


@pytest.fixture(autouse=True)
async def host(ada: httpx2.AsyncClient) -> None:
    second = {"servers.1.address": "127.0.0.2:3000", "servers.1.weight": "50", "servers.1.enabled": "on"}
    answer = await ada.post("/virtual-hosts", data=a_virtual_host() | second)
    assert answer.status_code == 303, answer.text[-2000:]


async def servers(api: httpx2.AsyncClient) -> list[dict[str, Any]]:
    return list((await api.get("/api/v1/vhosts/1")).json()["servers"])


async def choose(client: httpx2.AsyncClient, server: int, state: str) -> httpx2.Response:
    return await client.post(f"{HOST}/servers/{server}", data={"state": state})


@pytest.mark.parametrize(
    ("state", "enabled", "draining"), [("draining", True, True), ("disabled", False, False), ("ready", True, False)]
)
async def test_one_server_changes_and_nothing_else(
    state: str, enabled: bool, draining: bool, ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    first, second = await servers(ada_api)
    answer = await choose(ada, 2, state)
    assert (answer.status_code, answer.headers["location"]) == (303, HOST)
    assert await servers(ada_api) == [first, second | {"enabled": enabled, "draining": draining}]
    page = (await ada.get(HOST)).text
    assert ("Enable" in page) is (state != "ready")
    assert (await ada.post("/changes/2/undo")).status_code in {303, 409}


async def test_an_unknown_state_or_server_changes_nothing(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient) -> None:
    before = await servers(ada_api)
    assert (await choose(ada, 1, "gone")).status_code == 303
    assert "Choose ready, draining or disabled" in (await ada.get(HOST)).text
    assert (await choose(ada, 9, "draining")).status_code == 404
    assert (await ada.post("/virtual-hosts/9/servers/1", data={"state": "ready"})).status_code == 404
    assert await servers(ada_api) == before


async def test_whoever_may_not_write_has_no_menu(ada: httpx2.AsyncClient, vera: httpx2.AsyncClient) -> None:
    assert "Drain: no new requests" in (await ada.get(HOST)).text
    assert "Drain: no new requests" not in (await vera.get(HOST)).text
    assert (await choose(vera, 1, "draining")).status_code == 403


async def test_the_last_server_is_not_taken_out_unasked(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient) -> None:
    assert (await choose(ada, 1, "draining")).status_code == 303
    before = await servers(ada_api)
    await choose(ada, 2, "disabled")
    assert "No server would take requests: visitors get 503. Edit the virtual host" in (await ada.get(HOST)).text
    assert await servers(ada_api) == before

    none = {
        "servers.1.address": "127.0.0.2:3000",
        "servers.1.weight": "0",
        "servers.1.enabled": "on",
        "servers.0.draining": "on",
    }
    page = await ada.get(f"{HOST}/edit")
    version = page.text.partition('name="version" value="')[2].partition('"')[0]
    typed = a_virtual_host() | none | {"version": version}
    asked = await ada.post(HOST, data=typed)
    assert (asked.status_code, "visitors get 503" in asked.text, "Save anyway" in asked.text) == (409, True, True)
    assert (await ada.post(HOST, data=typed | {"save_anyway": "on"})).status_code == 303
    assert "No server" in (await ada.get(HOST)).text
    assert (await ada.post(f"{HOST}/servers/1", data={"state": "disabled"})).status_code == 303  # It is so already.
    assert (await servers(ada_api))[0]["enabled"] is False
