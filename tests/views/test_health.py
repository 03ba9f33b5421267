"""What a virtual host's page says of its servers."""

import httpx2
import pytest

from guardpanel.engines.haproxy.server_states import ServerStatus
from tests.factories import a_virtual_host
from tests.fakes import FakeEngines
from tests.html import read

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("state", "counted"), [("no check", False), ("UP", True)])
async def test_a_server_without_checks_does_not_count_as_up(
    ada: httpx2.AsyncClient, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch, state: str, *, counted: bool
) -> None:
    async def servers_of(_backend: str) -> tuple[ServerStatus, ...]:
        return (ServerStatus("s1", state, "", "", None, 0, "192.0.2.1:80"),)

    monkeypatch.setattr(engines, "servers_of", servers_of)
    made = await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))

    page = read((await ada.get(made.headers["location"])).text)

    assert ("1 of 1 up" in page.text, "No health check" in page.text) == (counted, not counted)


async def test_the_last_check_of_a_server_is_a_sentence(
    ada: httpx2.AsyncClient, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def servers_of(_backend: str) -> tuple[ServerStatus, ...]:
        return (ServerStatus("s1", "UP", "Layer7 check passed", "200", 3, 0, "192.0.2.1:80"),)

    monkeypatch.setattr(engines, "servers_of", servers_of)
    made = await ada.post("/virtual-hosts", data=a_virtual_host("shop.example", health_check="on"))

    assert "Layer7 check passed 200 in 3 ms" in read((await ada.get(made.headers["location"])).text).text
