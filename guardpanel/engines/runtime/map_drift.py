"""Maps as HAProxy's newest worker has them: the Runtime API can change them independently of their files."""

import asyncio
from dataclasses import replace
from hashlib import sha256

from guardpanel.access import lines
from guardpanel.bundle import JUDGING, SERVERS
from guardpanel.engines.differences import Drift, Place, differing
from guardpanel.engines.files import content_of
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.releases import Releases
from guardpanel.engines.runtime import map_replacing

SOME = 3
"Entries of a list that are asked for in each look, in turns: there may be hundreds of thousands."


class MapInspector:
    def __init__(self, cli: MasterCli, releases: Releases) -> None:
        self.cli, self.releases = cli, releases
        self._read: dict[str, tuple[str, bytes]] = {}
        "By file: its hash, and its lines."
        self._next: dict[str, int] = {}
        "By file: the byte from which entries are asked for next."

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
        words = f"{name} in HAProxy’s memory differs from the file. {BY_RUNTIME_API}"
        return Drift(Place.HAPROXY, words, differing("\n".join(want).encode(), "\n".join(have).encode()))

    async def _list(self, number: int, name: str, digest: str) -> Drift | None:
        """Its entries are counted, and some of them looked up."""
        state = (await self.cli.map_states()).get(name)
        content = await asyncio.to_thread(self._content, number, name, digest)
        if state is None or content is None:
            return None  # Reported otherwise.
        if state.entries != (total := content.count(b"\n")):
            counts = f"HAProxy has {state.entries:,} entries of {name}, and the file has {total:,}."
            return Drift(Place.HAPROXY, f"{counts} {BY_RUNTIME_API}")
        networks, self._next[name] = lines.some(content, self._next.get(name, 0), SOME)
        for network in networks:
            address = network.partition("/")[0]
            if await self.cli.look_up(state.number, address) != lines.deciding(content, address):
                return Drift(Place.HAPROXY, f"{network} of {name} differs in HAProxy’s memory. {BY_RUNTIME_API}")
        return None

    def _content(self, number: int, name: str, digest: str) -> bytes | None:
        """None if the file is not what was staged."""
        known = self._read.get(name)
        if known is None or known[0] != digest:
            try:
                known = digest, content_of(self.releases.root / str(number) / name)
            except OSError:
                return None
            if sha256(known[1]).hexdigest() != digest:
                return None
            self._read[name] = known
        return known[1]


BY_RUNTIME_API = "It was probably changed through the Runtime API."
