"""What a download changes in the state of a feed: it applies, it waits until somebody accepts it, or nothing changes."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlmodel import col, delete, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access.downloading import NO_MARKS, Marks
from guardpanel.access.entries import Entries
from guardpanel.clock import has_come
from guardpanel.errors import Conflict, Invalid, NotFound
from guardpanel.field_codes import FieldCode
from guardpanel.models import AddressList, Feed
from guardpanel.models.access.address_list import AddressListInput, ListKind
from guardpanel.models.access.feed import FilledFrom
from guardpanel.models.access.reference import Reference
from guardpanel.sealing import Seal

SHORTEST_RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)
"After a failure. It doubles with each in a row, up to the feed's interval."

FIRST = "This is the first download from this URL."
HALVED = "It has less than half of the entries."


async def find(session: AsyncSession, row: AddressList) -> Feed | None:
    """None before the first download."""
    query = select(Feed).where(Feed.address_list_id == row.id, Feed.list_created_at == row.created_at)
    return (await session.exec(query)).first()


async def find_list(session: AsyncSession, list_id: int) -> AddressList:
    """Raises NotFound (404)."""
    row = (await session.exec(select(AddressList).where(AddressList.id == list_id))).first()
    if row is None:
        raise NotFound("Address list not found. It may have been deleted.")
    return row


async def state_of(session: AsyncSession, row: AddressList) -> Feed:
    """A new one before the first download."""
    return await find(session, row) or new(row)


async def must_have_a_key(session: AsyncSession, sent: AddressListInput, row: AddressList | None) -> None:
    """Raises Invalid unless it is sent, or was given for this URL: a key is sent nowhere else."""
    if sent.filled_from is not FilledFrom.CROWDSEC or sent.feed_key:
        return
    feed = await find(session, row) if row else None
    if feed is None or not feed.sealed_key or feed.key_url != sent.feed_url:
        raise Invalid.at(
            "feed_key", "Enter the key for this URL. “cscli bouncers add guardpanel” prints one.", FieldCode.REQUIRED
        )


async def keep_key(session: AsyncSession, row: AddressList, key: str, seal: Seal) -> None:
    feed = await state_of(session, row)
    feed.key_url = row.feed_url
    feed.sealed_key = seal.seal(key.encode(), feed.key_place)
    session.add(feed)
    await session.flush()


def new(row: AddressList) -> Feed:
    return Feed(address_list_id=row.id or 0, list_created_at=row.created_at)


async def fed(session: AsyncSession, *sources: FilledFrom) -> list[tuple[AddressList, Feed]]:
    """The lists that something fills, with their state. One that was never tried has a new one."""
    query = select(AddressList).where(col(AddressList.filled_from) != FilledFrom.HAND).order_by(col(AddressList.id))
    rows = [row for row in (await session.exec(query)).all() if not sources or row.filled_from in sources]
    states = {(feed.address_list_id, feed.list_created_at): feed for feed in (await session.exec(select(Feed))).all()}
    return [(row, states.get((row.id or 0, row.created_at)) or new(row)) for row in rows]


def due_at(row: AddressList, feed: Feed) -> datetime | None:
    """None: now."""
    if feed.tried_at is None or feed.url != row.feed_url:
        return None
    return feed.tried_at + wait_after(feed.failures, row.feed_interval)


def wait_after(failures: int, interval: timedelta) -> timedelta:
    """Between two downloads. `failures`: in a row."""
    return min(interval, LONGEST_RETRY, SHORTEST_RETRY * 2 ** min(failures - 1, 16)) if failures else interval


def is_due(row: AddressList, feed: Feed, now: datetime) -> bool:
    return has_come(due_at(row, feed), feed.tried_at, now)


def marks_of(row: AddressList, feed: Feed) -> Marks:
    """To ask whether the last answer still holds. Not after failures, since what was wrong with it may have been here, nor if it
    was read for a deny list without all that a list of another kind has."""
    is_whole = row.kind is ListKind.DENY or not feed.left_out
    is_known = feed.url == row.feed_url and not feed.failures and is_whole
    return Marks(feed.etag, feed.last_modified) if is_known else NO_MARKS


def note_failure(feed: Feed, row: AddressList, problem: str, now: datetime) -> None:
    feed.tried_at, feed.problem, feed.failures = now, problem[:5000], feed.failures + 1
    if feed.url != row.feed_url:
        feed.url, feed.waiting, feed.waiting_because = row.feed_url, "", ""


def note_unchanged(feed: Feed, now: datetime) -> None:
    feed.tried_at = feed.checked_at = now
    feed.problem, feed.failures = "", 0


class Result(NamedTuple):
    """What was read of a download."""

    entries: Entries
    "That may apply."
    lines: int
    doubles: int
    covered: int
    left_out: str
    "Entries that may not apply, in sentences."


def note_download(feed: Feed, row: AddressList, result: Result, marks: Marks, now: datetime) -> None:
    note_unchanged(feed, now)
    feed.url, feed.etag, feed.last_modified = row.feed_url, marks.etag, marks.last_modified
    feed.left_out = result.left_out
    feed.lines, feed.doubles, feed.covered = result.lines, result.doubles, result.covered
    reference = result.entries.reference
    feed.waiting = feed.waiting_because = ""
    if feed.accepted_url != row.feed_url:
        feed.waiting, feed.waiting_because = reference.text, FIRST
    elif reference.total * 2 < feed.reference.total:
        feed.waiting, feed.waiting_because = reference.text, HALVED
    elif reference.text != feed.content:
        feed.content, feed.changed_at = reference.text, now


def note_followed(feed: Feed, row: AddressList, entries: Entries, left_out: str, now: datetime) -> None:
    """What CrowdSec bans by now."""
    note_unchanged(feed, now)
    feed.url, feed.left_out = row.feed_url, left_out
    if entries.reference.text != feed.content:
        feed.content, feed.changed_at = entries.reference.text, now


def waiting(feed: Feed, row: AddressList, digest: str) -> Reference:
    """What waits. Raises Conflict if nothing does, or something else than what was looked at."""
    reference = feed.waiting_reference
    if reference is None or feed.url != row.feed_url:
        raise Conflict("Nothing waits any more. Reload this page.")
    if digest not in {"", reference.digest}:
        raise Conflict("Another download waits by now. Look at it first.")
    return reference


def accept(feed: Feed, entries: Entries, left_out: str, who: str, now: datetime) -> None:
    """What waited, less what may not be denied, applies."""
    feed.content, feed.left_out = entries.reference.text, left_out or feed.left_out
    feed.changed_at, feed.accepted_by, feed.accepted_url = now, who, feed.url
    feed.waiting = feed.waiting_because = ""


async def drop_orphans(session: AsyncSession, oldest: datetime) -> None:
    """Delete the states of lists that are gone and were tried last before a time."""
    same = (col(AddressList.id) == Feed.address_list_id) & (col(AddressList.created_at) == Feed.list_created_at)
    is_gone = ~select(AddressList.id).where(same).exists()
    await session.exec(delete(Feed).where(is_gone, func.coalesce(Feed.tried_at, Feed.list_created_at) < oldest))
