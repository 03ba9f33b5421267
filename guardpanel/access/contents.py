"""The contents of address lists in the database, by hash: added, read, deleted when nothing names them any more."""

import asyncio
import zlib
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

from sqlalchemy.dialects.sqlite import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access.entries import Entries, digest_of
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


class ListMaps:
    """HAProxy's files of address lists, by hash of their entries. The newest are kept: each save renders all files."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[str, bytes] = {}

    async def current(self, session: AsyncSession) -> Mapping[str, bytes]:
        """Of all lists in this session, which may not be committed yet."""
        rows = await session.exec(select(AddressList.content))
        digests = {Reference.read(text).digest for text in rows.all()}
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


async def add(session: AsyncSession, entries: Entries) -> None:
    """Store them, unless they are."""
    reference = entries.reference
    if reference.digest == EMPTY.digest:
        return
    values = await asyncio.to_thread(_row, entries)
    _parsed.get(reference.digest, lambda: entries)  # It is rendered next.
    statement = insert(AddressListContent).values(**values).on_conflict_do_nothing()
    await (await session.connection()).execute(statement)


def _row(entries: Entries) -> dict[str, Any]:
    reference, packed = entries.reference, zlib.compress(entries.text.encode(), level=1)
    return AddressListContent(digest=reference.digest, count=reference.total, packed=packed).model_dump()


_parsed = Kept[Entries](20_000_000, lambda entries: len(entries.text))
"Parsed contents: a page of a list shows 50 of perhaps 100,000."


async def read(session: AsyncSession, digest: str) -> Entries:
    """Raises NotFound if nothing has this hash."""
    if digest == EMPTY.digest:
        return Entries(())
    packed = (
        await session.exec(select(AddressListContent.packed).where(col(AddressListContent.digest) == digest))
    ).first()
    if packed is None:
        raise NotFound(GONE)
    return await asyncio.to_thread(_parsed.get, digest, partial(_unpacked, packed, digest))


def _unpacked(packed: bytes, digest: str) -> Entries:
    try:
        text = zlib.decompress(packed).decode()
        if digest_of(text) == digest:
            return Entries.read(text)
    except (ValueError, zlib.error):
        pass
    raise Damaged
