"""Putting a release live, and back: the agent first and additively, then HAProxy, then the proof."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from guardpanel.bundle import Bundle, NamedServer
from guardpanel.engines.agent import Agent, AgentStatus, read_configuration
from guardpanel.engines.haproxy import HAProxy
from guardpanel.engines.master_cli import MasterCli, Processes
from guardpanel.engines.releases import Release, Releases
from guardpanel.engines.status import HAProxyStatus, haproxy_status
from guardpanel.engines.verify import Verifier
from guardpanel.errors import DeploymentFailed, EngineUnavailable, Problem
from guardpanel.settings import Settings

log = logging.getLogger(__name__)

START_PATIENCE = 15.0
"Seconds for an engine that is just being started."

RELOAD_PATIENCE = 15.0

TIDY_EVERY = 2.0
FRESH = 1.0
"Seconds for which an answer to `status` is given again."


@dataclass(frozen=True)
class EnginesStatus:
    haproxy: HAProxyStatus
    agent: AgentStatus


class Engines:
    """HAProxy, the agent and the release files of one installation."""

    def __init__(self, settings: Settings, secret: str) -> None:
        self.settings = settings
        self.releases = Releases(settings.data_dir)
        self.haproxy = HAProxy(settings.haproxy_bin)
        self.agent = Agent(settings.agent_bin, settings.agent_control_socket, settings.run_dir / "coraza.yaml")
        self.cli = MasterCli(settings.master_socket)
        self.verifier = Verifier(self.cli, settings.probe_socket, settings.http_binds, secret)
        self._status: tuple[float, EnginesStatus] | None = None
        self._asking: asyncio.Task[EnginesStatus] | None = None
        self._tidying: asyncio.Task[None] | None = None

    def stage(self, bundle: Bundle, number: int) -> Release:
        return self.releases.stage(number, bundle)

    async def check(
        self, release: Release, bundle: Bundle, *, changed: Collection[str], names: Collection[NamedServer]
    ) -> None:
        """Both engines' own judgement of the staged files. Raises ConfigRejected."""
        await asyncio.gather(
            self.haproxy.check(release, bundle),
            self.haproxy.check_names(names, bundle),
            self.agent.check(bundle, changed),
        )

    async def deploy(
        self, release: Release, bundle: Bundle, *, changed: Collection[str], tell: Callable[[str], None]
    ) -> None:
        """Make the release live and prove it. Raises DeploymentFailed; what is half done then is the caller's to undo."""
        await self._stop_tidying()
        try:
            tell("agent")
            await self._load_applications(release, bundle)
            tell("reload")
            await asyncio.to_thread(self.releases.publish, release)
            await self._reload_haproxy(bundle.checksum)
            tell("verify")
            await self.verifier.prove(bundle, changed)
        except EngineUnavailable as error:
            raise DeploymentFailed(error.message, step="deploy") from error
        except OSError as error:
            raise DeploymentFailed(f"A file could not be written: {error.strerror or error}.", step="deploy") from error
        finally:
            self._status = None

    async def roll_back(self, release: Release, bundle: Bundle) -> None:
        """Put an earlier release back and prove it."""
        await self.deploy(release, bundle, changed=(), tell=lambda _step: None)

    def tidy(self) -> None:
        """Drop the applications that no live worker uses, once old workers are gone."""
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.create_task(self._tidy())

    async def status(self) -> EnginesStatus:
        """What both engines say of themselves, at most FRESH seconds old. Raises nothing."""
        if self._status is not None and monotonic() - self._status[0] < FRESH:
            return self._status[1]
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_status())
        return await asyncio.shield(self._asking)

    async def draining(self) -> set[str]:
        """The checksums that old workers still run. Raises EngineUnavailable."""
        old = (await self.cli.processes()).old_workers
        found = [(await self.cli.info(pid)).get("description", "") for pid in old]
        return {words.removeprefix("guardpanel ") for words in found}

    async def close(self) -> None:
        await self._stop_tidying()

    async def _ask_status(self) -> EnginesStatus:
        haproxy, agent = await asyncio.gather(haproxy_status(self.cli), self.agent.status())
        found = EnginesStatus(haproxy, agent)
        self._status = monotonic(), found
        return found

    async def _load_applications(self, release: Release, bundle: Bundle) -> None:
        """The new applications beside those that live workers use, in the agent's file and in the agent."""
        documents = [read_configuration(release)]
        if self.agent.configuration.exists():
            documents.append(self.agent.configuration.read_bytes())
        names = [one.name for one in bundle.applications]
        changed = await asyncio.to_thread(self.agent.write, documents)
        status = await self.agent.wait(START_PATIENCE)
        if not status.running:
            raise DeploymentFailed("The WAF agent does not answer.", step="agent")
        if changed or not status.runs(names):
            await self.agent.reload()
            status = await self.agent.status()
        if not status.runs(names):
            raise DeploymentFailed("The WAF agent does not run the new applications.", step="agent")

    async def _reload_haproxy(self, checksum: str) -> None:
        """Have HAProxy read the current release, unless it is just starting with it."""
        before = await self.cli.processes(patience=START_PATIENCE)
        if before.workers and (await self.cli.info()).get("description") == f"guardpanel {checksum}":
            return
        answer = await self.cli.reload()
        ends = monotonic() + RELOAD_PATIENCE
        while True:
            with suppress(EngineUnavailable):
                now = await self.cli.processes()
                if _has_new_worker(before, now):
                    return
                if now.failed > before.failed and now.workers == before.workers:
                    raise DeploymentFailed(
                        "HAProxy refused to load the new configuration.", step="reload", evidence=answer
                    )
            if monotonic() >= ends:
                raise DeploymentFailed("HAProxy did not start a new worker.", step="reload", evidence=answer)
            await asyncio.sleep(0.01)

    async def _tidy(self) -> None:
        """Debounced: saves that follow each other share one pass. A failure is tried again after the next save."""
        while True:
            await asyncio.sleep(TIDY_EVERY)
            try:
                if (await self.cli.processes()).old_workers:
                    continue
                number = self.releases.current_number()
                if number is None:
                    return
                release = await asyncio.to_thread(self.releases.open, number)
                if await asyncio.to_thread(self.agent.write, [read_configuration(release)]):
                    await self.agent.reload()
            except Problem as problem:
                log.warning("old applications stay in the WAF agent for now: %s", problem.message)
            return

    async def _stop_tidying(self) -> None:
        if self._tidying is not None and not self._tidying.done():
            self._tidying.cancel()
            with suppress(asyncio.CancelledError):
                await self._tidying


def _has_new_worker(before: Processes, now: Processes) -> bool:
    return bool(now.workers) and not set(now.workers) & set(before.workers) and now.failed == 0
