"""Where addresses are from: files (.mmdb) that the settings name, or that come by URL or upload (`geo_downloads.py`), taken over
into HAProxy's maps (`geo_sources.py`)."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from guardpanel.access import geo_files
from guardpanel.access.geo_files import GeoKind, NotReadable
from guardpanel.background import Background
from guardpanel.engines.haproxy.map_commands import MapCommands
from guardpanel.engines.runtime.outside_map import existing
from guardpanel.engines.runtime.swapping import NotSwapped
from guardpanel.errors import EngineUnavailable
from guardpanel.services.access.geo_sources import GeoSource, GeoStatus, copy_of
from guardpanel.settings import Settings

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
"Seconds between two looks at the files, and at HAProxy's maps."

FIELDS = {GeoKind.COUNTRY: "country_mode", GeoKind.NETWORK: "asn_mode"}
"Of a policy."


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
                await self._tell(source)

    async def take(self, source: GeoSource, file: Path, *, may_shrink: bool = False) -> None:
        """Take a file over in place of the data in use, and tell HAProxy. Raises NotReadable, Shrunk and OSError."""
        async with self._one:
            await source.take_over(file, least=0 if may_shrink else (source.total + 1) // 2)
            await source.remember()
            await self._tell(source)

    def of(self, kind: GeoKind) -> GeoSource:
        return next(source for source in self.sources if source.kind is kind)

    async def statuses(self) -> Mapping[GeoKind, GeoStatus]:
        return {source.kind: await asyncio.to_thread(source.status) for source in self.sources}

    async def _tell(self, source: GeoSource) -> None:
        try:
            await source.tell()
        except (EngineUnavailable, NotSwapped) as problem:
            log.debug("HAProxy does not have all of %s yet: %s", source.map.path, problem.message)


def where_from(directory: Path, kind: GeoKind, address: str) -> str | None:
    """`DE`, `AS64500` or `--`. None without data."""
    try:
        return geo_files.look_up(copy_of(directory, kind), kind, address)
    except (NotReadable, OSError):
        return None


def _absolute(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text else None
