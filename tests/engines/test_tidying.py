"""Old applications are dropped beside the saves, never in the middle of one."""

import asyncio
import threading
from collections.abc import Collection

import pytest

from guardpanel.engines import Deployer, deployer
from guardpanel.engines.agent import Agent, AgentStatus
from guardpanel.engines.master_cli import MasterCli, Processes
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
        assert self.may_end.wait(10)
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


async def test_a_deployment_waits_for_the_agents_file_that_is_being_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployer, "TIDY_EVERY", 0.0)
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
