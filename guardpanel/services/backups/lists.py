"""Entries of address lists in backups, and what feeds have filled lists with."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access import contents
from guardpanel.access.entries import Entries, ordered
from guardpanel.engines.runtime.outside_map import OutsideMaps
from guardpanel.models import AddressListContent, Ban, Feed
from guardpanel.models.access.feed import source_url
from guardpanel.models.access.reference import Reference
from guardpanel.models.types import notes
from guardpanel.services.access import feed_maps, feed_states
from guardpanel.services.backups.sealing import BackupDamaged

TABLE = SQLModel.metadata.tables[str(AddressListContent.__tablename__)]


BANS = SQLModel.metadata.tables[str(Ban.__tablename__)]
"Not restored: what is banned here now stays so. A backup has them, for whoever reads it."


FEEDS = SQLModel.metadata.tables[str(Feed.__tablename__)]

DAMAGED = "The address lists in this backup are damaged."


async def restore(session: AsyncSession, path: Path) -> None:
    """Add the backup's contents to those that are here. Raises BackupDamaged (422) if one is not what its hash says."""
    whole: Entries | None = None
    for at in count():
        read = await asyncio.to_thread(_entries, path, at, whole)
        if read is None:
            break
        whole, entries = read
        await contents.add(session, entries)
    await _restore_feeds(session, path)


async def _restore_feeds(session: AsyncSession, path: Path) -> None:
    """What applied there applies here until the next download. The state of a list that is here already stays."""
    here = {(feed.address_list_id, feed.list_created_at) for feed in (await session.exec(select(Feed))).all()}
    for feed in await asyncio.to_thread(_feeds, path):
        if (feed.address_list_id, feed.list_created_at) not in here:
            await contents.read(session, feed.reference.digest)
            session.add(feed)


async def fill(session: AsyncSession, maps: OutsideMaps) -> None:
    """Write what applies to the files that HAProxy reads with the restored configuration: another list may have had the same
    number here. Raises StorageFailed (507)."""
    await session.flush()
    for row, feed in await feed_states.fed(session):
        await feed_maps.begin(maps, row.id or 0, await contents.read(session, feed.reference.digest))


def _feeds(path: Path) -> list[Feed]:
    columns = ("address_list_id", "list_created_at", "accepted_url", "content", "accepted_by", "key_url", "sealed_key")
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(f"SELECT {', '.join(columns)} FROM feed ORDER BY id").fetchall()  # noqa: S608
    try:
        feeds = [_feed(*row) for row in rows]
    except (PydanticCustomError, TypeError, ValueError):
        raise BackupDamaged(DAMAGED) from None
    if len({(feed.address_list_id, feed.list_created_at) for feed in feeds}) < len(feeds):
        raise BackupDamaged(DAMAGED)
    return feeds


def _feed(
    list_id: int, created_at: str, accepted_url: str, content: str, accepted_by: str, key_url: str, key: bytes | None
) -> Feed:
    moment = datetime.fromisoformat(f"{created_at}+00:00")
    feed = Feed(address_list_id=int(list_id), list_created_at=moment, content=Reference.read(content).text)
    feed.accepted_url, feed.accepted_by = source_url(accepted_url), notes(accepted_by)[:320]
    feed.key_url, feed.sealed_key = source_url(key_url), key if isinstance(key, bytes) else None
    return feed


def _entries(path: Path, at: int, whole: Entries | None) -> tuple[Entries, Entries] | None:
    """One at a time, with what it was made of: each may have hundreds of thousands. Whole ones come first. `whole`: what the
    one before was made of."""
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT digest, since, packed FROM addresslistcontent ORDER BY since, digest LIMIT 1 OFFSET ?"
        row = database.execute(query, (at,)).fetchone()
        if row is None:
            return None
        digest, since, packed = row
        if since and (whole is None or whole.reference.digest != since):
            (its_packed,) = database.execute(WHOLE, (since,)).fetchone() or (None,)
            whole = _read(since, its_packed, None)
    entries = _read(digest, packed, whole if since else None)
    return (whole if since and whole else entries), entries


WHOLE = "SELECT packed FROM addresslistcontent WHERE digest = ? AND since = ''"


def _read(digest: Any, packed: Any, before: Entries | None) -> Entries:
    try:
        entries = contents.unpacked(packed, digest, before)
        if ordered(entries.items).text == entries.text:
            return entries
    except (OSError, TypeError, ValueError):
        pass
    raise BackupDamaged(DAMAGED)
