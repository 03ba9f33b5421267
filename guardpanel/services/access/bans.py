"""Bans: set, lifted and listed, live within milliseconds and without a reload.

The row is committed first, then the file is written, then HAProxy is told, and asked whether it has it. If HAProxy does not
respond, a loop tells it when it does; it also reads the file at each start. So no ban is lost, whatever ends in between.
"""

import asyncio
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any, Self, Unpack

from sqlmodel import col, delete, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access import parsing
from guardpanel.access.entries import Entry, ordered
from guardpanel.background import Background
from guardpanel.clock import since_boot
from guardpanel.database import Database
from guardpanel.engines.runtime.outside_map import OutsideMap
from guardpanel.engines.runtime.swapping import NotSwapped
from guardpanel.errors import EngineUnavailable, Invalid, NotFound, StorageFailed
from guardpanel.models import Ban
from guardpanel.models.access.ban import AUTOMATIC, BY_HAND, LATEST, BanFields
from guardpanel.services.access.lockout import doors, must_not_lock_out
from guardpanel.services.paging import Page, Portion, cut_in_sql, holds
from guardpanel.services.saving.changes import Changes

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
"Seconds between two looks at HAProxy's map."

STAYS_BACK_SECONDS = 600.0
"After which a clock that was set back is right: at a start, it may be wrong until it is set."


@dataclass(frozen=True)
class Outcome:
    ban: Ban
    is_live: bool
    "False: HAProxy does not respond. The ban holds as soon as it does."


class Bans:
    def __init__(self, database: Database, ban_map: OutsideMap) -> None:
        self.database = database
        self.map = ban_map
        self._one = asyncio.Lock()
        self._back_since: float | None = None
        "Since when there have been bans of later."

    @classmethod
    async def opened(cls, database: Database, ban_map: OutsideMap) -> Self:
        """With its file, before HAProxy starts."""
        bans = cls(database, ban_map)
        await ban_map.write(await bans._content())
        return bans

    async def add(
        self, changes: Changes, fields: BanFields, *, who: str, client: str, origin: str = BY_HAND
    ) -> Outcome:
        """Ban a network. One that is banned already gets the new end. Raises Invalid (422), and NeedsConfirmation (409) if it
        would lock somebody out."""
        now = datetime.now(UTC)
        network, ends_at = _network(fields.network), fields.ends_at(now)
        if ends_at is not None and ends_at <= now:
            raise Invalid.at("until", "This time has passed.")
        if not fields.save_anyway:
            async with self.database.read() as session:
                must_not_lock_out(await doors(changes, session, client), [network], "network")
        ban = Ban(network=network, ends_at=ends_at, reason=fields.reason, origin=origin, created_by=who, created_at=now)
        async with self._one:
            async with self.database.write() as session:
                await _lift(session, _of_network(network, now), who, now)
                session.add(ban)
            return Outcome(ban, await self._apply())

    async def add_new(self, bans: Sequence[Ban]) -> Sequence[Ban]:
        """Of these, the bans of networks that are within no ban yet. However many there are, HAProxy's map changes once."""
        async with self._one:
            async with self.database.write() as session:
                new = await _not_banned(session, bans)
                session.add_all(new)
            if new:
                await self._apply()
        return new

    async def lift(self, ban_id: int, *, who: str) -> Outcome:
        """Raises NotFound (404) for one that has ended."""
        now = datetime.now(UTC)
        async with self._one:
            async with self.database.write() as session:
                lifted = await _lift(session, col(Ban.id) == ban_id, who, now)
            if not lifted:
                raise NotFound("This ban has already ended.")
            return Outcome(lifted[0], await self._apply())

    async def lift_network(self, network: str, *, who: str) -> bool:
        """Whether there was a ban of exactly this network."""
        now, canonical = datetime.now(UTC), _network(network)
        async with self._one:
            async with self.database.write() as session:
                lifted = await _lift(session, _of_network(canonical, now), who, now)
            if lifted:
                await self._apply()
        return bool(lifted)

    def follow(self, background: Background) -> None:
        """Runs as long as the panel."""
        background.keep("bans", self.look, EVERY_SECONDS)

    async def look(self) -> None:
        """Take out what has ended, and tell HAProxy what it lacks."""
        async with self._one:
            await self._follow_clock()
            content = await self._content()
            before = await self.map.write(content)
            try:
                if before != content:
                    await self.map.tell(before, content)
                if await self.map.differs(content):
                    await self.map.tell(b"", content)  # As if it had none: all of them are sent.
            except (EngineUnavailable, NotSwapped) as problem:
                log.debug("HAProxy does not have all bans yet: %s", problem.message)

    async def _follow_clock(self) -> None:
        """After the clock was set back, a lift of later is of now: nothing counts against a network before it
        (automatic_bans.py). So are bans once it stays back: none lasts longer for that."""
        now = datetime.now(UTC)
        later = or_(col(Ban.created_at) > now, col(Ban.lifted_at) > now)
        async with self.database.read() as session:
            bans = (await session.exec(select(Ban).where(later))).all()
        self._back_since = (self._back_since or since_boot()) if bans else None
        stays = self._back_since is not None and since_boot() - self._back_since >= STAYS_BACK_SECONDS
        if bans and (stays or any(ban.lifted_at for ban in bans)):
            async with self.database.write() as session:
                for ban in bans:
                    ban.date_back(now, stays=stays)
                    session.add(ban)

    async def _apply(self) -> bool:
        """Whether HAProxy has it."""
        content = await self._content()
        try:
            before = await self.map.write(content)
        except OSError as error:
            words = f"The ban is stored, but its file could not be written: {error.strerror or error}."
            raise StorageFailed(f"{words} It is tried again every {EVERY_SECONDS:.0f} s.") from error
        try:
            await self.map.tell(before, content)
        except (EngineUnavailable, NotSwapped) as problem:
            log.warning("HAProxy does not have a change of bans yet: %s", problem.message)
            return False
        return True

    async def _content(self) -> bytes:
        async with self.database.read() as session:
            query = select(Ban.network, Ban.ends_at).where(_active(datetime.now(UTC)))
            rows = (await session.exec(query)).all()
        return await asyncio.to_thread(_map, rows)


async def active(session: AsyncSession, *, q: str = "", **portion: Unpack[Portion]) -> Page[Ban]:
    """Newest first."""
    return await _page(session, _active(datetime.now(UTC)), q, portion)


async def ended(session: AsyncSession, *, q: str = "", **portion: Unpack[Portion]) -> Page[Ban]:
    return await _page(session, ~_active(datetime.now(UTC)), q, portion)


async def ends(session: AsyncSession, networks: Collection[str]) -> Mapping[str, datetime]:
    """When the last ban of exactly these networks ends, or ended. LATEST: never."""
    ends_at: Any = func.max(func.coalesce(col(Ban.lifted_at), col(Ban.ends_at), LATEST))
    query = select(Ban.network, ends_at).where(col(Ban.network).in_(networks)).group_by(col(Ban.network))
    return dict((await session.exec(query)).all())


async def served(session: AsyncSession, networks: Collection[str], since: datetime) -> Mapping[str, int]:
    """How many automatic bans of exactly these networks were made since then, without those that were lifted."""
    query = select(Ban.network, func.count()).where(col(Ban.network).in_(networks), col(Ban.lifted_at).is_(None))
    query = query.where(col(Ban.origin) == AUTOMATIC, col(Ban.created_at) > since).group_by(col(Ban.network))
    return dict((await session.exec(query)).all())


async def drop_ended(session: AsyncSession, oldest: datetime, most: int) -> int:
    """Delete those that ended before a time, and at most so many. Returns their number."""
    ended_at = func.coalesce(col(Ban.lifted_at), col(Ban.ends_at))
    old = select(Ban.id).where(ended_at < oldest).limit(most)
    return (await session.exec(delete(Ban).where(col(Ban.id).in_(old)))).rowcount


async def _page(session: AsyncSession, which: Any, q: str, portion: Portion) -> Page[Ban]:
    query = select(Ban).where(which)
    if q:
        query = query.where(holds(q, Ban.network, Ban.reason, Ban.created_by))
    return await cut_in_sql(session, query, [col(Ban.id)], descending=True, **portion)


async def _not_banned(session: AsyncSession, bans: Sequence[Ban]) -> list[Ban]:
    banned = set((await session.exec(select(Ban.network).where(_active(datetime.now(UTC))))).all())
    return [ban for ban in bans if banned.isdisjoint(_around(ban.network))]


async def _lift(session: AsyncSession, which: Any, who: str, now: datetime) -> list[Ban]:
    bans = list((await session.exec(select(Ban).where(which, _active(now)))).all())
    for ban in bans:
        ban.lifted_at, ban.lifted_by = now, who
        session.add(ban)
    return bans


def _active(now: datetime) -> Any:
    return col(Ban.lifted_at).is_(None) & or_(col(Ban.ends_at).is_(None), col(Ban.ends_at) > now)


def _of_network(network: str, now: datetime) -> Any:
    return (col(Ban.network) == network) & _active(now)


def _around(network: str) -> Iterator[str]:
    """This network, and each that contains it, as bans have them."""
    yield network
    for prefix in range(ip_network(network).prefixlen):
        yield str(ip_network(network).supernet(new_prefix=prefix))


def _network(text: str) -> str:
    try:
        return parsing.network(text.strip())
    except ValueError as error:
        raise Invalid.at("network", f"{str(error).rstrip('.')}.") from None


def _map(rows: Sequence[tuple[str, datetime | None]]) -> bytes:
    entries = (Entry(network, int(ends_at.timestamp()) if ends_at else 0) for network, ends_at in rows)
    return ordered(entries).map
