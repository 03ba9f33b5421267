"""Where addresses are from: files of the operator's (.mmdb), taken over into HAProxy's maps as soon as they change.

A file is copied, read as a process of its own, and becomes a map outside the releases; then the running HAProxy is told, by a
transaction and without a reload, and asked whether it has it. What cannot be read changes nothing: the last good one stays.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from guardpanel.access import geo_files
from guardpanel.access.geo_files import GeoKind, NotReadable
from guardpanel.background import Background
from guardpanel.engines.files import content_of, write_atomically
from guardpanel.engines.haproxy.map_commands import Line, MapCommands
from guardpanel.engines.processes.process import CPU_SECONDS, run
from guardpanel.engines.runtime.outside_map import OutsideMap, existing
from guardpanel.engines.runtime.swapping import NotSwapped
from guardpanel.errors import EngineUnavailable
from guardpanel.rendering import geo
from guardpanel.settings import Settings

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
"Seconds between two looks at the files, and at HAProxy's maps."

LARGEST_FILE = 256 * 1024 * 1024

MEMORY_KIB = 4 * 1024 * 1024
"Address space of the process that reads a file."

SOME = 5
"Networks that HAProxy is asked about at a look."

MAPS = {GeoKind.COUNTRY: geo.COUNTRIES, GeoKind.NETWORK: geo.NETWORKS}

FIELDS = {GeoKind.COUNTRY: "country_mode", GeoKind.NETWORK: "asn_mode"}
"Of a policy."

VARIABLES = {GeoKind.COUNTRY: "GUARDPANEL_GEO_COUNTRY_FILE", GeoKind.NETWORK: "GUARDPANEL_GEO_ASN_FILE"}

Stamp = tuple[int, int]
"A file's size and time of change, in ns: another stamp is another file."


@dataclass(frozen=True)
class GeoStatus:
    kind: GeoKind
    source: str
    "The operator's file. Empty: none is set."
    problem: str
    "Why the file could not be taken over. A sentence."
    database: str
    built_at: datetime | None
    "Of what is in use. None: nothing is."
    networks: int

    @property
    def variable(self) -> str:
        return VARIABLES[self.kind]


class GeoSource:
    """One kind of data: the operator's file, our copy of it, and HAProxy's map."""

    def __init__(self, kind: GeoKind, source: Path | None, directory: Path, cli: MapCommands) -> None:
        self.kind, self.source = kind, source
        self.map = OutsideMap(directory / MAPS[kind], cli)
        self.copy = copy_of(directory, kind)
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
            is_other = stamp != self._copied()
            if is_other:
                await self._take_over(stamp)
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
        return GeoStatus(self.kind, source, self.problem, database, built_at, self.total)

    async def tell(self) -> None:
        """HAProxy, if it has another map. Raises EngineUnavailable and NotSwapped."""
        expected = _expected(self.lines)
        if await self.map.decides_otherwise(self.total, expected):
            await self.map.tell(b"", await asyncio.to_thread(content_of, self.map.path))

    async def _take_over(self, stamp: Stamp) -> None:
        draft, target = (path.with_name(f"{path.name}.new") for path in (self.copy, self.map.path))
        try:
            await asyncio.to_thread(_copy, self.source or Path(), draft, stamp)
            await _read(self.kind, draft, target)
            await self.map.write(await asyncio.to_thread(content_of, target))
            draft.rename(self.copy)
        finally:
            draft.unlink(missing_ok=True)
            target.unlink(missing_ok=True)

    def _copied(self) -> Stamp | None:
        """The file that the copy is of, if there is a map of it."""
        return _stamp(self.copy) if self.copy.is_file() and self.map.path.stat().st_size else None

    def _some(self) -> tuple[int, Sequence[str]]:
        lines = content_of(self.map.path).decode().splitlines()
        return len(lines), lines[:: max(1, len(lines) // SOME)][:SOME]


class Geo:
    """Both kinds of data."""

    def __init__(self, sources: Sequence[GeoSource]) -> None:
        self.sources = sources
        self._one = asyncio.Lock()

    @classmethod
    async def opened(cls, settings: Settings, cli: MapCommands) -> Self:
        """With their maps, before HAProxy starts."""
        directory = settings.geo_dir
        files = {GeoKind.COUNTRY: settings.geo_country_file, GeoKind.NETWORK: settings.geo_asn_file}
        here = cls([GeoSource(kind, _absolute(file), directory, cli) for kind, file in files.items()])
        for source in here.sources:
            await asyncio.to_thread(existing, source.map.path)
            await source.look()
            await source.remember()
        return here

    def follow(self, background: Background) -> None:
        """Runs as long as the panel."""
        background.keep("countries", self.look, EVERY_SECONDS)

    async def look(self) -> None:
        """Take over files that have changed, and tell HAProxy what it lacks."""
        async with self._one:
            for source in self.sources:
                if await source.look():
                    await source.remember()
                try:
                    await source.tell()
                except (EngineUnavailable, NotSwapped) as problem:
                    log.debug("HAProxy does not have all of %s yet: %s", source.map.path, problem.message)

    async def statuses(self) -> Mapping[GeoKind, GeoStatus]:
        return {source.kind: await asyncio.to_thread(source.status) for source in self.sources}


def copy_of(directory: Path, kind: GeoKind) -> Path:
    """The file that is in use."""
    return (directory / MAPS[kind]).with_suffix(".mmdb")


def where_from(directory: Path, kind: GeoKind, address: str) -> str | None:
    """`DE`, `AS64500` or `--`. None without data."""
    try:
        return geo_files.look_up(copy_of(directory, kind), kind, address)
    except (NotReadable, OSError):
        return None


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


def _copy(source: Path, target: Path, stamp: Stamp) -> None:
    size, changed = stamp
    if size > LARGEST_FILE:
        raise NotReadable(f"It is larger than {LARGEST_FILE >> 20} MiB")
    write_atomically(target, content_of(source))
    os.utime(target, ns=(changed, changed))


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _absolute(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text else None


def _expected(lines: Sequence[str]) -> dict[str, Line | None]:
    """What HAProxy should answer to the first address of each."""
    pairs = [line.split(" ", 1) for line in lines]
    return {network.partition("/")[0]: (network, value) for network, value in pairs}
