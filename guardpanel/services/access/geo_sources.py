"""One kind of data about addresses: the file that the settings name, what is in use, and HAProxy's map of it.

A file is copied, read as a process of its own, and becomes a map outside the releases; then the running HAProxy is told, by a
transaction and without a reload, and asked whether it has it. What cannot be read changes nothing: the last good one stays.
"""

import asyncio
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from guardpanel.access import geo_files
from guardpanel.access.geo_files import GeoKind, NotReadable
from guardpanel.access.geo_packing import unpack
from guardpanel.engines.files import content_of
from guardpanel.engines.haproxy.map_commands import Line, MapCommands
from guardpanel.engines.processes.process import CPU_SECONDS, run
from guardpanel.engines.runtime.outside_map import OutsideMap
from guardpanel.rendering import geo
from guardpanel.services.access.geo_states import GeoState, Stamp

log = logging.getLogger(__name__)

MEMORY_KIB = 4 * 1024 * 1024
"Address space of the process that reads a file."

SOME = 5
"Networks that HAProxy is asked about at a look."

MAPS = {GeoKind.COUNTRY: geo.COUNTRIES, GeoKind.NETWORK: geo.NETWORKS}

VARIABLES = {GeoKind.COUNTRY: "GUARDPANEL_GEO_COUNTRY_FILE", GeoKind.NETWORK: "GUARDPANEL_GEO_ASN_FILE"}


class Shrunk(NotReadable):
    """It has less than half of the networks."""


@dataclass(frozen=True)
class GeoStatus:
    kind: GeoKind
    source: str
    "The file that the settings name. Empty: none."
    problem: str
    "Why that file could not be taken over. A sentence."
    state: GeoState
    database: str
    built_at: datetime | None
    "Of what is in use. None: nothing is."
    networks: int

    @property
    def variable(self) -> str:
        return VARIABLES[self.kind]


class GeoSource:
    """One kind of data: the file that the settings name, our copy of what is in use, and HAProxy's map."""

    def __init__(self, kind: GeoKind, source: Path | None, directory: Path, cli: MapCommands) -> None:
        self.kind, self.source = kind, source
        self.map = OutsideMap(directory / MAPS[kind], cli)
        self.copy = copy_of(directory, kind)
        self.state = GeoState.read(self._state_file)
        self.problem = ""
        self.lines: Sequence[str] = ()
        "Some of the map's."
        self.total = 0
        self._failed: Stamp | None = None

    async def look(self) -> bool:
        """Take the file over if it is another one. Returns whether it was."""
        try:
            stamp = _stamp(self.source) if self.source else None
            if stamp is None or stamp == self._failed:
                return False
            is_other = stamp != self.state.stamp or not (self.copy.is_file() and self.map.path.stat().st_size)
            if is_other and self.source:
                await self.take_over(self.source)
                await self.note(GeoState(stamp=stamp))
        except NotReadable as error:
            self._failed = stamp
            self.problem = f"{self.source} can’t be used. {error}."
            return False
        except OSError as error:
            self.problem = f"{self.source} can’t be read: {error.strerror or error}."
            return False
        self._failed, self.problem = None, ""
        return is_other

    async def remember(self) -> None:
        """What the map's file has."""
        self.total, self.lines = await asyncio.to_thread(self._some)

    def status(self) -> GeoStatus:
        try:
            known = geo_files.about(self.copy) if self.total else None
        except (NotReadable, OSError):
            known = None
        database, built_at = known or ("", None)
        source = str(self.source) if self.source else ""
        return GeoStatus(self.kind, source, self.problem, self.state, database, built_at, self.total)

    async def tell(self) -> None:
        """HAProxy, if it has another map. Raises EngineUnavailable and NotSwapped."""
        expected = _expected(self.lines)
        if await self.map.decides_otherwise(self.total, expected):
            await self.map.tell(b"", await asyncio.to_thread(content_of, self.map.path))

    async def take_over(self, source: Path, *, least: int = 0) -> None:
        """Into the map's file. Raises NotReadable, also with fewer networks than `least`, and OSError."""
        draft, target = (path.with_name(f"{path.name}.new") for path in (self.copy, self.map.path))
        try:
            await asyncio.to_thread(unpack, source, draft)
            await _read(self.kind, draft, target)
            lines = await asyncio.to_thread(content_of, target)
            total = lines.count(b"\n")
            if total < least:
                raise Shrunk(f"It has {total:,} networks, and the data in use has {self.total:,}")
            await self.map.write(lines)
            draft.rename(self.copy)
        finally:
            draft.unlink(missing_ok=True)
            target.unlink(missing_ok=True)

    async def note(self, state: GeoState) -> None:
        """What is known besides the data. If it can't be stored, it is known until the next start."""
        self.state = state
        try:
            await asyncio.to_thread(state.write, self._state_file)
        except OSError as error:
            log.warning("%s can’t be written: %s", self._state_file, error)

    @property
    def variable(self) -> str:
        return VARIABLES[self.kind]

    @property
    def _state_file(self) -> Path:
        return self.copy.with_suffix(".json")

    def _some(self) -> tuple[int, Sequence[str]]:
        lines = content_of(self.map.path).decode().splitlines()
        return len(lines), lines[:: max(1, len(lines) // SOME)][:SOME]


def copy_of(directory: Path, kind: GeoKind) -> Path:
    """The file that is in use."""
    return (directory / MAPS[kind]).with_suffix(".mmdb")


async def _read(kind: GeoKind, path: Path, target: Path) -> None:
    """Raises NotReadable."""
    command = [sys.executable, "-I", "-m", geo_files.__name__, kind.value, path, target]
    result = await run(command, cwd=path.parent, memory_kib=MEMORY_KIB)
    if result.code == 0:
        return
    if result.code == 1 and result.output and "\n" not in result.output:
        raise NotReadable(result.output[:300])
    log.warning("a process that read %s ended with %d: %s", path, result.code, result.output[-1000:])
    raise NotReadable(f"To read it failed: it is damaged, or needs more than {CPU_SECONDS} s or {MEMORY_KIB >> 20} GiB")


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _expected(lines: Sequence[str]) -> dict[str, Line | None]:
    """What HAProxy should answer to the first address of each."""
    pairs = [line.split(" ", 1) for line in lines]
    return {network.partition("/")[0]: (network, value) for network, value in pairs}
