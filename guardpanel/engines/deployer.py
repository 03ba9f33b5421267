"""Putting a release live, and back: the agent first and additively, then HAProxy, then the proof."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic

from guardpanel.background import Background
from guardpanel.bundle import Bundle, NamedServer
from guardpanel.engines import handover
from guardpanel.engines.addresses import Addresses
from guardpanel.engines.agent_files import read_configuration
from guardpanel.engines.coraza_spoa import agent_of
from guardpanel.engines.drift import Drift, Expected, Inspector
from guardpanel.engines.handover import Backends, Configured, Key, Row
from guardpanel.engines.haproxy import HAProxy
from guardpanel.engines.lately import Lately
from guardpanel.engines.loading import Reading, end_loading_worker, newest_worker
from guardpanel.engines.master_cli import MasterCli, Processes
from guardpanel.engines.names import Names, must_have_addresses
from guardpanel.engines.patience import Patience
from guardpanel.engines.proc import listener_of, processes_at
from guardpanel.engines.protocol import SERVERS_PATIENCE, EnginesStatus
from guardpanel.engines.releases import Release, ReleaseDamaged, Releases, content_of, sweep_drafts, write_atomically
from guardpanel.engines.servers import Servers, ServerStatus
from guardpanel.engines.status import LONGEST, haproxy_status, servers
from guardpanel.engines.verify import Verifier
from guardpanel.errors import DeploymentFailed, EngineUnavailable, Problem
from guardpanel.settings import Settings

log = logging.getLogger(__name__)

START_PATIENCE = 15.0
"Seconds for an engine that is just being started."

RELOAD_PATIENCE = 15.0

FIRST_LOOK = 1.0
"Seconds that a deployment waits for names that never had an address: they are looked up again soon."

AT_ONCE = 32
"Names that are looked up at once while nobody waits."

STILL_LOADING = "Another reload is still in progress"
"""What a master of 3.1 and newer says while it loads another worker, its first included (cli_parse_reload() in its
src/mworker.c): it has not taken the reload, so it is asked again."""

TIDY_EVERY = 2.0
PAGE_PATIENCE = 0.1
"Seconds that a page waits for a newer answer: an engine that hangs must not make the panel hang."

DEPLOYING_PATIENCE = 0.01
"The same during a deployment: HAProxy's master answers nobody while it reads a configuration, of thousands for 0.2 s."

OLDEST_SERVERS = 5.0
"Seconds after which what they were is no longer worth telling: then a page waits."

SAVE_PATIENCE = 5.0
"Seconds that a save waits for engines that do not answer: they may be being started again."


class StillLoading(DeploymentFailed):
    """HAProxy takes no reload while a worker loads, and that one can be neither waited for nor ended."""


class Deployer:
    """HAProxy, the agent and the release files of one installation."""

    def __init__(self, settings: Settings, secret: str, background: Background | None = None) -> None:
        self.settings = settings
        self.background = background or Background()
        self.releases = Releases(settings.data_dir)
        self.haproxy = HAProxy(settings.haproxy_bin)
        self.agent = agent_of(settings)
        self.cli = MasterCli(settings.master_socket)
        self.names = Names()
        self.addresses = Addresses(settings.server_addresses)
        self.verifier = Verifier(self.cli, self.agent.answers_at, settings.probe_socket, settings.http_binds, secret)
        self.inspector = Inspector(self.releases, self.cli, self.agent, self.verifier)
        self._status = Lately(self._ask_status)
        self._servers = Lately(lambda: servers(self.cli))
        self._handed: tuple[str, Mapping[Key, Row]] = ("", {})
        "What the worker with that process number was told of servers when it began."
        self._is_deploying = False
        self._tidying: asyncio.Task[None] | None = None
        self._writing_for_agent = asyncio.Lock()

    def stage(self, bundle: Bundle, number: int) -> Release:
        return self.releases.stage(number, bundle)

    async def check(
        self, release: Release, bundle: Bundle, *, changed: Collection[str], names: Collection[NamedServer]
    ) -> None:
        """Both engines' own judgement of the staged files, and this machine's on names. Raises ConfigRejected."""
        await asyncio.gather(
            self.haproxy.check(release, bundle),
            self._check_names(names, bundle),
            self.agent.check(bundle, changed),
        )

    async def _check_names(self, servers: Collection[NamedServer], bundle: Bundle) -> None:
        """The rendered configuration tolerates names without an address, as a resolver's bad day must not stop a reload;
        so the strict question is asked apart, of the servers that are being saved. A name whose address is known is not asked
        for again: it is held, and a save does not wait for DNS."""
        known = self.addresses.all()
        asked = [server for server in servers if server.host not in known]
        found = await self.names.find({server.host for server in asked})
        must_have_addresses(asked, found, bundle, self.settings.http_binds)
        self.addresses.learn(found)

    async def must_answer(self, patience: float) -> None:
        """EngineUnavailable unless both engines answer: what could not be proved live had better not begin."""
        if self.releases.current_number() is None:
            return  # they wait for the first release
        await asyncio.gather(self._haproxy_answers(patience), self._agent_answers(patience))

    def _of_haproxy(self, seconds: float) -> Patience:
        return Patience(seconds, lambda: processes_at(self.cli.path))

    async def _agent_answers(self, patience: float) -> None:
        if not self.agent.configuration.exists():
            return  # it waits for that file
        status = await self.agent.wait(patience)
        if not status.running:
            raise EngineUnavailable(f"The WAF agent does not answer. {status.problem}")

    async def _haproxy_answers(self, patience: float) -> None:
        """The master may answer for a worker that hangs, or has not read its configuration yet."""
        waiting = self._of_haproxy(patience)
        while True:
            try:
                if "pid" in await self.cli.info():
                    return
                words = "HAProxy's worker does not answer."
            except EngineUnavailable as error:
                words = error.message
            if waiting.is_over:
                raise EngineUnavailable(words)
            await asyncio.sleep(0.05)

    async def deploy(
        self,
        release: Release,
        bundle: Bundle,
        *,
        changed: Collection[str],
        tell: Callable[[str], None],
        again: bool = False,
    ) -> None:
        """Make the release live and prove it. Raises DeploymentFailed; what is half done then is the caller's to undo.

        `again`: HAProxy is reloaded even where it says that it runs this, and applications that no release has do not
        stay in the agent: somebody changed either.
        """
        async with self._deploying():
            tell("agent")
            keep = await asyncio.to_thread(self.inspector.released_applications) if again else None
            await self._load_applications(release, bundle, keep)
            tell("reload")
            await self._must_be_whole(release)
            await self._publish(release, bundle, again=again)
            tell("verify")
            await self.verifier.prove(bundle, changed)
            await self._must_be_whole(release)

    async def roll_back(self, release: Release, bundle: Bundle) -> str:
        """Put an earlier release back and prove it; what is still to be said. It does not take the agent, which may
        be what failed, nor a master that hangs in the new configuration while its old worker serves the earlier one."""
        async with self._deploying():
            await self._take_applications_back(release)
            try:
                await self._publish(release, bundle)
            except EngineUnavailable:
                return await self._old_worker_serves(bundle, "HAProxy's master does not answer")
            except StillLoading:
                return await self._old_worker_serves(bundle, "HAProxy still loads it")
            await self.verifier.prove(bundle, ())
            return ""

    async def _old_worker_serves(self, bundle: Bundle, words: str) -> str:
        await self.verifier.prove_listeners(bundle.checksum)
        return f"{words}: it may hang in the new configuration. Its old worker serves."

    @asynccontextmanager
    async def _deploying(self) -> AsyncIterator[None]:
        """Faults of engines and of the disk as DeploymentFailed; nobody tidies meanwhile."""
        try:
            async with self._writing_for_agent:
                self._is_deploying = True
                try:
                    yield
                finally:
                    self._is_deploying = False
                    self._status.forget()
                    self._servers.outdate()
        except EngineUnavailable as error:
            raise DeploymentFailed(error.message, step="deploy") from error
        except OSError as error:
            raise DeploymentFailed(f"A file could not be written: {error.strerror or error}.", step="deploy") from error

    def tidy(self) -> None:
        """Drop the applications that no live worker uses, once old workers are gone."""
        if self._tidying is None or self._tidying.done():
            self._tidying = self.background.once("old applications", self._tidy)

    async def is_haproxy_there(self) -> bool:
        """Whether a process listens on the master's socket; it may hang."""
        return await asyncio.to_thread(listener_of, self.cli.path) is not None

    async def inspect(self, expected: Expected) -> list[Drift]:
        """What lies on disk or runs and is not the live revision."""
        return await self.inspector.inspect(expected)

    async def status(self) -> EnginesStatus:
        """What both engines say of themselves, as fresh as can be had without waiting long. Raises nothing."""
        return await self._status.get(DEPLOYING_PATIENCE if self._is_deploying else PAGE_PATIENCE)

    async def servers(self, wanted: Collection[str] = (), patience: float = SERVERS_PATIENCE) -> Servers:
        """The states of all servers by backend (`be_17`), as HAProxy's newest worker has them, or had them a moment ago.

        A backend that is `wanted` and was not there then is waited for.
        """
        known = await self._servers.get(patience, OLDEST_SERVERS)
        if all(name in known for name in wanted):
            return known
        return await self._servers.get(LONGEST)

    async def servers_of(self, backend: str) -> tuple[ServerStatus, ...]:
        """The states of one backend's servers, of now."""
        return (await servers(self.cli, backend)).of(backend)

    async def drop_unused(self) -> set[str] | None:
        """Drop the applications that no live worker uses; the checksums that old workers still run.

        None where HAProxy runs something else than the current release: then all stays. Raises EngineUnavailable.
        """
        async with self._writing_for_agent:
            draining = await self._draining()
            number = self.releases.current_number()
            if number is None:
                return draining
            release = await asyncio.to_thread(self.releases.open, number)
            if not await self.runs(release.checksum, 0):
                return None
            keep = await asyncio.to_thread(self.inspector.applications_of, draining)
            await asyncio.to_thread(self.agent.write, read_configuration(release), keep)
            if not await self.agent.has_read(await self.agent.status()):
                await self.agent.reload()
            return draining

    async def _draining(self) -> set[str]:
        old = (await self.cli.processes()).old_workers
        found = [(await self.cli.info(pid)).get("description", "") for pid in old]
        return {words.removeprefix("guardpanel ") for words in found}

    def sweep(self) -> None:
        """Delete what a killed process left half written. Only while nobody saves."""
        self.releases.sweep()
        for path in (self.agent.configuration, self.settings.server_states, self.settings.server_addresses):
            sweep_drafts(path)

    async def close(self) -> None:
        """Stop tidying between two looks: a thread that writes the agent's file cannot be called back."""
        if self._tidying is not None and not self._tidying.done():
            async with self._writing_for_agent:
                self._tidying.cancel()
            with suppress(asyncio.CancelledError):
                await self._tidying

    async def _ask_status(self) -> EnginesStatus:
        return EnginesStatus(*await asyncio.gather(haproxy_status(self.cli), self.agent.status()))

    async def _load_applications(self, release: Release, bundle: Bundle, keep: Collection[str] | None) -> None:
        """The new applications beside those that live workers use, in the agent's file and in the agent."""
        names = [one.name for one in bundle.applications]
        changed = await asyncio.to_thread(self.agent.write, read_configuration(release), keep)
        status = await self.agent.wait(START_PATIENCE)
        if not status.running:
            raise DeploymentFailed("The WAF agent does not answer.", step="agent")
        if changed or keep is not None or not await self.agent.runs(names, status):
            await self.agent.load(names)

    async def _must_be_whole(self, release: Release) -> None:
        """What HAProxy reads is what was checked: looked at before it reads, and once more when it has."""
        try:
            await asyncio.to_thread(self.releases.open, release.number)
        except ReleaseDamaged as damaged:
            raise DeploymentFailed(damaged.message, step="publish") from damaged

    async def _take_applications_back(self, release: Release) -> None:
        """The agent's file without what it refused or never read: it must be able to start with it.

        What it runs stays until old workers are gone. One that does not answer reads the file when it does.
        """
        status = await self.agent.status()
        running = await self.agent.running_applications(status)
        changed = await asyncio.to_thread(self.agent.write, read_configuration(release), running)
        if status.running and changed:
            with suppress(EngineUnavailable, DeploymentFailed):
                await self.agent.reload()

    async def _publish(self, release: Release, bundle: Bundle, *, again: bool = False) -> None:
        """Have HAProxy run it, with what its worker before knew of servers: every reload goes through here."""
        configuration = bundle.files["haproxy.cfg"].decode()
        handed = await self._hand_over(configuration, bundle.checksum)
        await asyncio.to_thread(self.releases.publish, release)
        await self._reload_haproxy(bundle.checksum, again=again)
        await self._note_handed(*handed)
        await self._leave_addresses(configuration)

    async def reload_again(self) -> None:
        """The same configuration anew: a server that had no address takes none at run time. Raises DeploymentFailed."""
        number = self.releases.current_number()
        if number is None:
            return
        async with self._deploying():
            release = await asyncio.to_thread(self.releases.open, number)
            configuration = content_of(release.path / "haproxy.cfg").decode()
            handed = await self._hand_over(configuration, release.checksum)
            await self._reload_haproxy(release.checksum, again=True)
            await self._note_handed(*handed)
            await self._leave_addresses(configuration)
            await self.verifier.prove_listeners(release.checksum)

    async def follow_names(self) -> frozenset[str]:
        """Look up the names of all servers, and tell HAProxy the addresses that are others now. The names whose servers have
        no address in HAProxy although there is one: they need a reload."""
        configuration = await asyncio.to_thread(self._current_configuration)
        if not configuration:
            return frozenset()  # of names that nobody can say nothing is forgotten, either
        backends = await asyncio.to_thread(handover.servers_in, configuration)
        named = [one for servers in backends.values() for one in servers if one.is_name]
        names = sorted({server.host for server in named})
        for at in range(0, len(names), AT_ONCE):
            self.addresses.learn(await self.names.find(names[at : at + AT_ONCE]))
        async with self._writing_for_agent:
            if await asyncio.to_thread(self._current_configuration) != configuration:
                return frozenset()  # a save came between
            await asyncio.to_thread(self.addresses.keep, names)
            return await self._tell_addresses(named, configuration) if named else frozenset()

    async def _tell_addresses(self, named: Sequence[Configured], configuration: str) -> frozenset[str]:
        rows = handover.rows_in(await self.cli.server_states())
        self.addresses.take(handover.addresses_in(rows, {"": named}))
        known = self.addresses.all()
        late, told = set[str](), False
        for server in named:
            row, address = rows.get((server.backend, server.name)), known.get(server.host)
            if row is None or address is None or row["srv_addr"] == address or not server.enabled:
                continue
            if row["srv_addr"] == "-":
                late.add(server.host)
                continue
            log.info("%s/%s (%s) is %s now", server.backend, server.name, server.host, address)
            await self.cli.set_address(server.backend, server.name, address)
            told = True
        if told:
            await self._leave_addresses(configuration)
        return frozenset(late)

    def _current_configuration(self) -> str:
        """What the current release has HAProxy read; empty without one, or where somebody changed it by hand."""
        number = self.releases.current_number()
        if number is not None:
            with suppress(OSError, ReleaseDamaged):
                return content_of(self.releases.open(number).path / "haproxy.cfg").decode()
        return ""

    async def _leave_addresses(self, configuration: str) -> None:
        """What a HAProxy that is started later shall find: where names lead, and no states, which would be stale."""
        new = await asyncio.to_thread(handover.servers_in, configuration)
        await self._leave_states(handover.state_lines({}, {}, new, handed={}, addresses=self.addresses.all()))
        with suppress(OSError):  # said by the look at the disk
            names = {one.host for servers in new.values() for one in servers if one.is_name}
            await asyncio.to_thread(self.addresses.keep, names)

    async def _note_handed(self, pid: str, rows: Mapping[Key, Row]) -> None:
        """Another worker than `pid` has read these rows; where there was no reload, what was handed earlier holds on."""
        with suppress(EngineUnavailable):
            now = (await self.cli.info()).get("pid", "")
            if now != pid:
                self._handed = now, rows

    async def _hand_over(self, configuration: str, checksum: str) -> tuple[str, Mapping[Key, Row]]:
        """Write down what the newest worker knows of servers, for the next one. Without it servers begin UP.

        The newest worker's process number, and what was written: nothing, where the disk takes nothing.
        """
        new = await asyncio.to_thread(handover.servers_in, configuration)
        known = self.addresses.all()
        unknown = {one.host for servers in new.values() for one in servers if one.is_name and one.host not in known}
        self.addresses.learn(await self.names.find(unknown, FIRST_LOOK))
        try:
            async with asyncio.timeout(LONGEST):
                info = await self.cli.info()
                ran, pid = info.get("description", "").removeprefix("guardpanel "), info.get("pid", "")
                text = await self.cli.server_states()
        except (EngineUnavailable, TimeoutError):
            ran = pid = text = ""
        live = configuration if ran == checksum else await asyncio.to_thread(self._configuration_of, ran)
        lines = await asyncio.to_thread(self._states, handover.servers_in(live), new, pid, text)
        told = await self._leave_states(lines)
        return pid, handover.rows_in("\n".join(lines)) if told else {}

    def _states(self, live: Backends, new: Backends, pid: str, text: str) -> list[str]:
        before = handover.rows_in(text) if live else {}
        handed = self._handed[1] if self._handed[0] == pid else {}
        self.addresses.take(handover.addresses_in(before, live))
        return handover.state_lines(before, live, new, handed=handed, addresses=self.addresses.all())

    def _configuration_of(self, checksum: str) -> str:
        """What a worker with this checksum has read; empty where that is not known."""
        number = self.releases.current_number()
        if number is None or not checksum or self.releases.checksum(number) != checksum:
            return ""
        return self._current_configuration()

    async def _leave_states(self, lines: Sequence[str]) -> bool:
        """Whether it was written. A disk that takes nothing must not keep an earlier release from coming back: servers
        begin UP then."""
        try:
            text = "\n".join(lines) + "\n"
            await asyncio.to_thread(write_atomically, self.settings.server_states, text.encode())
        except OSError as error:
            log.warning("the states of servers could not be written: %s", error.strerror or error)
            return False
        return True

    async def _reload_haproxy(self, checksum: str, *, again: bool = False) -> None:
        """Have HAProxy read the current release, unless it runs it (it may just have started with it)."""
        patience = self._of_haproxy(RELOAD_PATIENCE)
        while True:
            before = await self.cli.processes(patience=START_PATIENCE)
            if not again and await self._has_loaded(checksum, before):
                return None
            reading = await Reading.of(self.cli, before)
            answer = await self.cli.reload()
            if STILL_LOADING not in answer:
                return await self._wait_for_a_new_worker(reading, answer)
            if patience.is_over and not await end_loading_worker(self.cli):
                words = "HAProxy did not start a new worker: it is still loading the configuration before."
                raise StillLoading(words, step="reload", evidence=answer)
            await asyncio.sleep(0.02)

    async def _has_loaded(self, checksum: str, now: Processes) -> bool:
        """Whether the newest worker runs it, and no other loads something else."""
        with suppress(EngineUnavailable):
            info = await self.cli.info()
            is_newest = int(info.get("pid", 0)) in now.workers and not now.failed
            return is_newest and info.get("description") == f"guardpanel {checksum}"
        return False

    async def _wait_for_a_new_worker(self, reading: Reading, answer: str) -> None:
        """`answer`: the master's to the reload. DeploymentFailed where none comes."""
        before = reading.before
        patience = Patience(RELOAD_PATIENCE, reading.processes)
        while True:
            try:
                now = await self.cli.processes()
            except EngineUnavailable as error:
                reading.answers = False
                if reading.is_gone:
                    words = "HAProxy ended while it loaded the new configuration."
                    raise DeploymentFailed(words, step="reload", evidence=answer) from error
            else:
                reading.answers = True
                if _has_new_worker(before, now) and await newest_worker(self.cli) in now.workers:
                    return
                if now.failed > before.failed:
                    said = answer or await self.haproxy.complaints(self.releases.link)
                    raise DeploymentFailed(
                        "HAProxy refused to load the new configuration.", step="reload", evidence=said
                    )
            if patience.is_over:
                await end_loading_worker(self.cli)
                raise DeploymentFailed("HAProxy did not start a new worker.", step="reload", evidence=answer)
            await asyncio.sleep(0.01)

    async def runs(self, checksum: str, patience: float = START_PATIENCE) -> bool:
        """Whether HAProxy's newest worker has read this configuration; False if it does not answer in time."""
        ends = monotonic() + patience
        while True:
            try:
                return (await self.cli.info()).get("description") == f"guardpanel {checksum}"
            except EngineUnavailable:
                if monotonic() >= ends:
                    return False
                await asyncio.sleep(0.05)

    async def _tidy(self) -> None:
        """Until no old worker is left: saves that follow each other share a pass. Engines that do not answer, and faults of
        theirs, wait for the next save."""
        while True:
            await asyncio.sleep(TIDY_EVERY)
            try:
                if not await self.drop_unused():
                    return
            except Problem as problem:
                log.warning("old applications stay in the WAF agent for now: %s", problem.message)
                return


def _has_new_worker(before: Processes, now: Processes) -> bool:
    return bool(now.workers) and not set(now.workers) & set(before.workers) and now.failed == 0
