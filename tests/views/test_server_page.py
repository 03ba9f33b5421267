"""A server's own page, and what JSON has of it."""

import httpx2
import pytest

from guardpanel.engines.haproxy.server_states import ServerLoad, ServerStatus
from tests.factories import a_path_binding, a_virtual_host
from tests.fakes import FakeEngines
from tests.html import read

pytestmark = pytest.mark.anyio

PAGE, JSON = "/virtual-hosts/1/servers/1", "/api/v1/vhosts/1/servers/1"
SECOND = {"servers.1.address": "127.0.0.2:3000", "servers.1.weight": "50", "servers.1.enabled": "on"}
LOAD = ServerLoad(3, 17, 1, 4, 12_345, 5, 6, 7, 2_048, 5_000_000, 8, 2, 75, 50)


@pytest.fixture
async def host(ada: httpx2.AsyncClient) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example", health_check="on", **SECOND))
    await ada.post("/virtual-hosts/1/paths", data=a_path_binding(enforcement_mode="", server_path="/v2"))
    await ada.post(
        "/virtual-hosts/1/paths", data=a_path_binding(path="/b", enforcement_mode="", own_servers="10.0.0.7")
    )


@pytest.fixture
def running(engines: FakeEngines, monkeypatch: pytest.MonkeyPatch) -> None:
    async def servers_of(section: str) -> tuple[ServerStatus, ...]:
        load = LOAD if section == "be_1" else LOAD._replace(requests=99)
        return (ServerStatus("s1", "UP", "Layer7 check passed", "200", 3, 61, "192.0.2.1:80", load=load),)

    monkeypatch.setattr(engines, "servers_of", servers_of)


async def test_it_has_checks_and_what_the_server_does_by_path(
    ada: httpx2.AsyncClient, host: None, running: None
) -> None:
    page = read((await ada.get(PAGE)).text)

    for words in (
        "Layer7 check passed 200 in 3 ms",
        "Failed checks 8",
        "Went down 2 times",
        "50, configured 100",
        "In this state 1 min",
        "All other paths 3 in use (peak 17) 1 waiting (peak 4) 12,345 requests 7 retries",
        "5 connection errors 6 response errors 2.0 KiB sent 4.8 MiB received",
        "/api/… 3 in use (peak 17) 1 waiting (peak 4) 99 requests",
    ):
        assert words in page.text
    assert "/b/…" not in page.text
    assert PAGE in [link.get("href") for link in read((await ada.get("/virtual-hosts/1")).text).find("a")]


async def test_as_json(ada_api: httpx2.AsyncClient, ada: httpx2.AsyncClient, host: None, running: None) -> None:
    answer = (await ada_api.get(JSON)).json()

    assert (answer["state"], answer["last_check_code"], answer["times_down"], answer["weight"]) == ("UP", "200", 2, 50)
    assert [(load["path"], load["requests"], load["bytes_from"]) for load in answer["loads"]] == [
        (None, 12_345, 5_000_000),
        ("/api/…", 99, 5_000_000),
    ]
    assert [
        (await ada_api.get(f"/api/v1/vhosts/{number}")).status_code for number in ("1/servers/9", "9/servers/1")
    ] == [
        404,
        404,
    ]


async def test_it_is_taken_out_and_back_there(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, host: None) -> None:
    assert "HAProxy has no state of this server." in (await ada.get(PAGE)).text
    drained = await ada.post(PAGE, data={"state": "draining", "stays": "on"})

    assert drained.headers["location"] == PAGE
    assert ((await ada_api.get(JSON)).json()["draining"], "Enable" in (await ada.get(PAGE)).text) == (True, True)


async def test_viewers_see_it_and_change_nothing(ada: httpx2.AsyncClient, vera: httpx2.AsyncClient, host: None) -> None:
    page = await vera.get(PAGE)

    assert (page.status_code, "Drain: no new requests" in page.text) == (200, False)
    assert (await ada.get("/virtual-hosts/1/servers/9")).status_code == 404
