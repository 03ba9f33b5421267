"""The WAF agent: its binary, its own check of applications, and its control socket."""

import asyncio
import hashlib
import json
import re
import shutil
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from guardpanel import readable_yaml
from guardpanel.bundle import Application, Bundle
from guardpanel.engines import http
from guardpanel.engines.files import content_of, write_atomically
from guardpanel.engines.processes.patience import Patience
from guardpanel.engines.processes.proc import processes_at
from guardpanel.engines.waf import evaluation, validation
from guardpanel.engines.waf.agent_files import union
from guardpanel.engines.waf.agent_refusals import rejected
from guardpanel.engines.waf.evaluation import Evaluation
from guardpanel.engines.waf.replaying import Replayed, Replays, RuleSetChoice
from guardpanel.engines.waf.rule_set import RuleSet, ask_rule_set
from guardpanel.errors import ConfigRejected, DeploymentFailed, EngineUnavailable

RELOAD_TIMEOUT_SECONDS = 60.0
"Seconds. Fifty new applications compile in a few."

STATUS_PATIENCE_SECONDS = 5.0

CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class RunningApplication:
    name: str
    rules: int
    requests: int
    blocked: int
    errors: int


@dataclass(frozen=True)
class AgentStatus:
    running: bool
    version: str = ""
    coraza_version: str = ""
    crs_version: str = ""
    pid: int = 0
    uptime_seconds: float = 0.0
    config_checksum: str = ""
    "SHA-256 (hex) of the file that the agent has loaded."
    applications: tuple[RunningApplication, ...] = ()
    problem: str | None = None
    is_ours: bool = True
    "False for coraza-spoa, which has no control socket: what only that reports is unknown."

    def runs(self, names: Collection[str]) -> bool:
        return self.running and set(names) <= {app.name for app in self.applications}


@dataclass
class Agent:
    configured: str
    control: Path
    configuration: Path
    "The file that the running agent loads: the applications of all live HAProxy workers."
    _valid: set[tuple[str, str]] = field(default_factory=set)
    known_rules: RuleSet | None = None
    _evaluations: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(evaluation.AT_ONCE))

    def binary(self) -> str:
        """GUARDPANEL_AGENT_BIN, else the checkout's, else PATH."""
        if self.configured:
            return self.configured
        built = CHECKOUT / ".tools" / "bin" / "guardpanel-spoa"
        path = str(built) if built.exists() else shutil.which("guardpanel-spoa")
        if not path:
            raise EngineUnavailable("No WAF agent found. Build it with `make install`, or set GUARDPANEL_AGENT_BIN.")
        return path

    def command(self, events: Path) -> list[str]:
        """The command that starts it."""
        return [
            self.binary(), "-config", str(self.configuration), "-control", f"unix:{self.control}", "-events", str(events),
        ]  # fmt: skip

    @cached_property
    def replays(self) -> Replays:
        return Replays(self.control)

    @property
    def answers_at(self) -> Path:
        """The socket by which its process is identified."""
        return self.control

    def make_way(self) -> None:
        """Called before it starts. It removes the socket of a killed agent itself."""

    async def check(self, bundle: Bundle, changed: Collection[str]) -> None:
        """Have the agent compile the applications that changed. Raises ConfigRejected with lines mapped to fields. A
        name is the hash of its text, so what this binary accepted once is never compiled again."""
        binary = self.binary()
        version = await asyncio.to_thread(identity, binary)
        to_validate = [
            app for app in bundle.applications if app.name in changed and (app.name, version) not in self._valid
        ]
        if not to_validate:
            return
        names = {app.name for app in to_validate}
        document = await asyncio.to_thread(readable_yaml.read, bundle.files["coraza.yaml"])
        document["applications"] = [entry for entry in document["applications"] if entry["name"] in names]
        output = await validation.by_the_running(self.control, binary, document)
        if output is None:
            output = await validation.by_a_new(binary, document)
        if output != validation.VALID:
            raise self._rejected(output, to_validate)
        self._valid.update((app.name, version) for app in to_validate)

    async def status(self) -> AgentStatus:
        """The running agent's status. Raises nothing."""
        try:
            facts = await self._ask("GET", "/v1/status", timeout=2.0)
        except EngineUnavailable as error:
            return AgentStatus(running=False, problem=error.message)
        return AgentStatus(
            running=True,
            version=str(facts.get("version", "")),
            coraza_version=str(facts.get("coraza_version", "")),
            crs_version=str(facts.get("crs_version", "")),
            pid=int(facts.get("pid", 0)),
            uptime_seconds=float(facts.get("uptime_seconds", 0)),
            config_checksum=str(facts.get("config_checksum", "")),
            applications=tuple(
                RunningApplication(
                    app["name"],
                    int(app.get("rules") or 0),
                    int(app.get("requests") or 0),
                    int(app.get("blocked") or 0),
                    int(app.get("errors") or 0),
                )
                for app in sorted(facts.get("applications") or [], key=lambda app: str(app["name"]))
            ),
        )

    async def rule_messages(self, application: str) -> dict[int, str]:
        """The rules' messages by id."""
        answer = await self._ask("GET", f"/v1/rules?application={application}", timeout=5.0)
        return {int(rule["id"]): str(rule.get("message") or "") for rule in answer.get("rules") or []}

    async def evaluate(self, directives: str, request: Mapping[str, Any]) -> Evaluation:
        """The verdict under directives that are compiled for this request. Raises EngineUnavailable."""
        async with self._evaluations:
            return await evaluation.evaluate(self.control, directives, request)

    async def evaluate_live(self, application: str, request: Mapping[str, Any]) -> Evaluation:
        """The verdict of a loaded application. Raises EngineUnavailable."""
        async with self._evaluations:
            return await evaluation.evaluate_live(self.control, application, request)

    def replay(self, under: Sequence[RuleSetChoice], requests: Iterable[Mapping[str, Any]]) -> AsyncGenerator[Replayed]:
        """The verdicts on many requests (waf/replaying.py). Close it to end the agent's work. Raises EngineUnavailable."""
        return self.replays.replay(under, requests)

    async def rule_set(self) -> RuleSet:
        """All rules that it has loaded. Raises EngineUnavailable."""
        self.known_rules = await ask_rule_set(self.control, self.known_rules)
        return self.known_rules

    def write(self, document: bytes, keep: Collection[str] | None = None) -> bool:
        """Write this configuration, plus the applications in the current file that must be kept (None: all). False if the file is
        unchanged."""
        documents = [document]
        if self.configuration.exists() and keep != ():
            documents.append(self.configuration.read_bytes())
        new = union(tuple(documents), None if keep is None else frozenset(keep))
        if self.configuration.exists() and self.configuration.read_bytes() == new:
            return False
        write_atomically(self.configuration, new)
        return True

    async def has_read(self, status: AgentStatus) -> bool:
        """Whether the running agent has loaded the current file."""
        return not status.config_checksum or status.config_checksum == await asyncio.to_thread(self._checksum)

    def _checksum(self) -> str:
        return hashlib.sha256(content_of(self.configuration)).hexdigest()

    async def reload(self) -> None:
        """Have the agent load its file. Raises DeploymentFailed if it refuses or does not respond."""
        answer = await http.ask(
            self.control,
            "POST",
            "/v1/reload",
            headers={"host": "agent", "content-length": "0"},
            timeout=RELOAD_TIMEOUT_SECONDS,
        )
        if answer.status != 200:
            raise DeploymentFailed(
                "The WAF agent rejected the new applications.",
                step="agent",
                evidence=answer.body.decode("utf-8", "replace"),
            )

    async def runs(self, names: Collection[str], status: AgentStatus) -> bool:
        """Whether it has these applications. `status` is its most recent status."""
        return status.runs(names)

    async def running_applications(self, status: AgentStatus) -> list[str]:
        return [app.name for app in status.applications]

    async def load(self, names: Collection[str]) -> None:
        """Have the agent load its file and run these applications. Raises DeploymentFailed otherwise."""
        await self.reload()
        if not (await self.wait(STATUS_PATIENCE_SECONDS)).runs(names):
            raise DeploymentFailed("The WAF agent is not running the new applications.", step="agent")

    async def wait(self, seconds: float) -> AgentStatus:
        """Its status as soon as it responds, since it may be starting. It may be idle for this number of seconds."""
        patience = Patience(seconds, lambda: processes_at(self.answers_at))
        while not (status := await self.status()).running and not patience.is_over:
            await asyncio.sleep(0.05)
        return status

    def _rejected(self, output: str, validated: list[Application]) -> ConfigRejected:
        return rejected(output, validated)

    async def _ask(self, method: str, target: str, *, timeout: float) -> dict[str, Any]:
        if not re.fullmatch(r"/v1/[a-z]+(\?application=[a-z0-9]+)?", target):
            raise ValueError(f"not an endpoint of the agent: {target!r}")
        answer = await http.ask(self.control, method, target, headers={"host": "agent"}, timeout=timeout)
        try:
            facts = json.loads(answer.body)
        except ValueError as error:
            raise EngineUnavailable("The WAF agent returned an unexpected response.") from error
        if answer.status != 200 or not isinstance(facts, dict):
            raise EngineUnavailable(f"The WAF agent returned {answer.status}.")
        return facts


def identity(binary: str) -> str:
    """Distinguishes a binary from its replacement."""
    return f"{binary}:{Path(binary).stat().st_mtime_ns}"
