"""Engines that hang, die, come late or are replaced: the panel says so, refuses what it could not prove, and goes on."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from guardpanel.engines import EnginesStatus
from guardpanel.errors import EngineUnavailable
from guardpanel.services import virtual_hosts
from guardpanel.services.saving import changes
from guardpanel.services.saving.changes import SaveRequest
from tests.haproxies import haproxy_binary
from tests.live.processes import hanging
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.panel import origin_server

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    with origin_server() as port:
        yield port


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who hangs here hangs for good: less patience changes the time that it takes to say so, and nothing else."""
    monkeypatch.setattr(changes, "SAVE_PATIENCE_SECONDS", 2.0)


@pytest.fixture
async def running(haproxy: str, origin: int) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as made:
        await virtual_hosts.create(made.changes, ADA, a_virtual_host(origin))
        yield made


async def status(running: Installation) -> EnginesStatus:
    """SaveRequest anew, as the next page a second later would."""
    running.engines.answers.forget()
    return await running.engines.status()


async def all_is_well(running: Installation) -> bool:
    now = await status(running)
    return now.haproxy.running and now.agent.running and await running.look() == []


async def until_well(running: Installation) -> None:
    async with asyncio.timeout(60):
        while not await all_is_well(running):
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("who", ["agent", "HAProxy's master", "HAProxy's worker"])
async def test_an_engine_that_hangs_keeps_nothing_waiting_and_comes_back(
    running: Installation, origin: int, who: str
) -> None:
    now = await status(running)
    pid = {"agent": now.agent.pid, "HAProxy's master": now.haproxy.pid}.get(who, now.haproxy.workers[0])
    with hanging(pid):
        hangs = await status(running)
        assert not (hangs.agent if who == "agent" else hangs.haproxy).running
        with pytest.raises(EngineUnavailable):
            await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin, hostnames=["b.example"]))
        assert await running.look() == []  # it is down, which is another thing than drift
    await until_well(running)
    saved = await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin, hostnames=["b.example"]))
    assert saved.is_new


@pytest.mark.parametrize("who", ["agent", "HAProxy's worker"])
async def test_an_engine_that_is_killed_is_started_again(running: Installation, origin: int, who: str) -> None:
    now = await status(running)
    os.kill(now.agent.pid if who == "agent" else now.haproxy.workers[0], signal.SIGKILL)
    child = running.supervisor.agent if who == "agent" else running.supervisor.haproxy
    async with asyncio.timeout(60):
        while not child.restarts:
            await asyncio.sleep(0.05)
    await until_well(running)

    saved = await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin, hostnames=["b.example"]))

    assert saved.is_new
    assert child.last_exit


async def test_haproxy_of_another_version_in_the_same_place(origin: int, tmp_path: Path) -> None:
    """As an upgrade does it: the file is replaced, then HAProxy is started again."""
    binary = tmp_path / "haproxy"
    _wrap(binary, haproxy_binary("2.6"))
    async with installation_of(str(binary)) as running:
        await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin))
        assert (await status(running)).haproxy.version.startswith("2.6")
        _wrap(binary, haproxy_binary("2.8"))
        os.kill((await status(running)).haproxy.pid, signal.SIGTERM)
        async with asyncio.timeout(60):
            while not (await status(running)).haproxy.version.startswith("2.8"):
                await asyncio.sleep(0.05)
        await until_well(running)

        saved = await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin, hostnames=["b.example"]))

        assert saved.is_new
        assert await running.engines.haproxy.version() > (2, 8)


def _wrap(path: Path, binary: str) -> None:
    """A new file in the place of the old one."""
    new = path.with_name("new")
    new.write_text(f'#!/bin/sh\nexec {binary} "$@"\n')
    new.chmod(0o755)
    shutil.move(new, path)
