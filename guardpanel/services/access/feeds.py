"""Feeds: lists that are filled from a URL, by schedule. What applies is in the database first, then in the list's map
(`feed_maps.py`). The last good download stays whatever happens to the next ones.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Self

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access import contents, parsing
from guardpanel.access.downloading import Download, download
from guardpanel.access.entries import Entries
from guardpanel.access.fetching import DownloadFailed
from guardpanel.access.parsing import Tell
from guardpanel.background import Background
from guardpanel.engines.runtime.outside_map import OutsideMaps
from guardpanel.errors import Conflict, Invalid, NotFound, Problem
from guardpanel.feed_reach import FeedReach
from guardpanel.models import AddressList, Feed
from guardpanel.models.access.address_list import ListKind
from guardpanel.models.access.feed import FilledFrom
from guardpanel.services.access import feed_states
from guardpanel.services.access.crowdsec import LOOK_SECONDS, CrowdSec
from guardpanel.services.access.feed_maps import FeedMaps
from guardpanel.services.access.feed_progress import Downloading, InProgress
from guardpanel.services.access.feed_states import Result
from guardpanel.services.access.list_texts import must_be_fit_to_deny, read_text
from guardpanel.services.access.lockout import doors, without_doors
from guardpanel.services.saving.changes import Changes

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
"Seconds between two looks at which feeds are due."

MEND_SECONDS = 10.0
"Seconds between two looks at HAProxy's maps."

AT_ONCE = 4
"Downloads. What they bring is read one after the other: half a million entries take a few hundred megabytes meanwhile."


class Feeds:
    def __init__(self, changes: Changes, maps: OutsideMaps, reach: FeedReach) -> None:
        self.changes, self.reach = changes, reach
        self.maps = FeedMaps(maps)
        self.crowdsec = CrowdSec(changes, self.maps)
        self._one: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        "By list: whoever downloads it, or accepts what was downloaded."
        self._begun: dict[int, asyncio.Task[None]] = {}
        "By list: downloads because they were due."
        self._some = asyncio.Semaphore(AT_ONCE)
        self._reading = asyncio.Lock()
        self.progress = InProgress()

    @classmethod
    async def opened(cls, changes: Changes, maps: OutsideMaps, reach: FeedReach) -> Self:
        """With the lists' files, before HAProxy starts."""
        feeds = cls(changes, maps, reach)
        for row, _ in await feeds._fed():
            try:
                await feeds.maps.open(row.id or 0, partial(feeds._current, row))
            except Problem as problem:  # What the file has still applies. `mend` reports it.
                log.warning("list %d is as its file has it: %s", row.id, problem.message)
        return feeds

    def follow(self, background: Background) -> None:
        """Runs as long as the panel."""
        background.keep("feeds", lambda: self.begin_due(background), EVERY_SECONDS)
        background.keep("feed maps", self.mend, MEND_SECONDS)
        background.keep("CrowdSec", lambda: self.crowdsec.begin_due(self.reach, background), LOOK_SECONDS)

    async def begin_due(self, background: Background) -> list[asyncio.Task[None]]:
        """Begin to download what is due, each by itself: a slow one holds up no other, and begins again when it has ended."""
        due = [number for number in await self._due() if number not in self._begun]
        for number in due:
            self._begun[number] = background.once("feed downloads", partial(self._download, number))
            self._begun[number].add_done_callback(partial(self._end, number))
        return [self._begun[number] for number in due]

    async def download(self, list_id: int) -> Feed:
        """Now. What came of it is in the state. Raises NotFound (404), and Conflict (409) for a list that no URL fills."""
        async with self._one[list_id], self._some:
            async with self.changes.database.read() as session:
                row = await feed_states.find_list(session, list_id)
                feed = await feed_states.state_of(session, row)
            _must_be_from_a_url(row)
            with self.progress.begun(list_id) as going:
                try:
                    downloaded = await download(row.feed_url, feed_states.marks_of(row, feed), self.reach)
                    result = await self._read(row, downloaded, going) if downloaded else None
                except (DownloadFailed, Invalid) as problem:
                    return await self._note_failure(row, problem)
                return await self._note(row, downloaded, result)

    async def accept(self, list_id: int, *, who: str, digest: str = "") -> bool:
        """What waits applies from now on. `digest`: of what was looked at. Returns whether HAProxy has it. Raises NotFound (404),
        and Conflict (409) if nothing waits, or something else."""
        async with self._one[list_id]:
            async with self.changes.database.read() as session:
                row = await feed_states.find_list(session, list_id)
                feed = await feed_states.state_of(session, row)
                waiting = feed_states.waiting(feed, row, digest)
                entries = await contents.read(session, waiting.digest)
            entries, left_out = await self._fit(
                row, entries
            )  # The list may have become a deny list, or servers been added.
            async with self.changes.database.write() as session:
                feed = await self._again(session, row)
                await contents.add(session, entries)
                feed_states.accept(feed, entries, left_out, who, datetime.now(UTC))
                session.add(feed)
            return await self._apply(row, feed)

    async def mend(self) -> None:
        """Tell HAProxy what it lacks, whatever becomes of one list."""
        _must_have_succeeded([await self._mend(row, feed) for row, feed in await self._fed()])

    async def _due(self) -> list[int]:
        async with self.changes.database.read() as session:
            fed = await feed_states.fed(session, FilledFrom.URL)
        return [row.id or 0 for row, feed in fed if feed_states.is_due(row, feed, datetime.now(UTC))]

    def _end(self, list_id: int, _task: asyncio.Task[None]) -> None:
        self._begun.pop(list_id, None)

    async def _download(self, list_id: int) -> None:
        with suppress(Conflict, NotFound):  # It was changed meanwhile.
            await self.download(list_id)

    async def _mend(self, row: AddressList, feed: Feed) -> Problem | None:
        live = self.crowdsec.entries_of(row, feed)
        digest = live.reference.digest if live else feed.reference.digest
        current = partial(self._current, row, live)
        try:
            if await self.maps.apply(row.id or 0, digest, current):
                await self.maps.mend(row.id or 0, current)
        except Problem as problem:
            return problem
        return None

    async def _read(self, row: AddressList, download: Download, going: Downloading) -> Result:
        """Raises Invalid and DownloadFailed."""
        async with self._reading:
            entries = await asyncio.to_thread(_parsed, download.body, going.read, is_deny=row.kind is ListKind.DENY)
            fitting, left_out = await self._fit(row, entries)
            await asyncio.to_thread(contents.make, fitting)
            return Result(fitting, going.total, entries.doubles, entries.covered, left_out)

    async def _fit(self, row: AddressList, entries: Entries) -> tuple[Entries, str]:
        if row.kind is not ListKind.DENY:
            return entries, ""
        await asyncio.to_thread(must_be_fit_to_deny, entries)
        async with self.changes.database.read() as session:
            open_doors = await doors(self.changes, session, "")
        return await asyncio.to_thread(without_doors, entries, open_doors)

    async def _note_failure(self, row: AddressList, problem: Problem) -> Feed:
        log.warning("the feed of list %d failed: %s", row.id, problem.message[:300])
        async with self.changes.database.write() as session:
            feed = await self._again(session, row)
            feed_states.note_failure(feed, row, problem.message, datetime.now(UTC))
            session.add(feed)
        return feed

    async def _note(self, row: AddressList, download: Download | None, result: Result | None) -> Feed:
        async with self.changes.database.write() as session:
            feed, now = await self._again(session, row), datetime.now(UTC)
            if download is None or result is None:
                feed_states.note_unchanged(feed, now)
            else:
                await contents.add(session, result.entries)
                feed_states.note_download(feed, row, result, download.marks, now)
            session.add(feed)
        await self._apply(row, feed)
        return feed

    async def _again(self, session: AsyncSession, row: AddressList) -> Feed:
        """As it is now. Raises Conflict if the list asks another URL by now, or is gone: this download is nobody's."""
        current = await feed_states.find_list(session, row.id or 0)
        if (current.created_at, current.feed_url, current.kind) != (row.created_at, row.feed_url, row.kind):
            raise Conflict("This list was changed meanwhile. Reload this page.")
        return await feed_states.state_of(session, row)

    async def _fed(self) -> list[tuple[AddressList, Feed]]:
        async with self.changes.database.read() as session:
            return await feed_states.fed(session)

    async def _apply(self, row: AddressList, feed: Feed) -> bool:
        """Whether HAProxy has what applies."""
        return await self.maps.apply(row.id or 0, feed.reference.digest, partial(self._current, row))

    async def _current(self, row: AddressList, live: Entries | None = None) -> Entries:
        """What applies, as of now."""
        if live is not None:
            return live
        async with self.changes.database.read() as session:
            feed = await feed_states.state_of(session, row)
            return await contents.read(session, feed.reference.digest)


def _must_have_succeeded(ended: Sequence[BaseException | None]) -> None:
    for failure in filter(None, ended):
        raise failure


def _parsed(body: bytes, tell: Tell, *, is_deny: bool) -> Entries:
    entries = read_text(parsing.text_of(body), tell, is_deny=is_deny)
    if not entries.items:
        raise DownloadFailed("It has no entries.")
    return entries


def _must_be_from_a_url(row: AddressList) -> None:
    if row.filled_from is not FilledFrom.URL:
        raise Conflict("This list is not filled from a URL.")
