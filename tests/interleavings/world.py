"""HAProxy and the agent as they would go on running while the panel is killed: their state lies in a file.

The panel's own `Deployer` talks to them: only the two sockets, the checks and the proof are ours.
"""

import json
import os
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from typing import Any

from guardpanel.bundle import Bundle
from guardpanel.engines import AgentStatus, Deployer, RunningApplication
from guardpanel.engines.drift import Inspector
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.processes.patience import Patience
from guardpanel.engines.releases import Release
from guardpanel.engines.verify import Verifier
from guardpanel.engines.waf.agent import Agent
from guardpanel.engines.waf.agent_files import read_configuration
from guardpanel.errors import ConfigRejected, DeploymentFailed, EngineUnavailable, Problem
from guardpanel.settings import Settings
from tests.interleavings.scheduler import Fate

Worker = dict[str, Any]

RARE, SOMETIMES = 0.01, 0.06
"How often something of the kind goes wrong."


class World:
    """Workers (newest first) with their checksum, their map of virtual hosts, the applications that it names, and those that requests
    in progress ask for from before it was replaced; the agent's applications."""

    def __init__(self, folder: Path, fate: Fate) -> None:
        self.fate = fate
        self.folder = folder
        self.path = folder / "world.json"
        kept = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.workers: list[Worker] = kept.get("workers", [])
        self.applications: list[str] = kept.get("applications", [])
        self.pids: int = kept.get("pids", 100)
        self.failed: int = kept.get("failed", 0)
        self.wrong: list[str] = kept.get("wrong", [])
        self.read: str = kept.get("read", "")
        "The checksum of the agent's file as the agent has read it."

    def keep(self) -> None:
        """Any state in which a request meets half of a change is a fault, however short."""
        for worker in self.workers:
            if lost := {*worker["asks"], *worker["older"]} - set(self.applications):
                self.wrong.append(f"worker {worker} asks for {lost}; the agent has {self.applications}")
        facts = {
            "workers": self.workers, "applications": self.applications, "pids": self.pids, "failed": self.failed,
            "wrong": self.wrong, "read": self.read,
        }  # fmt: skip
        self.path.write_text(json.dumps(facts))

    @property
    def checksum(self) -> str | None:
        return str(self.workers[0]["checksum"]) if self.workers else None

    def load(self) -> Worker:
        """A worker with what is current on disk now."""
        current = self.folder / "current"
        lines = (current / "vhosts.map").read_text().splitlines()
        self.pids += 1
        checksum = json.loads((current / "manifest.json").read_text())["checksum"]
        return {"pid": self.pids, "checksum": checksum, "map": lines, "asks": asked_by(lines), "older": []}

    def live_on(self) -> None:
        """What happens by itself: processes are started where there are none, end, and are started again."""
        has_release = (self.folder / "current" / "manifest.json").exists()
        if has_release and (not self.workers or self.fate.happens(RARE)):
            self.read_agent_file()
            self.workers = [self.load()]
        if self.fate.happens(RARE):
            self.read_agent_file()
        if len(self.workers) > 1 and self.fate.happens(0.3):
            del self.workers[1:]
        for worker in self.workers:
            if worker["older"] and self.fate.happens(0.3):
                worker["older"] = []
        self.keep()

    def read_agent_file(self) -> None:
        path = self.folder / "run" / "coraza.yaml"
        text = path.read_bytes() if path.exists() else b""
        lines = text.decode().splitlines()
        self.applications = [line.split()[-1] for line in lines if line.startswith("- name: ")]
        self.read = sha256(text).hexdigest()


def asked_by(lines: list[str]) -> list[str]:
    """The applications that a map of virtual hosts names."""
    return sorted({line.split()[1].split(";")[1] for line in lines} - {"-"})


class FakeMaster(MasterCli):
    """HAProxy's master CLI."""

    def __init__(self, world: World) -> None:
        super().__init__(Path("/nowhere"))
        self.world = world
        self.next: list[str] = []
        "The version of the newest worker's map that is being prepared."

    async def _ask(self, command: str, patience: float = 0.0, *, again_after_silence: bool = True) -> str:
        world = self.world
        await world.fate.pause()
        world.live_on()
        if not world.workers:
            raise EngineUnavailable("HAProxy does not answer.")
        if command == "reload":
            return self.reloaded()
        await world.fate.pause()
        match command.removeprefix("@1 ").split()[:2]:
            case ["show", "proc"]:
                new, *old = [f"{worker['pid']} worker 1 0 0d00h00m01s 2.8.25" for worker in world.workers]
                return "\n".join([f"{os.getppid()} master [failed: {world.failed}] 0 0d00h00m01s 2.8.25", "# workers", new,
                                  "# old workers", *old, "# programs"])  # fmt: skip
            case ["show", "info"]:
                return f"Version: 2.8.25\nPid: {world.workers[0]['pid']}\ndescription: guardpanel {world.checksum}\n"
            case ["show", "backend"]:
                return f"gp_end_{str(world.checksum)[:12]}\n"
            case ["show", "sess"]:
                return "0x1: proto=tcpv4 fe=visitors be=be_1 age=3h0m\n" if world.workers[0]["older"] else ""
            case [_, "map"]:
                return self.mapped(command.removeprefix("@1 "))
        return ""

    def mapped(self, command: str) -> str:
        world, worker = self.world, self.world.workers[0]
        match command.split(maxsplit=1)[0]:
            case "show" if "#" in command:
                return "".join(f"0x1 {line}\n" for line in worker["map"])
            case "show":
                return f"0 (vhosts.map) pattern loaded from file entry_cnt={len(worker['map']) + len(self.next)}\n"
            case "prepare":
                self.next = []
                return "New version created: 1\n"
            case "add":
                self.next += command.partition("<<\n")[2].splitlines()
            case "commit":
                worker["older"] = sorted({*worker["older"], *worker["asks"]})
                worker["map"], worker["asks"], self.next = self.next, asked_by(self.next), []
                world.keep()
                world.fate.point()
                if world.fate.happens(RARE):
                    raise EngineUnavailable("HAProxy's answer was lost.")
        return ""

    def reloaded(self) -> str:
        world = self.world
        if world.fate.happens(RARE):
            raise EngineUnavailable("HAProxy does not answer.")
        if world.fate.happens(SOMETIMES):
            world.failed += 1
        else:
            world.failed = 0
            world.workers.insert(0, world.load())
        world.keep()
        world.fate.point()
        if world.fate.happens(RARE):
            raise EngineUnavailable("HAProxy's answer was lost.")
        return ""


class FakeAgent(Agent):
    """The agent's control socket; its configuration file is real."""

    world: World

    async def check(self, bundle: Bundle, changed: Collection[str]) -> None:
        await self.world.fate.pause()

    async def status(self) -> AgentStatus:
        await self.world.fate.pause()
        self.world.live_on()
        applications = tuple(RunningApplication(name, 1, 0, 0, 0) for name in self.world.applications)
        return AgentStatus(running=True, applications=applications, config_checksum=self.world.read)

    async def reload(self) -> None:
        await self.world.fate.pause()
        if self.world.fate.happens(SOMETIMES):
            raise DeploymentFailed("The WAF agent rejected the new applications.", step="agent")
        self.world.read_agent_file()
        self.world.keep()
        await self.world.fate.pause()


class FakeVerifier(Verifier):
    """The proof: of the world as it is."""

    def __init__(self, world: World, cli: MasterCli) -> None:
        super().__init__(cli, Path("/nowhere"), Path("/nowhere"), (), "secret")
        self.world = world

    async def prove(self, bundle: Bundle, changed: Collection[str], *, over_tls: bool = True) -> None:
        await self.world.fate.pause()
        if self.world.checksum != bundle.checksum or self.world.fate.happens(SOMETIMES):
            raise DeploymentFailed("The new configuration could not be verified.", step="verify")
        await self.world.fate.pause()

    async def prove_listeners(self, checksum: str, patience: Patience | None = None, *, over_tls: bool = True) -> None:
        await self.world.fate.pause()
        if self.world.checksum != checksum:
            raise DeploymentFailed("The listeners answer with another configuration.", step="verify")


class WorldEngines(Deployer):
    def __init__(self, settings: Settings, secret: str, world: World) -> None:
        agent = FakeAgent("", settings.agent_control_socket, settings.run_dir / "coraza.yaml")
        super().__init__(settings, secret, cli=FakeMaster(world), agent=agent)
        self.world = agent.world = world
        self.verifier = self.publisher.verifier = FakeVerifier(world, self.cli)
        self.inspector = Inspector(self.releases, self.cli, self.agent, self.verifier)

    def stage(self, bundle: Bundle, number: int, *, sync: bool = True) -> Release:
        if self.world.fate.happens(RARE):
            raise Problem("The configuration could not be written to disk: No space left on device.")
        return super().stage(bundle, number, sync=sync)

    async def is_haproxy_there(self) -> bool:
        return bool(self.world.workers)

    async def check(self, release: Release, bundle: Bundle, **_: object) -> None:
        await self.world.fate.pause()
        if self.world.fate.happens(SOMETIMES):
            raise ConfigRejected("HAProxy rejected this change.", engine="HAProxy", output="[ALERT] no")
        assert read_configuration(release) == bundle.files["coraza.yaml"]
