"""A server gets another address in the running HAProxy: no reload where it can, and no request to the one before."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import httpx2
import pytest

from guardpanel.engines.haproxy.haproxy import HAProxy
from guardpanel.engines.servers.handover import place_of, rows_in
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.services import virtual_hosts
from guardpanel.services.saving.changes import SaveRequest
from tests.live.grpc_origin import grpc_origin
from tests.live.origins import Origin, origin
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.ports import free_port

pytestmark = pytest.mark.anyio

ADA, HOST = SaveRequest("ada"), {"host": "shop.example"}

TIMES = 20
"More connections than the pool of a thread would hide."

UNCHECKED = {"health_check": False}


@pytest.fixture
def servers() -> Iterator[tuple[Origin, Origin]]:
    with origin() as one, origin() as other:
        yield one, other


@pytest.fixture(scope="module")
async def running(haproxy: str) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as made:
        await virtual_hosts.create(made.changes, ADA, at("127.0.0.1:9"))
        yield made


def at(*addresses: str, **others: object) -> VirtualHostFields:
    servers = [{"address": address} for address in addresses]
    return a_virtual_host(0, servers=servers, **{"policy_id": None, **UNCHECKED, **others})


async def saved(running: Installation, fields: VirtualHostFields) -> bool:
    """Whether HAProxy kept its worker."""
    before = (await running.engines.cli.processes()).workers
    await virtual_hosts.update(running.changes, ADA, 1, fields)
    assert await running.look() == []
    return (await running.engines.cli.processes()).workers == before


async def can_move(running: Installation) -> bool:
    return await HAProxy(running.settings.haproxy_bin).moves_servers()


async def places(running: Installation) -> list[str]:
    rows = rows_in(await running.engines.cli.server_states())
    return [place_of(row) for (backend, _), row in sorted(rows.items()) if backend == "be_1"]


async def port_of(client: httpx2.AsyncClient, path: str = "/") -> int:
    """Of the server that answered."""
    answer = await client.get(path, headers=HOST, timeout=60)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["port"])


async def test_no_request_goes_to_the_address_before(running: Installation, servers: tuple[Origin, Origin]) -> None:
    """Neither over a connection of a visitor that had a request there meanwhile, nor over one of the pool."""
    one, other = servers
    await saved(running, at(one.address))
    one.holds["/slow"] = threading.Event()
    async with httpx2.AsyncClient(base_url=running.proxy) as busy, httpx2.AsyncClient(base_url=running.proxy) as idle:
        assert await port_of(idle) == one.port
        slow = asyncio.create_task(port_of(busy, "/slow"))
        while "GET /slow HTTP/1.1" not in one.received:
            await asyncio.sleep(0.01)
        assert await saved(running, at(other.address)) is await can_move(running)
        assert await places(running) == [other.address]
        one.holds["/slow"].set()
        assert await slow == one.port
        before = list(one.received)
        for client in (busy, idle):
            first = await port_of(client)
            assert first == other.port or not await can_move(running)  # An old worker answers once more.
            assert {await port_of(client) for _ in range(TIMES)} == {other.port}
        async with httpx2.AsyncClient(base_url=running.proxy) as new:
            assert {await port_of(new) for _ in range(TIMES)} == {other.port}
        assert one.received == before or not await can_move(running)


async def test_no_request_joins_one_that_is_open_at_the_address_before(running: Installation) -> None:
    """Requests share a connection to a server that speaks HTTP/2."""
    with grpc_origin() as one, grpc_origin() as other, closing(socket.socket()) as visitor:
        await saved(running, at(one.address, server_protocol="http2"))
        visitor.connect(("127.0.0.1", running.settings.http_binds[0][1]))
        visitor.sendall(
            b"POST /open HTTP/1.1\r\nhost: shop.example\r\ncontent-type: application/grpc\r\ncontent-length: 2\r\n\r\n."
        )
        while not one.requests:
            await asyncio.sleep(0.01)
        assert await saved(running, at(other.address, server_protocol="http2")) is await can_move(running)
        async with httpx2.AsyncClient(base_url=running.proxy) as client:
            for _ in range(TIMES):
                assert (await client.get("/", headers=HOST)).status_code == 200
        assert (len(one.requests), len(other.requests)) == (1, TIMES)


async def test_it_is_there_after_a_reload_and_in_the_next_save(
    running: Installation, servers: tuple[Origin, Origin]
) -> None:
    one, other = servers
    await saved(running, at(one.address, other.address))
    assert await saved(running, at(other.address, one.address)) is await can_move(running)
    assert await places(running) == [other.address, one.address]
    await running.engines.reload_again()
    assert await places(running) == [other.address, one.address]
    assert not await saved(running, at(one.address, other.address, balance="leastconn"))
    assert await places(running) == [one.address, other.address]


async def test_ports_and_kinds_of_addresses_change_too(running: Installation) -> None:
    await saved(running, at("192.0.2.1:80"))
    for address in ("192.0.2.1:81", "[2001:db8::1]:81", "[2001:db8::2]:80", "[::1:2]:80", "192.0.2.2:80"):
        assert await saved(running, at(address)) is await can_move(running)
        assert await places(running) == [address]


async def test_a_server_that_was_down_is_up_at_its_new_address(
    running: Installation, servers: tuple[Origin, Origin]
) -> None:
    """As after a reload: visitors would wait for checks, an hour apart here."""
    checked = {"health_check": True, "health_check_fall": 1, "health_check_rise": 10}
    await saved(running, at(f"127.0.0.1:{free_port()}", **checked, health_check_interval=1))
    while (await running.engines.servers_of("be_1"))[0].state != "DOWN":
        await asyncio.sleep(0.05)
        running.engines.answers.outdate()
    assert await saved(running, at(servers[0].address, **checked, health_check_interval=1)) is await can_move(running)
    async with httpx2.AsyncClient(base_url=running.proxy) as client:
        assert await port_of(client) == servers[0].port


async def test_a_server_that_was_moved_by_hand_is_drift(running: Installation, servers: tuple[Origin, Origin]) -> None:
    if not await can_move(running):
        return  # Its addresses are part of what it loaded.
    await saved(running, at(servers[0].address))
    await running.engines.cli.move_server("be_1", "s1", "192.0.2.9", 81)
    looked = await running.look()
    assert [words.partition(" It was")[0] for words in looked] == [
        f"Server s1 of be_1 has address 192.0.2.9:81 in HAProxy, not {servers[0].address}."
    ]
    await running.changes.put_back(ADA)
    assert await running.look() == []
    assert await places(running) == [servers[0].address]


async def test_what_does_not_move_is_reloaded(
    running: Installation, servers: tuple[Origin, Origin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HAProxy does not do what it was told, and says nothing."""

    async def nothing(*_: str | int) -> None: ...

    await saved(running, at(servers[0].address))
    monkeypatch.setattr(running.engines.cli, "move_server", nothing)
    assert not await saved(running, at(servers[1].address))
    assert await places(running) == [servers[1].address]
