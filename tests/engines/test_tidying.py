"""Old applications are dropped beside the saves, never in the middle of one."""

import asyncio
import threading
from collections.abc import Collection

import pytest

from guardpanel.engines import Deployer, deployer
from guardpanel.engines.differences import Drift
from guardpanel.engines.drift import Expected, Inspector
from guardpanel.engines.haproxy.map_commands import MapState
from guardpanel.engines.haproxy.master_cli import MasterCli, Processes
from guardpanel.engines.waf.agent import Agent, AgentStatus
from guardpanel.rendering import DesiredState, render
from guardpanel.settings import Settings
from tests.rows import FACTS, rows

pytestmark = pytest.mark.anyio


class SlowAgent(Agent):
    """Writes its file only when it is let."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("", settings.agent_control_socket, settings.run_dir / "coraza.yaml")
        self.begun, self.may_end, self.ended = threading.Event(), threading.Event(), threading.Event()

    def write(self, document: bytes, keep: Collection[str] | None = None) -> bool:
        self.begun.set()
        assert self.may_end.wait(60)
        self.ended.set()
        return True

    async def status(self) -> AgentStatus:
        return AgentStatus(running=True)


class QuietCli(MasterCli):
    """A HAProxy that runs `checksum` and has no old worker."""

    checksum = ""

    async def processes(self, patience: float = 0.0) -> Processes:
        return Processes(1, "2.8", (2,), (), 0, 1)

    async def info(self, pid: int = 0) -> dict[str, str]:
        return {"description": f"guardpanel {self.checksum}"}

    async def map_states(self, pid: int = 0) -> dict[str, MapState]:
        return {}

    async def ages_of_requests(self) -> set[tuple[int, int]]:
        return set()


async def test_a_deployment_waits_for_the_agents_file_that_is_being_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployer, "TIDY_EVERY_SECONDS", 0.0)
    cli, agent = QuietCli(settings.master_socket), SlowAgent(settings)
    engines = Deployer(settings, "secret", cli=cli, agent=agent)
    bundle = render(DesiredState.from_rows(rows({}, {}), FACTS))
    cli.checksum = bundle.checksum
    engines.releases.publish(engines.stage(bundle, 1))
    engines.tidy()
    assert await asyncio.to_thread(agent.begun.wait, 10)

    asyncio.get_running_loop().call_later(0.2, agent.may_end.set)
    await engines.close()

    assert agent.ended.is_set()


class HalfReadAgent(Agent):
    """Runs what it had read before its file was rewritten, until its reload may end."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("", settings.agent_control_socket, settings.run_dir / "coraza.yaml")
        self.read = ""
        self.reloading, self.reached, self.may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def status(self) -> AgentStatus:
        status = AgentStatus(running=True, config_checksum=self.read)
        if self.reloading.is_set():
            self.reached.set()
        return status

    async def reload(self) -> None:
        self.reloading.set()
        await self.may_end.wait()
        self.read = self._checksum()


class NothingButTheAgent(Inspector):
    async def _haproxy(self, expected: Expected) -> list[Drift]:
        return []


async def test_a_look_during_the_agents_reload_reports_no_drift(settings: Settings) -> None:
    """Between the agent's file and its reload both differ: what a look sees then is asked again."""
    cli, agent = QuietCli(settings.master_socket), HalfReadAgent(settings)
    engines = Deployer(settings, "secret", cli=cli, agent=agent)
    engines.inspector = NothingButTheAgent(engines.releases, cli, agent, engines.verifier)
    bundle = render(DesiredState.from_rows(rows({}, {}), FACTS))
    cli.checksum = bundle.checksum
    engines.releases.publish(engines.stage(bundle, 1))
    settings.run_dir.mkdir()
    agent.write(bundle.files["coraza.yaml"] + b"# before\n", ())
    agent.read = "what it had read"

    tidying = asyncio.create_task(engines.drop_unused())
    async with asyncio.timeout(60):
        await agent.reloading.wait()
        look = asyncio.create_task(engines.inspect(Expected(1, bundle.checksum)))
        await agent.reached.wait()
        agent.may_end.set()
        drift = await look
        await tidying

    assert drift == []
