"""Deletes contents of address lists that neither a list, a feed, a stored change nor other contents name."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.database import Database
from guardpanel.models import AddressList, AddressListContent, Deployment, Feed, Revision
from guardpanel.models.access.reference import REFERENCE
from guardpanel.services.saving import snapshots

STATES: tuple[Any, ...] = (Revision.snapshot, Deployment.snapshot, Deployment.before)


class ListContents:
    def __init__(self, database: Database) -> None:
        self.database = database
        self._named: dict[tuple[str, int], frozenset[str]] = {}
        "What stored states name: they never change, and each is unpacked once."

    async def tidy(self, leave_room: Callable[[], Awaitable[None]]) -> None:
        """Complete steps, between saves."""
        unused = await self._unused()
        if not unused:
            return
        named: dict[tuple[str, int], frozenset[str]] = {}
        for column in STATES:
            for number in await self._numbers(column):
                key = f"{column}", number
                if key not in self._named:
                    self._named[key] = await self._read(column, number)
                    await leave_room()
                named[key] = self._named[key]
        self._named = named
        await self._delete(unused - frozenset().union(*named.values()))

    async def _unused(self) -> frozenset[str]:
        """Those that no row names. What only contents name that are deleted now is left to the next pass."""
        async with self.database.read() as session:
            stored = (await session.exec(select(AddressListContent.digest))).all()
            named = await _named(session) if stored else frozenset()
        return frozenset(stored) - named

    async def _numbers(self, column: Any) -> list[int]:
        async with self.database.read() as session:
            return list((await session.exec(select(column.class_.id).where(column.is_not(None)))).all())

    async def _read(self, column: Any, number: int) -> frozenset[str]:
        async with self.database.read() as session:
            packed = (await session.exec(select(column).where(column.class_.id == number))).first()
        return await asyncio.to_thread(_in, packed) if packed else frozenset()

    async def _delete(self, digests: frozenset[str]) -> None:
        """Unless a row names them by now."""
        async with self.database.write() as session:
            gone = digests - await _named(session)
            await session.exec(delete(AddressListContent).where(col(AddressListContent.digest).in_(gone)))


async def _named(session: AsyncSession) -> frozenset[str]:
    """By lists and feeds, as they are, and by contents that have only what changed since."""
    columns = (AddressList.content, Feed.content, Feed.waiting)
    since = frozenset((await session.exec(select(AddressListContent.since).distinct())).all())
    return since | _digests(
        " ".join([text for column in columns for text in (await session.exec(select(column))).all()])
    )


def _in(packed: bytes) -> frozenset[str]:
    return _digests(snapshots.unpacked(packed))


def _digests(text: str) -> frozenset[str]:
    return frozenset(match[2] for match in re.finditer(REFERENCE, text))
