"""A reload on a slow machine: told once, waited for, and told again only where HAProxy says that it took no word of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from guardpanel.engines import DROPS_TRAILERS, Deployer, HAProxy
from guardpanel.engines.haproxy import master_cli
from guardpanel.engines.haproxy.master_cli import MasterCli, Processes
from guardpanel.engines.haproxy.reloading import Reloader
from guardpanel.engines.releases import Releases
from guardpanel.engines.supervisor import Supervisor
from guardpanel.errors import DeploymentFailed, EngineUnavailable
from guardpanel.rendering import DesiredState, render
from guardpanel.settings import Settings
from guardpanel.shipped import lua, lua_file
from tests.rows import FACTS, rows

pytestmark = pytest.mark.anyio

LOADING = "Success=0\n--\nAnother reload is still in progress.\n"


@asynccontextmanager
async def silent_master(path: Path) -> AsyncIterator[list[bytes]]:
    """It takes every word and answers none, as one that reads a large configuration."""
    heard: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(-1))
        writers.append(writer)

    server = await asyncio.start_unix_server(hear, str(path))
    try:
        yield heard
    finally:
        for writer in writers:
            writer.close()
        server.close()


async def test_a_slow_master_gets_a_single_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_cli, "ANSWER_TIMEOUT_SECONDS", 0.5)
    path = tmp_path / "m.sock"

    async with silent_master(path) as heard:
        assert await MasterCli(path).reload() == ""
        async with asyncio.timeout(60):
            while not heard:
                await asyncio.sleep(0)

    assert heard == [b"reload\n"]


class FirstStart(MasterCli):
    """HAProxy 3.2 in its first moments: while its worker loads it takes no reload."""

    def __init__(self, path: Path, looks: int) -> None:
        super().__init__(path)
        self.left = looks
        self.reloads = 0

    async def processes(self, patience: float = 0.0) -> Processes:
        return Processes(1, "3.2.26", (7,), (), 0, 0) if self.reloads < 3 else Processes(1, "3.2.26", (8,), (7,), 0, 1)

    async def info(self, pid: int = 0) -> dict[str, str]:
        if self.left and self.reloads < 3:
            self.left -= 1
            raise EngineUnavailable("The worker is loading.")
        return {"description": "guardpanel this", "pid": "7" if self.reloads < 3 else "8"}

    async def reload(self) -> str:
        self.reloads += 1
        return LOADING if self.reloads < 3 else "Success=1"


@pytest.fixture
def reloader(tmp_path: Path) -> Reloader:
    return Reloader(MasterCli(tmp_path / "m.sock"), HAProxy(), Releases(tmp_path))


async def test_haproxy_that_just_starts_with_this_configuration_is_waited_for(
    reloader: Reloader, tmp_path: Path
) -> None:
    reloader.cli = FirstStart(tmp_path / "m.sock", looks=2)

    await reloader.reload("this")

    assert reloader.cli.reloads == 2


async def test_reload_is_repeated_while_another_configuration_loads(reloader: Reloader, tmp_path: Path) -> None:
    reloader.cli = FirstStart(tmp_path / "m.sock", looks=9)

    await reloader.reload("another")

    assert reloader.cli.reloads == 3


async def test_haproxy_that_loads_for_ever_is_given_up(
    reloader: Reloader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stuck(FirstStart):
        async def reload(self) -> str:
            return LOADING

    monkeypatch.setattr("guardpanel.engines.haproxy.reloading.RELOAD_PATIENCE_SECONDS", 0.1)
    reloader.cli = Stuck(tmp_path / "m.sock", looks=1_000)

    with pytest.raises(DeploymentFailed, match="still loading"):
        await reloader.reload("another")


async def test_what_runs_is_not_taken_for_settled_while_a_worker_loads_something_else(
    reloader: Reloader, tmp_path: Path
) -> None:
    """Told to go back to what still serves: without another reload, what loads would serve a moment later."""

    class Loads(FirstStart):
        async def processes(self, patience: float = 0.0) -> Processes:
            return (
                Processes(1, "3.2.26", (8,), (7,), 0, 9)
                if self.reloads < 3
                else Processes(1, "3.2.26", (9,), (7,), 0, 9)
            )

        async def info(self, pid: int = 0) -> dict[str, str]:
            return {"description": "guardpanel this", "pid": "7" if self.reloads < 3 else "9"}

    reloader.cli = Loads(tmp_path / "m.sock", looks=0)

    await reloader.reload("this")

    assert reloader.cli.reloads == 3


@pytest.mark.parametrize("content", [None, b"", b"-- another"], ids=["missing", "empty", "changed"])
@pytest.mark.parametrize("by", ["a check", "a reload", "a start"])
async def test_the_filter_in_lua_is_there_again_before_haproxy_reads_a_configuration(
    tmp_path: Path, content: bytes | None, by: str
) -> None:
    """A run folder that was emptied below a running panel made every save, reload and restart fail until the panel's own."""
    settings = Settings(data_dir=tmp_path)
    engines = Deployer(settings, "")
    path = settings.run_dir / lua_file()
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    at_that_time = []

    class Master(FirstStart):
        async def reload(self) -> str:
            at_that_time.append(path.read_text())
            return await super().reload()

    if by == "a check":
        given = rows({"A": {}}, {"a.test": {"policy": "A", "servers": [{"address": "192.0.2.1"}]}})
        facts = replace(FACTS, server_states=str(tmp_path / "states"), lua_folder=str(settings.run_dir))
        haproxy = HAProxy(settings.haproxy_bin)
        facts = replace(facts, runs_lua=await haproxy.runs_lua(), drops_trailers=await haproxy.knows(DROPS_TRAILERS))
        (tmp_path / "states").touch()
        bundle = render(DesiredState.from_rows(given, facts))
        await engines.haproxy.check(engines.releases.stage(1, bundle), bundle)
        at_that_time.append(path.read_text())
    elif by == "a reload":
        engines.reloader.cli = Master(tmp_path / "m.sock", looks=9)
        await engines.reloader.reload("another")
    else:
        Supervisor(settings, engines).haproxy.before()
        at_that_time.append(path.read_text())

    assert at_that_time[0] == lua()
