"""The contents of address lists in the database, by hash: added, read, deleted when nothing names them any more."""

import asyncio
import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

from sqlalchemy.dialects.sqlite import insert
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access.entries import Changes, Entries, digest_of, with_changes
from guardpanel.database import Database
from guardpanel.errors import NotFound, StorageFailed
from guardpanel.kept import Kept
from guardpanel.models import AddressList, AddressListContent
from guardpanel.models.access.reference import EMPTY, Reference

GONE = "The entries of an address list are no longer stored."


class Damaged(StorageFailed):
    """What is stored has another hash."""

    def __init__(self) -> None:
        super().__init__("The stored entries of an address list are damaged. Replace them, or restore a backup.")


LISTED = select(func.json_group_array(AddressList.content))
"What each list refers to, as JSON."


class ListMaps:
    """HAProxy's files of address lists, by hash of their entries. The newest are kept: each save renders all files."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[str, bytes] = {}

    async def current(self, session: AsyncSession, listed: str) -> Mapping[str, bytes]:
        """Of all lists in this session, which may not be committed yet. `listed`: what LISTED says."""
        digests = {Reference.read(text).digest for text in json.loads(listed)}
        await self._read(session, digests)
        # What earlier revisions had is read again if they are rendered again.
        self._kept = {digest: self._kept[digest] for digest in digests}
        return dict(self._kept)

    async def of(self, references: Iterable[str], known: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Of the rows of a stored state. Raises NotFound if they were deleted."""
        missing = {Reference.read(text).digest for text in references} - set(known)
        if not missing:
            return known
        async with self._database.read() as session:
            return {**known, **{digest: await _map(session, digest) for digest in missing}}

    async def _read(self, session: AsyncSession, digests: Collection[str]) -> None:
        for digest in set(digests) - set(self._kept):
            self._kept[digest] = await _map(session, digest)


async def _map(session: AsyncSession, digest: str) -> bytes:
    return await map_of(await read(session, digest))


async def map_of(entries: Entries) -> bytes:
    """HAProxy's map, made in a thread: a long list takes a second."""
    return await asyncio.to_thread(lambda: entries.map)


def make(entries: Entries) -> None:
    """What takes long of them, before a transaction for which others wait."""
    _ = entries.reference, entries.map, entries.since or entries.packed


async def add(session: AsyncSession, entries: Entries) -> None:
    """Store them, unless they are."""
    reference = entries.reference
    if reference.digest == EMPTY.digest:
        return
    since = await _stored_since(session, entries)
    values = await asyncio.to_thread(_row, entries, since)
    _parsed.get(reference.digest, lambda: entries)  # It is rendered next.
    statement = insert(AddressListContent).values(**values).on_conflict_do_nothing()
    await (await session.connection()).execute(statement)


async def _stored_since(session: AsyncSession, entries: Entries) -> str:
    """The hash of what they were made of, if it is stored as a whole."""
    if entries.since is None:
        return ""
    whole = col(AddressListContent.digest) == entries.since.digest, col(AddressListContent.since) == ""
    return (await session.exec(select(AddressListContent.digest).where(*whole))).first() or ""


def _row(entries: Entries, since: str) -> dict[str, Any]:
    reference = entries.reference
    packed = zlib.compress(_text_of(entries.changes), level=1) if since else entries.packed
    return AddressListContent(digest=reference.digest, count=reference.total, since=since, packed=packed).model_dump()


_parsed = Kept[Entries](20_000_000, lambda entries: len(entries.text))
"Parsed contents: a page of a list shows 50 of perhaps 100,000."


async def read(session: AsyncSession, digest: str) -> Entries:
    """Raises NotFound if nothing has this hash, and Damaged."""
    if digest == EMPTY.digest:
        return Entries(())
    has_digest = col(AddressListContent.digest) == digest
    if (await session.exec(select(AddressListContent.digest).where(has_digest))).first() is None:
        raise NotFound(GONE)
    if (known := _parsed.known(digest)) is not None:
        return known
    row = (await session.exec(select(AddressListContent.packed, AddressListContent.since).where(has_digest))).one()
    before = await read(session, row[1]) if row[1] else None
    return await asyncio.to_thread(_parsed.get, digest, partial(_unpacked, row[0], digest, before))


async def has(session: AsyncSession, digest: str, network: str) -> bool:
    """Whether an entry is exactly this canonical network, which takes less than to read all. Raises NotFound and Damaged."""
    if digest == EMPTY.digest:
        return False
    query = select(AddressListContent.packed, AddressListContent.since)
    row = (await session.exec(query.where(col(AddressListContent.digest) == digest))).first()
    if row is None:
        raise NotFound(GONE)
    is_there = await asyncio.to_thread(_entry_in, row[0], network)
    return await has(session, row[1], network) if is_there is None and row[1] else bool(is_there)


def _entry_in(packed: bytes, network: str) -> bool | None:
    """None: no line is about this network."""
    try:
        text = b"\n" + zlib.decompress(packed)
    except zlib.error:
        raise Damaged from None
    if f"\n{network}\t".encode() in text:
        return True
    return False if f"\n{network}\n".encode() in text else None


def _unpacked(packed: bytes, digest: str, before: Entries | None) -> Entries:
    try:
        return unpacked(packed, digest, before)
    except ValueError:
        raise Damaged from None


def unpacked(packed: bytes, digest: str, before: Entries | None) -> Entries:
    """What is stored. `before`: what only the changes of are. Raises ValueError if it has another hash."""
    try:
        text = zlib.decompress(packed)
        entries = Entries.read(text) if before is None else with_changes(before, _changes(text))
    except (OSError, zlib.error) as error:
        raise ValueError(digest) from error
    if digest_of(entries.text) != digest:
        raise ValueError(digest)
    return entries


def _text_of(changes: Changes) -> bytes:
    return b"".join([entry.line if entry else f"{network}\n".encode() for network, entry in sorted(changes.items())])


def _changes(text: bytes) -> Changes:
    lines = text.splitlines(keepends=True)
    changed = {
        entry.network: entry for entry in Entries.read(b"".join([line for line in lines if b"\t" in line])).items
    }
    return {**{line.decode().rstrip("\n"): None for line in lines if b"\t" not in line}, **changed}
