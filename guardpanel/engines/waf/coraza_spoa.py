"""An operator's coraza-spoa instead of our agent: the same file and messages, but no control socket.

It reports nothing about itself. A reload is a SIGHUP without a response, and an application is verified by its verdict on a
request (spop.py). An application's name contains the hash of its text, so a verdict under a name comes from its rules. Facts are
from the source of 0.7.2.
"""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Any

from guardpanel.bundle import Application
from guardpanel.engines.files import content_of
from guardpanel.engines.processes.proc import listener_of
from guardpanel.engines.processes.process import run_here
from guardpanel.engines.waf import spop
from guardpanel.engines.waf.agent import Agent, AgentStatus, identity
from guardpanel.engines.waf.agent_files import applications_in
from guardpanel.engines.waf.agent_refusals import ENGINE
from guardpanel.engines.waf.evaluation import Evaluation
from guardpanel.engines.waf.replaying import Replayed, RuleSetChoice
from guardpanel.engines.waf.rule_set import RuleSet
from guardpanel.errors import ConfigRejected, DeploymentFailed, EngineUnavailable, Finding
from guardpanel.settings import Settings

NAME = "coraza-spoa"

OURS = "guardpanel-spoa "
"The beginning of our own agent's `-version` (spoa/version.go)."

PATIENCE_SECONDS, SECONDS_EACH = 10.0, 0.2
"Seconds per reload, and per application in the file: it recompiles all of them."

SHORTEST_TRY, LONGEST_TRY = 0.1, 2.0
"Seconds to wait for a verdict: it sends none for an unknown application."


def agent_of(settings: Settings) -> Agent:
    """Our agent or an operator's, depending on what the binary reports."""
    ours = Agent(settings.agent_bin, settings.agent_control_socket, settings.agent_configuration)
    if not is_foreign(ours):
        return ours
    return CorazaSpoa(ours.configured, ours.control, ours.configuration, socket=settings.agent_socket)


def is_foreign(agent: Agent) -> bool:
    """Whether the binary's `-version` is that of another agent. False if there is none."""
    try:
        words = _version_of(identity(binary := agent.binary()), binary)
    except (EngineUnavailable, OSError, subprocess.SubprocessError):
        return False
    return bool(words) and not words.startswith(OURS)


@lru_cache(maxsize=8)
def _version_of(_identity: str, binary: str) -> str:
    result = run_here([binary, "-version"])
    return result.output.strip() if result.code == 0 else ""


@dataclass
class CorazaSpoa(Agent):
    socket: Path = field(kw_only=True)
    "Where HAProxy asks it for verdicts."
    _untold: bool = field(default=False, kw_only=True)
    "Whether its file was written since its last reload. What it has loaded cannot be queried."

    def command(self, _events: Path) -> list[str]:
        return [self.binary(), "-config", str(self.configuration)]

    @property
    def answers_at(self) -> Path:
        return self.socket

    def make_way(self) -> None:
        """A killed Go process leaves its unix socket behind, and cannot listen on it again."""
        if listener_of(self.socket) is None:
            self.socket.unlink(missing_ok=True)

    async def status(self) -> AgentStatus:
        try:
            await spop.hello(self.socket, 2.0)
        except EngineUnavailable as error:
            return AgentStatus(running=False, problem=error.message, is_ours=False)
        return await asyncio.to_thread(self._facts)

    def _facts(self) -> AgentStatus:
        words = ""
        with suppress(EngineUnavailable, OSError):
            words = _version_of(identity(binary := self.binary()), binary)
        own, coraza, crs = _versions(words)
        pid = listener_of(self.socket) or 0
        return AgentStatus(
            running=True,
            version=f"{NAME} {own}".strip(),
            coraza_version=coraza,
            crs_version=crs,
            pid=pid,
            is_ours=False,
        )

    async def rule_messages(self, _application: str) -> dict[int, str]:
        raise EngineUnavailable(f"{NAME} does not report its rules.")

    async def evaluate(self, _directives: str, _request: Mapping[str, Any]) -> Evaluation:
        raise EngineUnavailable(f"{NAME} does not evaluate requests.")

    async def evaluate_live(self, _application: str, _request: Mapping[str, Any]) -> Evaluation:
        raise EngineUnavailable(f"{NAME} does not evaluate requests.")

    def replay(
        self, _under: Sequence[RuleSetChoice], _requests: Iterable[Mapping[str, Any]]
    ) -> AsyncGenerator[Replayed]:
        raise EngineUnavailable(f"{NAME} does not replay requests.")

    async def rule_set(self) -> RuleSet:
        raise EngineUnavailable(f"{NAME} does not report its rules.")

    def write(self, document: bytes, keep: Collection[str] | None = None) -> bool:
        wrote = super().write(document, keep)
        self._untold |= wrote
        return wrote

    async def has_read(self, _status: AgentStatus) -> bool:
        return not self._untold

    async def runs(self, names: Collection[str], _status: AgentStatus) -> bool:
        return not await self._silent(names, LONGEST_TRY)

    async def running_applications(self, status: AgentStatus) -> list[str]:
        """The applications in its file that give verdicts."""
        if not status.running:
            return []
        names = await asyncio.to_thread(self._in_file)
        return sorted(names - await self._silent(names, LONGEST_TRY))

    async def load(self, names: Collection[str]) -> None:
        await self.reload()
        applications = len(await asyncio.to_thread(self._in_file))
        ends, patience = monotonic() + PATIENCE_SECONDS + SECONDS_EACH * applications, SHORTEST_TRY
        while silent := await self._silent(names, patience):
            if monotonic() >= ends:
                raise DeploymentFailed(
                    f"{NAME} received SIGHUP but gives no verdict for the new applications.",
                    step="agent",
                    evidence=f"No verdict from {', '.join(sorted(silent))}. See the log of {NAME}.",
                )
            await asyncio.sleep(0.02)
            patience = min(LONGEST_TRY, 2 * patience)

    async def reload(self) -> None:
        """Have it reload its file. There is no response: `load` finds out whether it did."""
        await asyncio.to_thread(self._hang_up)
        self._untold = False

    def _hang_up(self) -> None:
        """SIGHUP to the process that listens on its socket, never by name."""
        pid = listener_of(self.socket)
        if pid is None:
            raise EngineUnavailable(f"{self.socket.name} is not responding: {NAME} is not running.")
        if pid <= 0:  # SO_PEERCRED of a process in another PID namespace is 0, and kill(0) would signal our own group.
            raise DeploymentFailed(f"{NAME} runs in another container, so guardpanel can’t signal it.", step="agent")
        try:
            os.kill(pid, signal.SIGHUP)
        except OSError as error:
            words = f"{NAME} (process {pid}) can’t be reloaded: {error.strerror}."
            raise DeploymentFailed(words, step="agent") from error

    async def _silent(self, names: Collection[str], patience: float) -> set[str]:
        """Those of the applications that give no verdict."""
        applications = sorted(names)
        judging = await asyncio.gather(*(self._judges(name, patience) for name in applications))
        return {name for name, judges in zip(applications, judging, strict=True) if not judges}

    async def _judges(self, name: str, patience: float) -> bool:
        try:
            return await spop.judges(self.socket, name, patience)
        except EngineUnavailable:
            return False

    def _in_file(self) -> set[str]:
        try:
            return set(applications_in(content_of(self.configuration)) or {})
        except FileNotFoundError:
            return set()

    def _rejected(self, output: str, validated: list[Application]) -> ConfigRejected:
        """Its own message names neither the application nor the line. If there is just one policy, that one is meant."""
        policies = {number for app in validated for number in app.policy_ids}
        noun_id = policies.pop() if len(policies) == 1 else None
        lines = [line for line in output.strip().splitlines() if line.strip()]
        finding = Finding(
            ENGINE, lines[-1] if lines else "no reason given", noun="policy" if noun_id else None, noun_id=noun_id
        )
        return ConfigRejected(f"{ENGINE} rejected this change.", engine=ENGINE, output=output, findings=[finding])


def describe_version(words: str) -> str:
    """The agent's `-version` output on one line."""
    if words.startswith(OURS) or not words.strip():
        return words.strip()
    own, coraza, crs = _versions(words)
    return f"{NAME} {own or 'of unknown version'}, Coraza {coraza or 'unknown'}, OWASP CRS {crs or 'unknown'}"


def _versions(words: str) -> tuple[str, str, str]:
    """The versions of the agent, Coraza and the rule set: a line `version`, then the binary's Go modules, `dep PATH VERSION
    HASH`."""
    modules = r"dep[ \t]+github\.com/corazawaf/"
    return (
        _version_in(words, "version"),
        _version_in(words, f"{modules}coraza/v3"),
        _version_in(words, f"{modules}coraza-coreruleset/v4"),
    )


def _version_in(words: str, before: str) -> str:
    """The version after this pattern on a line. Empty if there is none."""
    match = re.search(rf"(?m)^{before}[ \t]+v?(\d\S*)", words)
    return match[1] if match else ""
