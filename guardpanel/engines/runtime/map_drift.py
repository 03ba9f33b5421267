"""Maps as HAProxy's newest worker has them: the Runtime API can change them independently of their files."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from guardpanel.bundle import JUDGING, SERVERS
from guardpanel.engines.differences import Drift, Place, differing
from guardpanel.engines.files import content_of
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.releases import Releases
from guardpanel.engines.runtime import map_replacing
from guardpanel.engines.runtime.map_swapping import deciding, parsed

SOME = 3
"Entries of a list that are asked for in each look, in turns: there may be hundreds of thousands."


class MapInspector:
    def __init__(self, cli: MasterCli, releases: Releases) -> None:
        self.cli, self.releases = cli, releases
        self._parsed: dict[str, tuple[str, Mapping[str, str]]] = {}
        "By file: its hash, and its entries."
        self._next = 0

    async def inspect(self, number: int) -> list[Drift]:
        """What differs from the files of a release. Raises EngineUnavailable."""
        lists = await asyncio.to_thread(self.releases.data, number)
        secret = await asyncio.to_thread(self.releases.secrets, number)
        drifts = []
        for at, name in sorted((await self.cli.maps()).items(), key=lambda entry: entry[1]):
            if name.startswith("/") or name in lists.keys() - JUDGING:
                continue  # Bans have a loop of their own.
            text = await self.cli.map_entries(at)
            if drift := await asyncio.to_thread(self._map, number, name, text):
                drifts.append(replace(drift, lines=()) if name in secret else drift)
        networks = ((name, digest) for name, digest in lists.items() if name not in {SERVERS, *JUDGING})
        return drifts + [drift for name, digest in networks if (drift := await self._list(number, name, digest))]

    def _map(self, number: int, name: str, listed: str) -> Drift | None:
        path = self.releases.root / str(number) / name
        if not path.is_file():
            return None  # Reported with the files.
        want = sorted(line for line in path.read_text("utf-8", "replace").split("\n") if line)
        have = sorted(map_replacing.entries(listed))
        if want == have:
            return None
        lines = differing("\n".join(want).encode(), "\n".join(have).encode())
        return Drift(Place.HAPROXY, f"{name} in HAProxy’s memory differs from the file. {BY_RUNTIME_API}", lines)

    async def _list(self, number: int, name: str, digest: str) -> Drift | None:
        """Its entries are counted, and some of them looked up."""
        state = (await self.cli.map_states()).get(name)
        entries = await asyncio.to_thread(self._entries, number, name, digest)
        if state is None or entries is None:
            return None  # Reported otherwise.
        if state.entries != len(entries):
            counts = f"HAProxy has {state.entries:,} entries of {name}, and the file has {len(entries):,}."
            return Drift(Place.HAPROXY, f"{counts} {BY_RUNTIME_API}")
        self._next = self._next + SOME if self._next + SOME < len(entries) else 0
        for network in islice(entries, self._next, self._next + SOME):
            address = network.partition("/")[0]
            if await self.cli.look_up(state.number, address) != deciding(entries, address):
                return Drift(Place.HAPROXY, f"{network} of {name} differs in HAProxy’s memory. {BY_RUNTIME_API}")
        return None

    def _entries(self, number: int, name: str, digest: str) -> Mapping[str, str] | None:
        known = self._parsed.get(name)
        if known is None or known[0] != digest:
            try:
                known = digest, parsed(content_of(self.releases.root / str(number) / name))
            except (OSError, ValueError):
                return None
            self._parsed[name] = known
        return known[1]


BY_RUNTIME_API = "It was probably changed through the Runtime API."
