"""Lists that follow a CrowdSec: its local API is asked every 7 s what began and what ended since, and for all of it after a
start, after a failure, after the clock was set, and every hour.

What holds is in memory, in the list's map and in HAProxy at once. The database has it at most a minute later, for the next start:
each of its contents is a whole list.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from urllib.parse import urlsplit

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel import clock
from guardpanel.access import contents, decisions
from guardpanel.access.decisions import Decisions
from guardpanel.access.entries import Entries
from guardpanel.access.fetching import DownloadFailed, get
from guardpanel.background import Background
from guardpanel.errors import NotFound, Problem
from guardpanel.feed_reach import FeedReach
from guardpanel.models import AddressList, Feed
from guardpanel.models.access.feed import FOLLOWED, FilledFrom
from guardpanel.sealing import KeyLost
from guardpanel.services.access import feed_states
from guardpanel.services.access.feed_maps import FeedMaps
from guardpanel.services.access.lockout import Doors, doors, without_doors
from guardpanel.services.saving.changes import Changes

log = logging.getLogger(__name__)

LOOK_SECONDS, EVERY_SECONDS = 2.0, 7.0
"Between two looks at what is due, and between two questions: a ban is live within 10 s."

ANEW_SECONDS = 3600.0
SET_BY_SECONDS = 5.0
"By which the clock was set, and not corrected: decisions come with what is left of them."
LONGEST_SECONDS = 60.0
"Of an answer."
LARGEST_BODY = 64 * 1024 * 1024
"Bytes: some 250,000 decisions."
LONGEST_WAIT = 300.0
"Seconds after failures. They double with each in a row."

REFUSED = {401, 403}


@dataclass
class Stream:
    """What one CrowdSec has said so far."""

    source: tuple[datetime, str, bytes | None]
    "Of which list, URL and key."
    holds: Decisions = field(default_factory=dict)
    entries: Entries | None = None
    "What of it applies. None before the first answer."
    left_out: str = ""
    begun_at: float = 0.0
    clock: float = 0.0
    "What the time of day was ahead of the time since the boot then: the ends of what holds are by it."
    due_at: float = 0.0
    failures: int = 0
    noted_at: datetime | None = None
    question: asyncio.Task[None] | None = None

    @property
    def is_due(self) -> bool:
        return self.due_at <= monotonic() and (self.question is None or self.question.done())

    @property
    def begins(self) -> bool:
        """Whether all is asked for."""
        was_set = abs(clock.ahead_of_boot() - self.clock) > SET_BY_SECONDS
        return self.entries is None or self.failures > 0 or was_set or monotonic() - self.begun_at >= ANEW_SECONDS


class CrowdSec:
    def __init__(self, changes: Changes, maps: FeedMaps) -> None:
        self.changes, self.maps = changes, maps
        self._streams: dict[int, Stream] = {}

    def entries_of(self, row: AddressList, feed: Feed) -> Entries | None:
        """What applies. None: what the feed's state has."""
        stream = self._streams.get(row.id or 0)
        return stream.entries if stream and stream.source == _source(row, feed) else None

    async def begin_due(self, reach: FeedReach, background: Background) -> list[asyncio.Task[None]]:
        """Begin to ask those whose turn it is, each by itself: a slow one holds up no other."""
        streams = [(row, feed, self._stream(row, feed)) for row, feed in await self._fed()]
        self._streams = {row.id or 0: stream for row, _, stream in streams}
        begun = []
        for row, feed, stream in streams:
            if stream.is_due:
                stream.question = background.once("CrowdSec questions", partial(self._ask, row, feed, stream, reach))
                begun.append(stream.question)
        return begun

    async def _fed(self) -> list[tuple[AddressList, Feed]]:
        async with self.changes.database.read() as session:
            return await feed_states.fed(session, FilledFrom.CROWDSEC)

    def _stream(self, row: AddressList, feed: Feed) -> Stream:
        known, source = self._streams.get(row.id or 0), _source(row, feed)
        return known if known and known.source == source else Stream(source)

    async def _ask(self, row: AddressList, feed: Feed, stream: Stream, reach: FeedReach) -> None:
        try:
            await self._take(row, feed, stream, reach)
        except NotFound:  # The list was changed meanwhile.
            return
        except Problem as problem:
            stream.failures, stream.noted_at = stream.failures + 1, None
            stream.due_at = monotonic() + min(LONGEST_WAIT, EVERY_SECONDS * 2 ** min(stream.failures - 1, 16))
            with suppress(NotFound):  # It was changed meanwhile.
                await self._note_failure(row, problem)
            return
        stream.failures, stream.due_at = 0, monotonic() + EVERY_SECONDS
        with suppress(NotFound):
            await self._note(row, stream)

    async def _take(self, row: AddressList, feed: Feed, stream: Stream, reach: FeedReach) -> None:
        begins, asked_at, ahead = stream.begins, monotonic(), clock.ahead_of_boot()
        body = await self._answer(row, feed, reach, begins=begins)
        if self._streams.get(row.id or 0) is not stream:
            raise NotFound("This list asks another CrowdSec by now.")
        now = datetime.now(UTC).timestamp()
        if begins:
            stream.holds = await asyncio.to_thread(decisions.begun, body, now)
            stream.begun_at, stream.clock = asked_at, ahead
        else:
            stream.holds = await asyncio.to_thread(decisions.followed, stream.holds, body, now)
        async with self.changes.database.read() as session:
            open_doors = await doors(self.changes, session, "")
        entries, stream.left_out = await asyncio.to_thread(_applying, stream.holds, open_doors)
        stream.entries = entries

        async def current() -> Entries:
            return entries

        await self.maps.apply(row.id or 0, entries.reference.digest, current)

    async def _answer(self, row: AddressList, feed: Feed, reach: FeedReach, *, begins: bool) -> bytes:
        """No redirect is followed: it would take the key elsewhere."""
        url = urlsplit(f"{row.feed_url}{decisions.PATH}?startup={'true' if begins else 'false'}")
        headers = {"x-api-key": self._key(row, feed), "accept": "application/json"}
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                answer = await get(url, headers, reach.for_crowdsec(url.scheme), largest=LARGEST_BODY)
        except TimeoutError:
            raise DownloadFailed(f"CrowdSec took longer than {LONGEST_SECONDS:.0f} s.") from None
        if answer.status in REFUSED:
            raise DownloadFailed(f"CrowdSec refuses the key ({answer.status}).")
        if answer.status != 200:
            raise DownloadFailed(f"CrowdSec answers {answer.status}.")
        return answer.body

    def _key(self, row: AddressList, feed: Feed) -> str:
        if not feed.sealed_key or feed.key_url != row.feed_url:
            raise DownloadFailed("There is no key for this URL. Edit the list and enter one.")
        try:
            return self.changes.seal.open(feed.sealed_key, feed.key_place).decode()
        except KeyLost:
            raise DownloadFailed("The key can’t be read any more. Edit the list and enter it again.") from None

    async def _note_failure(self, row: AddressList, problem: Problem) -> None:
        log.warning("the CrowdSec of list %d: %s", row.id, problem.message[:300])
        async with self.changes.database.write() as session:
            feed = await _state(session, row)
            feed_states.note_failure(feed, row, problem.message, datetime.now(UTC))
            session.add(feed)

    async def _note(self, row: AddressList, stream: Stream) -> None:
        """At most once a minute."""
        now = datetime.now(UTC)
        if stream.entries is None or (stream.noted_at and abs(now - stream.noted_at) < FOLLOWED - timedelta(seconds=5)):
            return
        async with self.changes.database.write() as session:
            feed = await _state(session, row)
            await contents.add(session, stream.entries)
            feed_states.note_followed(feed, row, stream.entries, stream.left_out, now)
            session.add(feed)
        stream.noted_at = now


def _applying(holds: Decisions, open_doors: Doors) -> tuple[Entries, str]:
    entries, left_out = without_doors(decisions.as_entries(holds), open_doors)
    entries.reference  # noqa: B018 hashed here, in a thread: a long list takes a while
    return entries, left_out


async def _state(session: AsyncSession, row: AddressList) -> Feed:
    """As it is now. Raises NotFound if the list is gone, or asks somebody else by now."""
    current = await feed_states.find_list(session, row.id or 0)
    if (current.created_at, current.filled_from, current.feed_url) != (row.created_at, row.filled_from, row.feed_url):
        raise NotFound("This list was changed meanwhile.")
    return await feed_states.state_of(session, row)


def _source(row: AddressList, feed: Feed) -> tuple[datetime, str, bytes | None]:
    return row.created_at, row.feed_url, feed.sealed_key
