"""Servers' weights, maintenance and addresses in the running HAProxy, without a reload: changed, read back, and compared with the
release.

`set server … weight` and `set server … state` say nothing if they worked (Management Guide §9.3). What they did is read from
`show servers state`.
"""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import NamedTuple, Self

from guardpanel.bundle import SERVERS
from guardpanel.engines.differences import Drift, Place
from guardpanel.engines.files import content_of
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.haproxy.server_states import is_of_row
from guardpanel.engines.releases import Releases
from guardpanel.engines.runtime.map_drift import BY_RUNTIME_API
from guardpanel.engines.runtime.swapping import NotSwapped
from guardpanel.engines.servers.configured import Key
from guardpanel.engines.servers.handover import Row, place_of, rows_in
from guardpanel.listen_addresses import host_and_port

MOST = 50
"Servers in one save. A reload changes more of them in less time."

SHOWN = 5
"Servers that differ. Whoever changed one of them often changed all."

FORCED_MAINTENANCE, FORCED_DRAIN = 0x01, 0x08
"Bits of srv_admin_state: SRV_ADMF_FMAINT and SRV_ADMF_FDRAIN of HAProxy's server-t.h. Others come of names and agents."

NO_ADDRESS = "-"
"srv_addr of a server whose name had none when HAProxy started."

STATES = {FORCED_MAINTENANCE: "maint", FORCED_DRAIN: "drain"}


class LiveServer(NamedTuple):
    weight: str
    state: str
    "`ready`, `maint` or `drain`, as `set server … state` has it."
    address: str = ""
    "With its port. Empty in a file if it can't change at run time."

    @property
    def takes_requests(self) -> bool:
        return self.state == "ready" and self.weight != "0"

    @classmethod
    def of(cls, row: Row) -> Self:
        forced = int(row["srv_admin_state"]) & (FORCED_MAINTENANCE | FORCED_DRAIN)
        return cls(row["srv_uweight"], STATES.get(forced, "maint" if forced else "ready"), place_of(row))


def parsed(content: bytes) -> dict[Key, LiveServer]:
    """The file of a release (bundle.SERVERS). Raises ValueError for another."""
    states = {}
    for line in content.decode().splitlines():
        name, weight, state, *address = line.split(" ")
        backend, _, server = name.partition("/")
        states[backend, server] = LiveServer(weight, state, *address)
    return states


def _differing(before: bytes, after: bytes) -> tuple[dict[Key, LiveServer], dict[Key, LiveServer]]:
    """The servers of the lines that only one of two files has: as they were, and as they are to be."""
    old, new = ({*content.splitlines(keepends=True)} for content in (before, after))
    return parsed(b"".join(old - new)), parsed(b"".join(new - old))


def _is_out(row: Row | None) -> bool:
    return row is not None and LiveServer.of(row).state != "ready"


class ServerSwapper:
    def __init__(self, cli: MasterCli) -> None:
        self.cli = cli

    async def swap(self, before: bytes, after: bytes) -> None:
        """Change what differs, and read it back. Raises NotSwapped and EngineUnavailable."""
        was, changed = _differing(before, after)
        if len(changed) > MOST:
            raise NotSwapped(f"{len(changed):,} servers changed: a reload changes them in less time.")
        for (backend, server), state in changed.items():
            moves = state.address != was.get((backend, server), state).address
            if moves:  # Before it gets requests again.
                await self.cli.move_server(backend, server, *host_and_port(state.address))
            await self.cli.set_server(backend, server, state.weight, state.state)
            if moves and state.state == "ready":
                await self.cli.call_up(backend, server)
        live = rows_in(await self.cli.server_states({backend for backend, _ in changed}))
        if wrong := next(chain(differences(changed, live), _without_address(changed, was, live)), ""):
            raise NotSwapped(wrong)


def differences(wanted: Mapping[Key, LiveServer], live: Mapping[Key, Row]) -> Iterator[str]:
    """In a sentence each. What HAProxy does not know is reported otherwise."""
    for (backend, server), state in wanted.items():
        row = live.get((backend, server))
        if row is None:
            continue
        has = LiveServer.of(row)
        if has.weight != state.weight:
            yield f"Server {server} of {backend} has weight {has.weight} in HAProxy, not {state.weight}."
        if has.state != state.state:
            yield f"Server {server} of {backend} is in state {has.state} in HAProxy, not {state.state}."
        if state.address not in {"", has.address}:
            yield f"Server {server} of {backend} has address {has.address} in HAProxy, not {state.address}."


def _without_address(
    changed: Mapping[Key, LiveServer], was: Mapping[Key, LiveServer], live: Mapping[Key, Row]
) -> Iterator[str]:
    """Servers that leave maintenance, and whose name has no address in HAProxy: only a reload gives them one."""
    for (backend, server), state in changed.items():
        returns = state.state == "ready" != was.get((backend, server), state).state
        if returns and live.get((backend, server), {}).get("srv_addr") == NO_ADDRESS:
            yield f"Server {server} of {backend} has no address in HAProxy yet."


class ServerInspector:
    def __init__(self, cli: MasterCli, releases: Releases) -> None:
        self.cli, self.releases = cli, releases

    async def inspect(self, number: int) -> list[Drift]:
        """What differs from the file of a release. Raises EngineUnavailable."""
        live = rows_in(await self.cli.server_states())
        return await asyncio.to_thread(self._compared, number, live)

    def _compared(self, number: int, live: Mapping[Key, Row]) -> list[Drift]:
        try:
            wanted = parsed(content_of(self.releases.root / str(number) / SERVERS))
        except (OSError, ValueError):
            return []  # Reported with the files, or there are no servers.
        # That one which takes requests was taken out by hand is reported by its name (services/truth/by_hand.py).
        out = {
            key
            for key, server in wanted.items()
            if server.takes_requests and is_of_row(*key) and _is_out(live.get(key))
        }
        wrong = list(differences({key: server for key, server in wanted.items() if key not in out}, live))
        return [Drift(Place.HAPROXY, f"{words} {BY_RUNTIME_API}") for words in wrong[:SHOWN]]
