"""HAProxy's processes die, hang, or are joined by a second one during a save."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from guardpanel.errors import EngineUnavailable, RolledBack
from guardpanel.services.saving.changes import SaveResult
from tests.live.lies.truth import (
    LOADED_BY_A_WORKER,
    a_good_save_works,
    add,
    hosts,
    in_published,
    is_as_it_was,
    is_true,
    live_checksum,
    names,
    outcome_of,
    visitors,
)
from tests.live.saves import Installation, is_shared, until

pytestmark = pytest.mark.anyio


async def newest_worker(running: Installation) -> int:
    return (await running.engines.cli.processes(patience=5)).workers[0]


async def master(running: Installation) -> int:
    return (await running.engines.cli.processes(patience=5)).master


@pytest.mark.parametrize("victim", [newest_worker, master])
async def test_haproxy_killed_in_a_save_ends_in_what_was_said(
    fresh: Installation, origin: int, monkeypatch: pytest.MonkeyPatch, victim: Callable[[Installation], Awaitable[int]]
) -> None:
    before, rows, name = await live_checksum(fresh), await hosts(fresh), next(names)
    prove = fresh.engines.verifier.prove
    killed: list[int] = []

    async def kill(*arguments: object, **more: object) -> None:
        if not killed:
            killed.append(await victim(fresh))
            os.kill(killed[0], signal.SIGKILL)
        await prove(*arguments, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(fresh.engines.verifier, "prove", kill)
        outcome = await outcome_of(add(fresh, origin, name))

    assert killed
    await is_true(fresh, outcome, before, rows, name)
    await a_good_save_works(fresh, origin)


async def test_haproxy_that_hangs_in_a_reload_loses_no_request_and_mends_with_its_cause(
    fresh: Installation, origin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FIFO in place of a map. To 3.0 the master hangs: nobody may signal it, as it would take the old worker with it, and
    then it runs what it hung in until that is put back. From 3.1 on a worker does, which is ended and never serves."""
    before, rows, name = await live_checksum(fresh), await hosts(fresh), next(names)
    as_before = {(200, before, b"hello from /x")}
    pipe = fresh.settings.data_dir / "pipe"
    os.mkfifo(pipe)

    def hang(release: Path) -> None:
        (release / "hosts.map").unlink()
        (release / "hosts.map").symlink_to(pipe)

    async def answers() -> bool:
        with suppress(OSError):  # nobody reads it
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        with suppress(EngineUnavailable):
            return bool((await fresh.engines.cli.processes()).workers)
        return False

    async with visitors(fresh) as visits:
        with in_published(monkeypatch, fresh, hang) as struck:
            outcome = await outcome_of(add(fresh, origin, name))
        assert struck
        assert isinstance(outcome, RolledBack), repr(outcome)
        assert re.search("master is not responding|did not start a new worker", outcome.message)
        await is_as_it_was(fresh, before, rows, name)
        assert (visits.lost, set(visits.met)) == ([], as_before)

        await until(answers, "the master to answer again")
        await until(lambda: no_drift(fresh), "what it then runs to be put back")
        await is_as_it_was(fresh, before, rows, name)
        if fresh.settings.haproxy_bin in LOADED_BY_A_WORKER:
            assert (visits.lost, set(visits.met)) == ([], as_before)
    await a_good_save_works(fresh, origin)


async def answers(running: Installation) -> bool:
    running.engines.answers.forget()
    return (await running.engines.status()).haproxy.running


async def no_drift(running: Installation) -> bool:
    return await running.look() == []


@asynccontextmanager
async def second_master(running: Installation, socket_too: bool) -> AsyncIterator[None]:
    """Somebody starts HAProxy once more, by hand, on the files that are live."""
    arguments = ["-S", f"{running.settings.master_socket},mode,600"] if socket_too else []
    config = running.settings.data_dir / "current" / "haproxy.cfg"
    words = [running.settings.haproxy_bin, "-W", *arguments, "-f", str(config)]
    started = await asyncio.create_subprocess_exec(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await until(lambda: is_shared(running.settings.http_binds[0][1]), "the second HAProxy to listen")
        yield
    finally:
        started.terminate()
        await started.wait()


@pytest.mark.parametrize("socket_too", [False, True], ids=["on the same port", "and on the same master socket"])
async def test_a_second_master_is_noticed(fresh: Installation, origin: int, socket_too: bool) -> None:
    before, rows, name = await live_checksum(fresh), await hosts(fresh), next(names)

    async with second_master(fresh, socket_too):
        outcome = await outcome_of(add(fresh, origin, name))

        assert not isinstance(outcome, SaveResult)
        await is_true(fresh, outcome, before, rows, name)


@pytest.mark.parametrize("socket_too", [False, True], ids=["on the same port", "and on the same master socket"])
async def test_a_second_master_that_is_gone_is_forgotten(fresh: Installation, origin: int, socket_too: bool) -> None:
    async with second_master(fresh, socket_too):
        pass

    await until(lambda: answers(fresh), "HAProxy's master to be reached again")
    await until(lambda: no_drift(fresh), "all to be as the live revision says")
    await a_good_save_works(fresh, origin)
