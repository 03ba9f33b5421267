"""Workers that a reload leaves with their open connections.

Each of these connections gets one more answer from them before it is closed: one that is closed while idle would lose a request
that is on its way (`option idle-close-on-response`). Where only policies differ, old workers learn the new ones by their map of
virtual hosts, so that this answer, too, is given by what is live.
"""

import asyncio
import logging
import re
from collections.abc import Mapping

from guardpanel.bundle import BINDINGS, JUDGING
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.releases import Release, Releases
from guardpanel.engines.runtime import map_replacing
from guardpanel.errors import Problem

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 2.0
"Seconds for all old workers. One that hangs must not delay a save."

BINDING = re.compile(r"^0x\S+ \S+ [^;\s]+;([^;\s]+);", re.MULTILINE)
"An entry of the map of virtual hosts: its backend, its application."


class OldWorkers:
    def __init__(self, cli: MasterCli, releases: Releases) -> None:
        self.cli, self.releases = cli, releases

    async def follow(self, release: Release) -> None:
        """Have those judge by this release that differ from it in policies only. Raises nothing: they end soon."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                for pid in (await self.cli.processes()).old_workers:
                    await self._follow(pid, release)
        except (Problem, TimeoutError) as problem:
            log.info("old workers of HAProxy answer by their own policies: %s", problem)

    async def applications(self) -> set[str]:
        """Those that workers ask for, the newest included: a panel that was killed may have left it its map. Raises
        EngineUnavailable."""
        named: set[str] = set()
        processes = await self.cli.processes()
        for pid in (*processes.workers, *processes.old_workers):
            state = (await self.cli.map_states(pid)).get(BINDINGS)
            if state is not None:
                named |= set(BINDING.findall(await self.cli.map_entries(state.number, pid)))
        return named

    async def _follow(self, pid: int, release: Release) -> None:
        checksum = (await self.cli.info(pid)).get("description", "").removeprefix("guardpanel ")
        wanted = await asyncio.to_thread(self._bindings, checksum, release)
        if wanted:
            await map_replacing.replace(self.cli, BINDINGS, wanted, pid)

    def _bindings(self, checksum: str, release: Release) -> bytes:
        """The release's map, if nothing else is new to a worker with this checksum, whose release may be gone."""
        numbers = (number for number in reversed(self.releases.numbers()) if self.releases.checksum(number) == checksum)
        number = next(numbers, None) if checksum else None
        if number is None:
            return b""
        was, now = self.releases.files(number), self.releases.files(release.number)
        if _fixed(was, checksum) != _fixed(now, release.checksum):
            return b""
        return now[BINDINGS]


def _fixed(files: Mapping[str, bytes], checksum: str) -> Mapping[str, bytes]:
    """What a running worker cannot learn, without the checksum and its beginning, which name each configuration."""
    names = [checksum.encode(), checksum[:12].encode()]
    kept = {name: content for name, content in files.items() if name not in JUDGING}
    return {name: content.replace(names[0], b"").replace(names[1], b"") for name, content in kept.items()}
