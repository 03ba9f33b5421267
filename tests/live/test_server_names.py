"""Servers given by name: what was found is held, what changes is followed, and nothing waits for DNS."""

import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence

import httpx2
import pytest

from guardpanel.engines.servers.names import Names
from guardpanel.models import VirtualHost
from guardpanel.models.server import Balance
from guardpanel.services import virtual_hosts
from guardpanel.services.saving.changes import SaveRequest, SaveResult
from guardpanel.services.server_states import State, choose
from guardpanel.services.truth.name_following import Follower
from tests.live.origins import origin
from tests.live.saves import Installation, a_virtual_host, installation_of, until
from tests.ports import free_port

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")
NAME = "app.lan"


class Resolver:
    """This machine's, as it may be: names of /etc/hosts and DNS, an answer that there is none, or no answer."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.is_silent = False

    def __call__(self, name: str) -> Sequence[str]:
        if self.is_silent:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if name not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.names[name]


@pytest.fixture
def resolver() -> Resolver:
    return Resolver()


@pytest.fixture
async def running(haproxy: str, resolver: Resolver) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as installation:
        installation.engines.telling.names = Names(resolver)
        yield installation


async def status(running: Installation) -> int:
    async with httpx2.AsyncClient() as client:
        try:
            return (await client.get(running.proxy, headers={"host": "shop.example"})).status_code
        except httpx2.TransportError:
            return 0


async def serves(running: Installation) -> bool:
    return await status(running) == 200


async def save(running: Installation, port: int, number: int, **server: object) -> SaveResult[VirtualHost]:
    """Each number needs a reload."""
    fields = a_virtual_host(
        port, servers=[{"address": f"{NAME}:{port}", **server}], policy_id=None, health_check=False,
        balance=list(Balance)[number % len(Balance)],
    )  # fmt: skip
    if number == 1:
        return await virtual_hosts.create(running.changes, ADA, fields)
    return await virtual_hosts.update(running.changes, ADA, 1, fields)


async def test_an_address_that_was_found_is_held_followed_and_kept(running: Installation, resolver: Resolver) -> None:
    port = free_port()
    with origin(at=("127.0.0.1", port)) as first, origin(at=("127.0.0.2", port)) as second:
        resolver.names[NAME] = ["127.0.0.1"]
        await save(running, first.port, 1)
        assert await status(running) == 200

        # No answer, or that there is none, takes nothing away: not from what runs, not from a save, not after a crash.
        for resolver.is_silent in (True, False):
            resolver.names.clear()
            await Follower(running.changes).look()
            known = running.engines.addresses.of(NAME)
            assert known is not None
            assert (known.address, known.is_held) == ("127.0.0.1", True)
            assert (await save(running, first.port, 2 + resolver.is_silent)).is_new
            assert await status(running) == 200
        master = running.supervisor.haproxy.pid
        os.kill(master or 0, signal.SIGKILL)
        await until(lambda: restarted(running, master), "HAProxy is started again")
        await running.engines.must_answer(60)
        await until(lambda: serves(running), "the held address is served")
        assert second.received == []

        # Another address is followed at once, without a reload, and outlives one.
        resolver.names[NAME] = ["127.0.0.2"]
        workers = (await running.engines.cli.processes()).workers
        await Follower(running.changes).look()
        assert (await running.engines.cli.processes()).workers == workers
        assert await status(running) == 200
        assert len(second.received) == 1
        resolver.is_silent = True
        assert (await save(running, first.port, 9)).is_new
        assert await status(running) == 200
        assert len(second.received) == 2


async def restarted(running: Installation, before: int | None) -> bool:
    return running.supervisor.haproxy.pid not in {before, None}


@pytest.mark.one_haproxy
async def test_a_name_that_resolves_later_is_served_when_it_does(running: Installation, resolver: Resolver) -> None:
    with origin() as server:
        resolver.is_silent = True
        await save(running, server.port, 1, resolve_later=True)
        assert await status(running) == 503
        assert await Follower(running.changes).look() == frozenset()

        resolver.is_silent, resolver.names[NAME] = False, ["127.0.0.1"]
        assert await Follower(running.changes).look() == {NAME}

        assert await status(running) == 200
        assert await Follower(running.changes).look() == frozenset()
        assert await running.look() == []


async def test_a_server_that_is_put_back_has_its_names_address(running: Installation, resolver: Resolver) -> None:
    """Without a reload, whatever came in between: a reload, a start of HAProxy, another address."""
    port = free_port()
    with origin(at=("127.0.0.1", port)) as first, origin(at=("127.0.0.2", port)), origin(at=("127.0.0.3", port)) as new:
        resolver.names[NAME] = ["127.0.0.1"]
        servers = [{"address": f"{NAME}:{port}"}, {"address": f"127.0.0.2:{port}"}]
        fields = a_virtual_host(0, servers=servers, policy_id=None, health_check=False)
        await virtual_hosts.create(running.changes, ADA, fields)

        async def killed() -> None:
            master = running.supervisor.haproxy.pid
            os.kill(master or 0, signal.SIGKILL)
            await until(lambda: restarted(running, master), "HAProxy is started again")
            await running.engines.must_answer(60)

        async def moved() -> None:
            resolver.names[NAME] = ["127.0.0.3"]
            assert await Follower(running.changes).look() == frozenset()

        for in_between in (running.engines.reload_again, killed, moved):
            await put(running, (1, State.READY), (0, State.DISABLED))
            await in_between()
            workers = (await running.engines.cli.processes()).workers
            await put(running, (0, State.READY), (1, State.DISABLED))
            assert (await running.engines.cli.processes()).workers == workers
            assert await status(running) == 200

        assert (len(first.received), len(new.received)) == (2, 1)
        assert await running.look() == []


async def put(running: Installation, *states: tuple[int, State]) -> None:
    """Servers of the first virtual host, by their place."""
    async with running.changes.database.read() as session:
        servers = [server.id or 0 for server in (await virtual_hosts.find(session, 1)).servers]
    for at, state in states:
        await choose(running.changes, ADA, 1, servers[at], state)


@pytest.mark.one_haproxy
async def test_a_server_whose_name_resolves_only_while_it_is_out_is_back_at_once(
    running: Installation, resolver: Resolver
) -> None:
    """HAProxy takes a first address by a reload alone."""
    port = free_port()
    with origin(at=("127.0.0.1", port)), origin(at=("127.0.0.2", port)):
        resolver.is_silent = True
        late = {"address": f"{NAME}:{port}", "resolve_later": True, "enabled": False}
        servers = [late, {"address": f"127.0.0.2:{port}"}]
        fields = a_virtual_host(0, servers=servers, policy_id=None, health_check=False)
        await virtual_hosts.create(running.changes, ADA, fields)
        resolver.is_silent, resolver.names[NAME] = False, ["127.0.0.1"]
        assert await Follower(running.changes).look() == frozenset()

        await put(running, (0, State.READY), (1, State.DISABLED))

        assert await status(running) == 200


@pytest.mark.one_haproxy
async def test_names_of_a_configuration_that_was_changed_by_hand_are_held(
    running: Installation, resolver: Resolver
) -> None:
    with origin() as server:
        resolver.names[NAME] = ["127.0.0.1"]
        await save(running, server.port, 1)
        engines = running.engines
        changed = engines.releases.root / str(engines.releases.current_number()) / "haproxy.cfg"
        changed.chmod(0o600)
        changed.write_text(changed.read_text() + "backend be_9\n    server s1\n")

        assert await Follower(running.changes).look() == frozenset()

        assert engines.addresses.all() == {NAME: "127.0.0.1"}
        over = SaveRequest("ada", over_drift=True)
        fields = a_virtual_host(
            server.port, servers=[{"address": f"{NAME}:{server.port}", "weight": 7}], policy_id=None
        )
        assert (await virtual_hosts.update(running.changes, over, 1, fields)).is_new
        assert await status(running) == 200
