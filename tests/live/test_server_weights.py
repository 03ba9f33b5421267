"""Servers' weights and maintenance change in the running HAProxy: no reload, read back, there after a reload and a restart."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from guardpanel.engines.runtime.server_swapping import LiveServer
from guardpanel.engines.servers.handover import rows_in
from guardpanel.errors import EngineUnavailable
from guardpanel.models.path_binding import PathBindingFields
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.services import path_bindings, virtual_hosts
from guardpanel.services.saving.changes import SaveRequest
from guardpanel.services.truth import startup
from tests.live.origins import Origin, origin
from tests.live.saves import Installation, a_virtual_host, installation_of, until

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Origin, Origin]]:
    with origin() as one, origin() as other:
        yield one, other


@pytest.fixture(scope="module")
async def running(haproxy: str, servers: tuple[Origin, Origin]) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as made:
        await virtual_hosts.create(made.changes, ADA, fields(servers))
        yield made


def fields(servers: tuple[Origin, Origin], *others: dict[str, object], **more: object) -> VirtualHostFields:
    """A virtual host with both; `others`: what else is said of each."""
    rows = [{"address": server.address, **(others[at] if others else {})} for at, server in enumerate(servers)]
    return a_virtual_host(0, servers=rows, policy_id=None, health_check=False, **more)


async def saved(
    running: Installation, servers: tuple[Origin, Origin], *others: dict[str, object], **more: object
) -> bool:
    """Whether HAProxy kept its worker."""
    before = (await running.engines.cli.processes()).workers
    result = await virtual_hosts.update(running.changes, ADA, 1, fields(servers, *others, **more))
    assert result.is_new
    assert await running.look() == []
    return (await running.engines.cli.processes()).workers == before


async def restarted(running: Installation) -> None:
    """HAProxy, with nothing left of what it had in memory, and then what the panel does at its start."""
    master = (await running.engines.cli.processes()).master
    os.kill(master, signal.SIGKILL)

    async def is_another() -> bool:
        with contextlib.suppress(EngineUnavailable):
            return (await running.engines.cli.processes()).master not in {0, master} and bool(await live(running))
        return False

    await until(is_another, "HAProxy is started again")
    assert await startup.bring_up(running.changes) is None


async def live(running: Installation) -> list[tuple[str, ...]]:
    """The weight and state of each server, as it is set and as HAProxy's statistics have it."""
    rows = rows_in(await running.engines.cli.server_states())
    states = {status.name: status.state for status in await running.engines.servers_of("be_1")}
    return [(*LiveServer.of(rows["be_1", name])[:2], states[name]) for name in ("s1", "s2")]


async def test_no_reload_and_still_there_after_one(running: Installation, servers: tuple[Origin, Origin]) -> None:
    assert await saved(running, servers, {"weight": 7}, {"weight": 0})
    assert await live(running) == [("7", "ready", "no check"), ("0", "ready", "no check")]
    assert await saved(running, servers, {"weight": 7, "enabled": False}, {"weight": 200})
    in_maintenance = [("7", "maint", "MAINT"), ("200", "ready", "no check")]
    assert await live(running) == in_maintenance
    await running.engines.reload_again()
    assert await live(running) == in_maintenance
    await restarted(running)
    assert await live(running) == in_maintenance
    assert await running.look() == []
    assert await saved(running, servers, {"draining": True}, {})
    assert await live(running) == [("0", "ready", "no check"), ("100", "ready", "no check")]
    assert await saved(running, servers, {}, {})
    assert await live(running) == [("100", "ready", "no check")] * 2


async def test_what_somebody_else_changed_is_drift(running: Installation, servers: tuple[Origin, Origin]) -> None:
    await virtual_hosts.update(running.changes, ADA, 1, fields(servers))
    await saved(running, servers, {"enabled": False}, {})
    await running.engines.cli.set_server("be_1", "s1", "100", "ready")
    await running.engines.cli.set_server("be_1", "s2", "3", "ready")
    looked = await running.look()
    assert [words.partition(" It was")[0] for words in looked] == [
        "Server s1 of be_1 is in state ready in HAProxy, not maint.",
        "Server s2 of be_1 has weight 3 in HAProxy, not 100.",
    ]
    await running.changes.put_back(ADA)
    assert await running.look() == []


async def test_what_somebody_else_took_out_is_drift_whatever_state_it_was_saved_in(
    running: Installation, servers: tuple[Origin, Origin]
) -> None:
    """The server of a path with its own delivery is one of its own in HAProxy."""
    path = PathBindingFields.model_validate({"path": "/api", "server_path": "/v2"})
    await virtual_hosts.update(running.changes, ADA, 1, fields(servers, {}, {"draining": True}))
    bound = await path_bindings.ROWS.under(1).create(running.changes, ADA, path)
    (section,) = {
        backend for backend, _ in rows_in(await running.engines.cli.server_states()) if backend.startswith("be_1.")
    }
    for place in (f"{section}/s1", "be_1/s2"):
        await running.engines.cli._ask(f"@1 set server {place} state maint")
    looked = await running.look()
    assert [words.partition(" It was")[0] for words in looked] == [
        "Server s2 of be_1 is in state maint in HAProxy, not ready.",
        f"Server s1 of {section} is in state maint in HAProxy, not ready.",
    ]
    await running.changes.put_back(ADA)
    await virtual_hosts.update(running.changes, ADA, 1, fields(servers, {"enabled": False}, {}))
    await running.engines.cli._ask("@1 set server be_1/s1 state drain")
    assert "s1 of be_1 is in state drain in HAProxy, not maint" in (await running.look())[0]
    await running.changes.put_back(ADA)
    await path_bindings.ROWS.under(1).delete(running.changes, ADA, bound.value.id or 0)
    assert await running.look() == []


async def test_what_cannot_be_changed_is_reloaded(
    running: Installation, servers: tuple[Origin, Origin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HAProxy does not do what it was told, and says nothing."""

    async def nothing(*_: str) -> None: ...

    await virtual_hosts.update(running.changes, ADA, 1, fields(servers))
    monkeypatch.setattr(running.engines.cli, "set_server", nothing)
    assert not await saved(running, servers, {"weight": 9}, {})
    assert await live(running) == [("9", "ready", "no check"), ("100", "ready", "no check")]


@pytest.mark.parametrize("balance", ["roundrobin", "leastconn", "source", "first", "random"])
async def test_each_way_of_balancing_takes_weights(
    balance: str, running: Installation, servers: tuple[Origin, Origin]
) -> None:
    await virtual_hosts.update(running.changes, ADA, 1, fields(servers, balance=balance))
    assert await saved(running, servers, {"weight": 0}, {"weight": 3}, balance=balance)
    assert await saved(running, servers, {"weight": 2}, {"enabled": False}, balance=balance)
    assert await saved(running, servers, {}, {}, balance=balance)
