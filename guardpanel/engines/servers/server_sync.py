"""Keeps HAProxy informed about servers: by a file before its next worker starts, and by its command line between reloads."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from guardpanel.bundle import WITHOUT_KEYS, Bundle, NamedServer
from guardpanel.engines.files import content_of, write_atomically
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.haproxy.status import LONGEST
from guardpanel.engines.releases import ReleaseDamaged, Releases
from guardpanel.engines.servers import handover
from guardpanel.engines.servers.addresses import Addresses
from guardpanel.engines.servers.configured import Backends, ConfiguredServer, Key, servers_in
from guardpanel.engines.servers.handover import Row
from guardpanel.engines.servers.names import Names, must_have_addresses
from guardpanel.errors import EngineUnavailable
from guardpanel.settings import Settings

log = logging.getLogger(__name__)

FIRST_LOOK = 1.0
"Seconds that a deployment waits for names that never had an address. They are looked up again soon."

AT_ONCE = 32
"Names that are looked up concurrently while nobody waits."


class ServerSync:
    def __init__(self, settings: Settings, cli: MasterCli, releases: Releases) -> None:
        self.settings, self.cli, self.releases = settings, cli, releases
        self.names = Names()
        self.addresses = Addresses(settings.server_addresses)
        self._handed: tuple[str, Mapping[Key, Row]] = ("", {})
        "What the worker with this process number was told about servers when it started."
        self._synced = b""
        "What the file of states has for good: it is not written again."

    @asynccontextmanager
    async def handing_over(self, configuration: str, checksum: str) -> AsyncIterator[None]:
        """Wraps a reload: the next worker learns what the previous one knows."""
        pid, rows = await self._hand_over(configuration, checksum)
        yield
        await self._note_handed(pid, rows)

    @asynccontextmanager
    async def leaving(self, configuration: str) -> AsyncIterator[None]:
        """Wraps what takes as long as `leave_addresses`, which ends before anything else writes that file."""
        leaving = asyncio.create_task(self.leave_addresses(configuration))
        try:
            yield
        finally:
            await leaving

    async def check_names(self, servers: Collection[NamedServer], bundle: Bundle) -> None:
        """The rendered configuration tolerates names without an address, since a resolver failure must not prevent a reload.
        Therefore the strict check is separate, and limited to the servers being saved. Known addresses are not looked up again,
        so a save does not wait for DNS."""
        known = self.addresses.all()
        unresolved = [server for server in servers if server.host not in known]
        resolutions = await self.names.find({server.host for server in unresolved})
        must_have_addresses(unresolved, resolutions, bundle, (*self.settings.http_binds, *self.settings.https_binds))
        self.addresses.learn(resolutions)

    async def follow(self, lock: asyncio.Lock) -> frozenset[str]:
        """Look up the names of all servers, and update changed addresses in HAProxy. Returns the names that need a reload,
        because their servers have no address yet or refused the new one. `lock` keeps saves from running."""
        configuration = await asyncio.to_thread(self._current_configuration)
        if not configuration:
            return frozenset()  # Without a configuration the names are unknown, so none is forgotten.
        backends = await asyncio.to_thread(servers_in, configuration)
        named = [server for servers in backends.values() for server in servers if server.is_name]
        names = sorted({server.host for server in named})
        for at in range(0, len(names), AT_ONCE):
            self.addresses.learn(await self.names.find(names[at : at + AT_ONCE]))
        async with lock:
            if await asyncio.to_thread(self._current_configuration) != configuration:
                return frozenset()  # A save happened in between.
            await asyncio.to_thread(self.addresses.keep, names)
            return await self._tell_addresses(named, configuration) if named else frozenset()

    async def _tell_addresses(self, named: Sequence[ConfiguredServer], configuration: str) -> frozenset[str]:
        rows = handover.rows_in(await self.cli.server_states())
        self.addresses.take(handover.addresses_in(rows, {"": named}))
        known = self.addresses.all()
        late, has_changed = set[str](), False
        for server in named:
            row, address = rows.get((server.backend, server.name)), known.get(server.host)
            if row is None or address is None or row["srv_addr"] == address:
                continue
            if row["srv_addr"] == "-" or not await self.cli.set_address(server.backend, server.name, address):
                late |= {server.host} if server.enabled else set()
                continue
            log.info("%s/%s (%s) now resolves to %s", server.backend, server.name, server.host, address)
            has_changed = True
        if has_changed:
            await self.leave_addresses(configuration)
        return frozenset(late)

    async def leave_addresses(self, configuration: str) -> None:
        """For a HAProxy that starts later: the names' addresses, and their servers' weights, but no states, which would be
        outdated."""
        await asyncio.to_thread(self._leave, configuration)

    def _leave(self, configuration: str) -> None:
        new = servers_in(configuration)
        self._leave_states(handover.state_lines({}, {}, new, handed={}, addresses=self.addresses.all()))
        with suppress(OSError):  # The check of the disk reports it.
            self.addresses.keep({server.host for servers in new.values() for server in servers if server.is_name})

    async def _note_handed(self, pid: str, rows: Mapping[Key, Row]) -> None:
        """If a worker other than `pid` runs, it has read these rows. Without a reload, the earlier ones remain valid."""
        with suppress(EngineUnavailable):
            now = (await self.cli.info()).get("pid", "")
            if now != pid:
                self._handed = now, rows

    async def _hand_over(self, configuration: str, checksum: str) -> tuple[str, Mapping[Key, Row]]:
        """Write what the newest worker knows about servers for the next one. Otherwise servers start UP.

        Returns the newest worker's process number and what was written, which is nothing if the disk cannot be written.
        """
        new = await asyncio.to_thread(servers_in, configuration)
        known = self.addresses.all()
        unknown = {
            server.host for servers in new.values() for server in servers if server.is_name and server.host not in known
        }
        self.addresses.learn(await self.names.find(unknown, FIRST_LOOK))
        try:
            async with asyncio.timeout(LONGEST):
                info = await self.cli.info()
                ran, pid = info.get("description", "").removeprefix("guardpanel "), info.get("pid", "")
                text = await self.cli.server_states()
        except (EngineUnavailable, TimeoutError):
            ran = pid = text = ""
        live = configuration if ran == checksum else await asyncio.to_thread(self._configuration_of, ran)
        lines = await asyncio.to_thread(self._states, servers_in(live), new, pid, text)
        is_written = await asyncio.to_thread(
            self._leave_states, lines, sync=False
        )  # Only for the worker that starts now.
        return pid, handover.rows_in("\n".join(lines)) if is_written else {}

    def _states(self, live: Backends, new: Backends, pid: str, text: str) -> list[str]:
        before = handover.in_place(handover.rows_in(text), live) if live else {}
        handed = self._handed[1] if self._handed[0] == pid else {}
        self.addresses.take(handover.addresses_in(before, live))
        return handover.state_lines(before, live, new, handed=handed, addresses=self.addresses.all())

    def _leave_states(self, lines: Sequence[str], *, sync: bool = True) -> bool:
        """Whether it was written. A full disk must not prevent a rollback: servers start UP then."""
        try:
            self._write_states(("\n".join(lines) + "\n").encode(), sync=sync)
        except OSError as error:
            log.warning("cannot write the state of servers: %s", error.strerror or error)
            return False
        return True

    def _write_states(self, states: bytes, *, sync: bool) -> None:
        path = self.settings.server_states
        with suppress(OSError):
            if states == self._synced == content_of(path):
                return
        self._synced = b""
        write_atomically(path, states, sync=sync)
        self._synced = states if sync else b""

    def _current_configuration(self) -> str:
        """HAProxy's configuration in the current release. Empty if there is none or it was modified."""
        number = self.releases.current_number()
        if number is not None:
            with suppress(OSError, ReleaseDamaged):
                return content_of(self.releases.open(number, WITHOUT_KEYS).path / "haproxy.cfg").decode()
        return ""

    def _configuration_of(self, checksum: str) -> str:
        """The configuration of a worker with this checksum. Empty if unknown."""
        number = self.releases.current_number()
        if number is None or not checksum or self.releases.checksum(number) != checksum:
            return ""
        return self._current_configuration()
