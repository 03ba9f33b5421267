"""The map of banned networks: a file outside the releases, and the same in the running HAProxy.

The file comes first: a worker that starts meanwhile reads it. Its path is part of the configuration, its content is not.
"""

import asyncio
from pathlib import Path

from guardpanel.engines.files import content_of, sweep_drafts, write_atomically
from guardpanel.engines.haproxy.map_commands import MapCommands
from guardpanel.engines.runtime.map_swapping import MapSwapper, deciding, parsed

SOME = 5
"Entries that are looked up at a look, in turns."


def existing(path: Path) -> Path:
    """The file, empty if there is none: HAProxy does not start without it."""
    sweep_drafts(path)
    if not path.is_file():
        write_atomically(path, b"")
    return path


class BanMap:
    def __init__(self, path: Path, cli: MapCommands) -> None:
        self.path, self.cli = path, cli
        self._swapper = MapSwapper(cli)
        self._next = 0

    async def write(self, content: bytes) -> bytes:
        """Returns what the file had. Raises OSError."""
        return await asyncio.to_thread(self._write, content)

    async def tell(self, before: bytes, after: bytes) -> None:
        """Change the running map, and prove it. Raises NotSwapped and EngineUnavailable."""
        await self._swapper.swap(str(self.path), before, after)

    async def differs(self, content: bytes) -> bool:
        """Whether the running map is another one: by its count, and by some of its entries. Raises EngineUnavailable."""
        state = (await self.cli.map_states()).get(str(self.path))
        if state is None:
            return False  # Its configuration has none yet.
        if state.entries != content.count(b"\n"):
            return True
        entries = await asyncio.to_thread(parsed, content)
        networks = [*entries][self._next : self._next + SOME]
        self._next = self._next + SOME if self._next + SOME < len(entries) else 0
        for network in networks:
            address = network.partition("/")[0]
            if await self.cli.look_up(state.number, address) != deciding(entries, address):
                return True
        return False

    def _write(self, content: bytes) -> bytes:
        before = content_of(self.path) if self.path.is_file() else b""
        if before != content or not self.path.is_file():
            write_atomically(self.path, content)
        return before
