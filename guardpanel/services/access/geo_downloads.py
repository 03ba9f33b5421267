"""Data about addresses that comes by a URL or an upload. The last good data stays whatever happens to what comes after it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from guardpanel.access import geo_packing
from guardpanel.access.downloading import download
from guardpanel.access.fetching import DownloadFailed
from guardpanel.access.geo_files import GeoKind, NotReadable
from guardpanel.background import Background
from guardpanel.engines.files import write_atomically
from guardpanel.errors import Conflict, FieldError, Invalid, NeedsConfirmation, StorageFailed
from guardpanel.feed_reach import FeedReach
from guardpanel.models import GeoData
from guardpanel.services import geo_data
from guardpanel.services.access.geo import Geo
from guardpanel.services.access.geo_sources import GeoSource, Shrunk
from guardpanel.services.access.geo_states import GeoState
from guardpanel.services.saving.changes import Changes

log = logging.getLogger(__name__)

EVERY_SECONDS = 10.0
"Seconds between two looks at what is due."

LARGEST_DOWNLOAD = 64 * 1024 * 1024
"Bytes: it is in memory. Compressed, the largest files of countries have a third of them."

SMALLER = "Select “Save anyway” to use it all the same."


class GeoDownloads:
    def __init__(self, changes: Changes, geo: Geo, reach: FeedReach) -> None:
        self.changes, self.geo, self.reach = changes, geo, reach
        self._one = {kind: asyncio.Lock() for kind in GeoKind}

    def follow(self, background: Background) -> None:
        """Runs as long as the panel."""
        background.keep("country downloads", self.download_due, EVERY_SECONDS)

    async def download_due(self) -> None:
        row = await self._row()
        due = [
            source.kind
            for source in self.geo.sources
            if (url := url_in_use(row, source)) and source.state.is_due(url, row.interval)
        ]
        await asyncio.gather(*map(self.download, due))

    async def download(self, kind: GeoKind, *, may_shrink: bool = False) -> GeoState:
        """Now. What came of it is in the state. Raises Conflict (409) if no URL is used."""
        async with self._one[kind]:
            source = self.geo.of(kind)
            url = url_in_use(await self._row(), source)
            if not url:
                raise Conflict("This data does not come from a URL.")
            before = source.state
            try:
                downloaded = await download(url, before.marks(url), self.reach, largest=LARGEST_DOWNLOAD)
                if downloaded:
                    await self._take(source, downloaded.body, may_shrink=may_shrink)
            except (DownloadFailed, NotReadable, OSError) as problem:
                words = _words(problem)
                log.warning("the download of %s data failed: %s", kind.value, words)
                after = before.after_failure(url, words, has_shrunk=isinstance(problem, Shrunk))
            else:
                after = before.after(url, downloaded.marks if downloaded else None)
            await source.note(after)
            return after

    async def upload(self, kind: GeoKind, sent: AsyncIterator[bytes], who: str, *, may_shrink: bool = False) -> None:
        """A file, in pieces. Raises Invalid (422), Conflict (409) if the data comes in another way, NeedsConfirmation (409) if it
        has less than half of the networks, and StorageFailed (507)."""
        async with self._one[kind]:
            source = self.geo.of(kind)
            _must_be_uploaded(source, url_in_use(await self._row(), source))
            draft = source.copy.with_suffix(".upload")
            try:
                await _write(draft, sent)
                await self.geo.take(source, draft, may_shrink=may_shrink)
            except Shrunk as problem:
                raise NeedsConfirmation(f"{problem}.", {"file": FieldError(f"{problem}. {SMALLER}")}) from problem
            except NotReadable as problem:
                raise Invalid.at("file", f"{problem}.") from problem
            except OSError as problem:
                raise StorageFailed(_words(problem)) from problem
            finally:
                draft.unlink(missing_ok=True)
            await source.note(GeoState(uploaded_by=who, uploaded_at=datetime.now(UTC)))

    async def _take(self, source: GeoSource, body: bytes, *, may_shrink: bool) -> None:
        draft = source.copy.with_suffix(".download")
        try:
            await asyncio.to_thread(write_atomically, draft, body)
            await self.geo.take(source, draft, may_shrink=may_shrink)
        finally:
            draft.unlink(missing_ok=True)

    async def _row(self) -> GeoData:
        async with self.changes.database.read() as session:
            return await geo_data.find(session)


def url_in_use(row: GeoData, source: GeoSource) -> str:
    """Empty: none. A file that the settings name comes first."""
    if source.source:
        return ""
    return row.country_url if source.kind is GeoKind.COUNTRY else row.network_url


async def _write(path: Path, pieces: AsyncIterator[bytes]) -> None:
    size = 0
    with path.open("wb") as file:
        async for piece in pieces:
            size += len(piece)
            if size > geo_packing.LARGEST_FILE:
                raise geo_packing.too_large()
            await asyncio.to_thread(file.write, piece)
    if not size:
        raise NotReadable("It is empty")


def _words(problem: Exception) -> str:
    """A sentence."""
    if isinstance(problem, DownloadFailed):
        return problem.message
    if isinstance(problem, OSError):
        return f"It can’t be stored: {problem.strerror or problem}."
    return f"{problem}."


def _must_be_uploaded(source: GeoSource, url: str) -> None:
    if source.source:
        raise Conflict(f"This data comes from {source.source} ({source.variable}).")
    if url:
        raise Conflict("This data comes from a URL. Remove the URL first.")
