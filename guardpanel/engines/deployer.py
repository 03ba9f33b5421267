"""Putting a release live, and rolling back: first the agent, additively, then HAProxy, then verification."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

from guardpanel.background import Background
from guardpanel.bundle import Bundle, NamedServer
from guardpanel.engines.answers import Answers
from guardpanel.engines.applications_in_use import ApplicationsInUse
from guardpanel.engines.differences import Drift
from guardpanel.engines.drift import Expected, Inspector
from guardpanel.engines.files import sweep_drafts
from guardpanel.engines.haproxy import ports
from guardpanel.engines.haproxy.haproxy import HAProxy
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.haproxy.reloading import START_PATIENCE_SECONDS, Reloader, StillLoading
from guardpanel.engines.haproxy.server_states import Servers, ServerStatus
from guardpanel.engines.processes.proc import listener_of
from guardpanel.engines.protocol import SERVERS_PATIENCE_SECONDS, EnginesStatus, Tell
from guardpanel.engines.publishing import Publisher
from guardpanel.engines.releases import Release, Releases
from guardpanel.engines.runtime.old_workers import OldWorkers
from guardpanel.engines.runtime.outside_map import OutsideMap, OutsideMaps
from guardpanel.engines.servers.server_sync import ServerSync
from guardpanel.engines.verify import Verifier
from guardpanel.engines.waf.agent import Agent
from guardpanel.engines.waf.agent_files import read_configuration
from guardpanel.engines.waf.coraza_spoa import agent_of
from guardpanel.errors import DeploymentFailed, EngineUnavailable, Problem
from guardpanel.settings import Settings

log = logging.getLogger(__name__)

TIDY_EVERY_SECONDS = 2.0


class Deployer:
    """HAProxy, the agent and the release files of one installation."""

    def __init__(
        self,
        settings: Settings,
        secret: str,
        background: Background | None = None,
        *,
        cli: MasterCli | None = None,
        agent: Agent | None = None,
    ) -> None:
        self.settings = settings
        self.background = background or Background()
        self.releases = Releases(settings.data_dir)
        self.haproxy = HAProxy(settings.haproxy_bin, settings.run_dir)
        self.agent = agent or agent_of(settings)
        self.cli = cli or MasterCli(settings.master_socket)
        self.reloader = Reloader(self.cli, self.haproxy, self.releases)
        self.telling = ServerSync(settings, self.cli, self.releases)
        self.addresses = self.telling.addresses
        self.bans = OutsideMap(settings.bans_map, self.cli)
        self.feeds = OutsideMaps(settings.feeds_dir, self.cli)
        self.answers = Answers(self.cli, self.agent, self.releases)
        self.verifier = Verifier(self.cli, self.agent.answers_at, settings.probe_socket, settings.http_binds, secret)
        self.publisher = Publisher(self.releases, self.reloader, self.telling, self.verifier)
        self.old_workers = OldWorkers(self.cli, self.releases)
        self.inspector = Inspector(self.releases, self.cli, self.agent, self.verifier)
        self.in_use = ApplicationsInUse(self.cli, self.inspector, self.old_workers)
        self._is_deploying = False
        self._tidying: asyncio.Task[None] | None = None
        self._writing_for_agent, self._rewritten = asyncio.Lock(), 0  # How often something else ran afterwards.

    def stage(self, bundle: Bundle, number: int, *, sync: bool = True) -> Release:
        return self.releases.stage(number, bundle, sync=sync)

    async def check(
        self, release: Release, bundle: Bundle, *, changed: Collection[str], names: Collection[NamedServer]
    ) -> None:
        """Check the staged files with both engines, and server names with the resolver. Raises ConfigRejected."""
        await asyncio.gather(
            self.haproxy.check(release, bundle),
            asyncio.to_thread(ports.must_be_free_for, bundle, self.releases),
            self.telling.check_names(names, bundle),
            self.agent.check(bundle, changed),
        )

    async def deploy(
        self,
        release: Release,
        bundle: Bundle,
        *,
        changed: Collection[str],
        tell: Tell,
        again: bool = False,
    ) -> None:
        """Make the release live and verify it. Raises DeploymentFailed; the caller rolls back. `again`: reload HAProxy even if it
        reports this configuration, and drop applications of no release from the agent, since something was changed outside
        guardpanel."""
        async with self._deploying():
            tell("agent")
            keep = await asyncio.to_thread(self.inspector.released_applications) if again else None
            await self._load_applications(release, bundle, keep)
            is_swapped = await self.publisher.publish(release, bundle, tell, again=again)
            tell("verify")
            async with self.telling.leaving(bundle.files["haproxy.cfg"].decode()):
                await self.publisher.prove(release, bundle, changed, is_swapped=is_swapped)
            await self.old_workers.follow(release)

    async def roll_back(self, release: Release, bundle: Bundle) -> str:
        """Put an earlier release back and verify it. Returns what remains to be reported. Depends neither on the agent, which may
        be what failed, nor on a master that hangs in the new configuration while its old worker serves the earlier one."""
        async with self._deploying():
            await self._take_applications_back(release, bundle)
            try:
                await self.publisher.put_back(release, bundle)
            except EngineUnavailable:
                return await self._old_worker_serves(bundle, "HAProxy’s master is not responding")
            except StillLoading:
                return await self._old_worker_serves(bundle, "HAProxy is still loading it")
            await self.verifier.prove(bundle, ())
            return ""

    async def _old_worker_serves(self, bundle: Bundle, words: str) -> str:
        await self.verifier.prove_listeners(bundle.checksum)
        return f"{words} and may be stuck loading the new configuration. The old worker still serves traffic."

    @asynccontextmanager
    async def _deploying(self) -> AsyncIterator[None]:
        """Convert errors of engines and disk to DeploymentFailed, and keep cleanup from running meanwhile."""
        try:
            async with self._writing_for_agent:
                self._is_deploying = True
                try:
                    yield
                finally:
                    self._is_deploying, self._rewritten = False, self._rewritten + 1
                    self.answers.outdate()
        except EngineUnavailable as error:
            raise DeploymentFailed(error.message, step="deploy") from error
        except OSError as error:
            raise DeploymentFailed(f"A file could not be written: {error.strerror or error}.", step="deploy") from error

    def tidy(self) -> None:
        """Drop the applications that no live worker uses, once old workers are gone."""
        if self._tidying is None or self._tidying.done():
            self._tidying = self.background.once("old applications", self._tidy)

    async def is_haproxy_there(self) -> bool:
        """Whether a process listens on the master's socket. It may hang."""
        return await asyncio.to_thread(listener_of, self.cli.path) is not None

    async def inspect(self, expected: Expected) -> list[Drift]:
        """What differs on disk or in memory from the live revision. Repeated if a deployment changed it in the meantime."""
        while True:
            before = self._rewritten
            drifts = await self.inspector.inspect(expected)
            async with self._writing_for_agent:  # A rewrite in progress is counted when it ends.
                if self._rewritten == before:
                    return drifts

    async def follow_names(self) -> frozenset[str]:
        return await self.telling.follow(self._writing_for_agent)

    async def must_answer(self, patience: float) -> None:
        await self.answers.must_answer(patience)

    async def runs(self, checksum: str, patience: float = START_PATIENCE_SECONDS) -> bool:
        return await self.reloader.runs(checksum, patience)

    async def status(self) -> EnginesStatus:
        return await self.answers.status(deploying=self._is_deploying)

    async def servers(self, needed: Collection[str] = (), patience: float = SERVERS_PATIENCE_SECONDS) -> Servers:
        return await self.answers.servers(needed, patience)

    async def servers_of(self, backend: str) -> tuple[ServerStatus, ...]:
        return await self.answers.servers_of(backend)

    async def drop_unused(self) -> set[str] | None:
        """Drop the applications that no live worker uses. Returns the checksums that old workers still run, with the current one
        as long as requests in progress use what it had before. None, and nothing is dropped, if HAProxy runs something other than
        the current release. Raises EngineUnavailable."""
        async with self._writing_for_agent:
            draining = await self.inspector.draining()
            number = self.releases.current_number()
            if number is None:
                return draining
            release = await asyncio.to_thread(self.releases.open, number)
            if not await self.runs(release.checksum, 0):
                return None
            keep = await self.in_use.beside(release, draining)
            await asyncio.to_thread(self.agent.write, read_configuration(release), keep)
            if not await self.agent.has_read(await self.agent.status()):
                await self.agent.reload()
                self._rewritten += 1
            return draining | {release.checksum} if self.in_use.waits else draining

    def sweep(self) -> None:
        """Delete what a killed process left unfinished. Only while nobody saves."""
        self.releases.sweep()
        for path in (self.agent.configuration, self.settings.server_states, self.settings.server_addresses):
            sweep_drafts(path)

    async def close(self) -> None:
        """Stop cleanup between two looks: a thread that writes the agent's file cannot be canceled."""
        if self._tidying and not self._tidying.done():
            async with self._writing_for_agent:
                self._tidying.cancel()
            with suppress(asyncio.CancelledError):
                await self._tidying

    async def _load_applications(self, release: Release, bundle: Bundle, keep: Collection[str] | None) -> None:
        """Add the new applications to those that live workers use, in the agent's file and in the agent."""
        self.in_use.go_live(names := [app.name for app in bundle.applications])
        writing = asyncio.to_thread(self.agent.write, read_configuration(release), keep)
        changed, status = await asyncio.gather(writing, self.agent.wait(START_PATIENCE_SECONDS))
        if not status.running:
            raise DeploymentFailed("The WAF agent is not responding.", step="agent")
        if changed or keep is not None or not await self.agent.runs(names, status):
            await self.agent.load(names)

    async def _take_applications_back(self, release: Release, bundle: Bundle) -> None:
        """Remove from the agent's file what it rejected or never loaded, so that it can start with it. What it runs stays until
        old workers are gone. An agent that does not respond loads the file when it does."""
        self.in_use.go_live(app.name for app in bundle.applications)
        running = await self.agent.running_applications(status := await self.agent.status())
        changed = await asyncio.to_thread(self.agent.write, read_configuration(release), running)
        if status.running and changed:
            with suppress(EngineUnavailable, DeploymentFailed):
                await self.agent.reload()

    async def reload_again(self) -> None:
        """Reload the same configuration: HAProxy cannot give an address at run time to a server that had none. Raises
        DeploymentFailed."""
        if (number := self.releases.current_number()) is None:
            return
        async with self._deploying():
            release = await asyncio.to_thread(self.releases.open, number)
            await self.publisher.load_again(release)

    async def _tidy(self) -> None:
        """Repeat until no old worker is left. Saves in quick succession share a pass. Failures wait for the next save."""
        while True:
            await asyncio.sleep(TIDY_EVERY_SECONDS)
            try:
                if not await self.drop_unused():
                    return
            except Problem as problem:
                log.warning("cannot remove old applications from the WAF agent yet: %s", problem.message)
                return
