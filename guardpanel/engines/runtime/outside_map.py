"""Maps outside the releases, and the same in the running HAProxy: banned networks, and lists that feeds fill.

The file comes first: a worker that starts meanwhile reads it. Its path is part of the configuration, its content is not.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from guardpanel.access import lines
from guardpanel.engines.files import content_of, make_empty, sweep_drafts, write_atomically
from guardpanel.engines.haproxy.map_commands import Line, MapCommands
from guardpanel.engines.runtime.map_swapping import MapSwapper

SOME = 5
"Entries that are looked up at a look, in turns."


def existing(path: Path) -> Path:
    """The file, empty if there is none: HAProxy does not start without it."""
    sweep_drafts(path)
    make_empty(path)
    return path


class OutsideMap:
    def __init__(self, path: Path, cli: MapCommands) -> None:
        self.path, self.cli = path, cli
        self._swapper = MapSwapper(cli)
        self._next = 0
        "The byte of the file from which entries are looked up next."
        self.writes = 0
        "How often the file was written: whoever wrote it last knows what it has."

    async def write(self, content: bytes) -> bytes:
        """Returns what the file had. Raises OSError."""
        self.writes += 1
        return await asyncio.to_thread(self._write, content)

    async def tell(self, before: bytes, after: bytes) -> None:
        """Change the running map, and prove it. Raises NotSwapped and EngineUnavailable."""
        await self._swapper.swap(str(self.path), before, after)

    async def differs(self, content: bytes) -> bool:
        """Whether the running map is another one: by its count, and by some of its entries. Raises EngineUnavailable."""
        networks, self._next = lines.some(content, self._next, SOME)
        addresses = (network.partition("/")[0] for network in networks)
        expected = {address: lines.deciding(content, address) for address in addresses}
        return await self.decides_otherwise(content.count(b"\n"), expected)

    async def decides_otherwise(self, total: int, expected: Mapping[str, Line | None]) -> bool:
        """Whether the running map has another number of entries, or decides otherwise about these addresses. Raises
        EngineUnavailable."""
        state = (await self.cli.map_states()).get(str(self.path))
        if state is None:
            return False  # Its configuration has none yet.
        if state.entries != total:
            return True
        for address, line in expected.items():
            if await self.cli.look_up(state.number, address) != line:
                return True
        return False

    def _write(self, content: bytes) -> bytes:
        make_empty(self.path)
        before = content_of(self.path)
        if before != content:
            write_atomically(self.path, content)
        return before


class OutsideMaps:
    """Of lists that feeds fill, by the list's id. No id is used twice, so a file that is left over is nobody else's."""

    def __init__(self, directory: Path, cli: MapCommands) -> None:
        self.directory, self.cli = directory, cli
        self._maps: dict[int, OutsideMap] = {}

    def of(self, list_id: int) -> OutsideMap:
        if list_id not in self._maps:
            self._maps[list_id] = OutsideMap(self.directory / f"{list_id}.map", self.cli)
        return self._maps[list_id]
