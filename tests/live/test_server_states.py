"""A save forgets nothing of servers: no visitor meets one that is down for it."""

import errno
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

from guardpanel.engines.files import write_atomically
from guardpanel.engines.servers import server_sync
from guardpanel.errors import EngineUnavailable
from guardpanel.services import virtual_hosts
from guardpanel.services.saving.changes import SaveRequest
from tests.live.origins import Origin, origin
from tests.live.saves import Installation, a_virtual_host, installation_of, until

pytestmark = pytest.mark.anyio

SAVES, VISITS = 5, 6


@pytest.fixture
async def running(haproxy: str) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as installation:
        yield installation


async def state(running: Installation, server: str) -> str:
    return {server_state.name: server_state.state for server_state in await running.engines.servers_of("be_1")}.get(
        server, ""
    )


class Operator:
    """Saves another way of balancing each time: a reload."""

    def __init__(self, running: Installation, servers: list[Origin], **checks: int) -> None:
        self.running, self.servers, self.saves = running, servers, 0
        self.checks = {"interval": 2, "rise": 2, "fall": 1} | checks

    async def save(self) -> None:
        self.saves += 1
        fields = a_virtual_host(
            0, servers=[{"address": server.address} for server in self.servers], policy_id=None,
            health_check_path="/health", balance=("roundrobin", "leastconn")[self.saves % 2], **{f"health_check_{name}": value for name, value in self.checks.items()},
        )  # fmt: skip
        changes = self.running.changes
        saved = await (
            virtual_hosts.create(changes, SaveRequest("ada"), fields)
            if self.saves == 1
            else virtual_hosts.update(changes, SaveRequest("ada"), 1, fields)
        )
        assert saved.is_new


def visits(server: Origin) -> int:
    return sum("/health" not in line for line in server.received)


def checks(server: Origin) -> int:
    return len(server.received) - visits(server)


async def test_no_visitor_meets_a_server_that_is_down_for_a_save_and_one_that_recovers_comes_back(
    running: Installation,
) -> None:
    with origin() as well, origin() as ill:
        operator = Operator(running, [well, ill])
        ill.status = 500
        await operator.save()
        await until(lambda: is_in(running, "s2", "DOWN"), "its check fails")
        before = visits(ill)

        async with httpx2.AsyncClient() as client:
            for _ in range(SAVES):
                await operator.save()
                assert await state(running, "s2") == "DOWN"
                answers = [await client.get(running.proxy, headers={"host": "shop.example"}) for _ in range(VISITS)]
                assert [answer.status_code for answer in answers] == [200] * VISITS

        assert visits(ill) == before
        assert visits(well) >= SAVES * VISITS

        # It is well again, and comes back after `rise` good checks although no worker lives to see two.
        ill.status, well_since = 200, checks(ill)
        while await state(running, "s2") != "UP":
            assert visits(ill) == before
            assert checks(ill) < well_since + 20, "it does not come back"
            await until(partial(has_checks, ill, checks(ill) + 1), "its next check")
            await operator.save()
        assert checks(ill) >= well_since + 2


async def has_checks(server: Origin, wanted: int) -> bool:
    return checks(server) >= wanted


async def is_in(running: Installation, server: str, wanted: str) -> bool:
    return await state(running, server) == wanted


async def test_a_reload_that_we_did_not_make_takes_no_server_down(running: Installation) -> None:
    """A worker that began otherwise than it was told to has counted its own checks alone."""
    with origin() as first, origin() as second:
        operator = Operator(running, [first, second])
        await operator.save()
        await operator.save()
        engines = running.engines
        before = (await engines.cli.processes()).workers
        await engines.cli.reload()
        await until(partial(has_other_workers, running, before), "a new worker")

        await operator.save()

        assert [await state(running, name) for name in ("s1", "s2")] == ["UP", "UP"]


@pytest.mark.one_haproxy
async def test_a_disk_that_takes_no_states_takes_no_server_down(
    running: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what a worker never read it has counted nothing."""
    states = running.settings.server_states

    def full(path: Path, content: bytes, *, sync: bool) -> None:
        if path == states:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_atomically(path, content, sync=sync)

    with origin() as first, origin() as second:
        operator = Operator(running, [first, second], interval=3600, fall=3)
        with monkeypatch.context() as patch:
            patch.setattr(server_sync, "write_atomically", full)
            await operator.save()
            await operator.save()
        await operator.save()

        assert [await state(running, name) for name in ("s1", "s2")] == ["UP", "UP"]


async def has_other_workers(running: Installation, before: tuple[int, ...]) -> bool:
    try:
        now = (await running.engines.cli.processes()).workers
    except EngineUnavailable:
        return False
    return bool(now) and not set(now) & set(before)


async def test_what_is_found_over_the_runtime_api_alone_is_not_handed_on(running: Installation) -> None:
    """Maintenance by hand is drift: it ends with the next reload, as before, and the file says nothing stale afterwards."""
    with origin() as first, origin() as second:
        operator = Operator(running, [first, second])
        await operator.save()
        await running.engines.cli._ask("@1 set server be_1/s1 state maint")
        assert await state(running, "s1") == "MAINT"

        await operator.save()

        assert await state(running, "s1") == "UP"
        lines = running.settings.server_states.read_text().splitlines()
        assert [line for line in lines if "be_" in line and not line.startswith("#")] == []


@pytest.mark.one_haproxy
async def test_a_server_given_by_a_name_is_checked_from_its_first_save_on(running: Installation) -> None:
    """Its address comes from the file that says what checks found: that must not say that nothing checks it."""
    with origin() as server:
        server.status = 500
        fields = a_virtual_host(
            0, servers=[{"address": f"localhost:{server.port}"}], policy_id=None,
            health_check_path="/health", health_check_interval=1, health_check_rise=1, health_check_fall=1,
        )  # fmt: skip
        await virtual_hosts.create(running.changes, SaveRequest("ada"), fields)
        await until(lambda: is_in(running, "s1", "DOWN"), "its check fails")

        server.status = 200
        await until(lambda: is_in(running, "s1", "UP"), "its check passes")
