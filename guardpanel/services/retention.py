"""Deletes the past: all but the newest releases on disk, the newest changes and their revisions in the database, and bans that
ended long ago.

In small complete steps between saves: a crash between two of them leaves less to do, and nothing half done. The live revision,
the last good one before it and whatever an unfinished attempt needs are never deleted. SQLite's file does not shrink: new changes
reuse free pages. An incremental vacuum would block the writer to move pages that are soon needed again.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, delete, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel import clock
from guardpanel.certificates import contents
from guardpanel.engines.releases import ReleaseDamaged
from guardpanel.errors import Busy, EngineUnavailable
from guardpanel.models import Deployment, Revision
from guardpanel.models.revision import Outcome
from guardpanel.services.access import bans, feed_states
from guardpanel.services.access.list_contents import ListContents
from guardpanel.services.backups.backups import Backups
from guardpanel.services.saving.changes import Changes
from guardpanel.settings import Settings

log = logging.getLogger(__name__)

STEP = 10
"Changes deleted per transaction: a concurrent save waits some milliseconds at most."

BANS_STEP = 1000
"The same of bans, which nothing refers to."

PAUSE_SECONDS = 0.05
"Seconds between two steps."

AFTER_A_SAVE = 3.0
"Seconds, also after the start. Saves in quick succession share a pass."

EVERY_SECONDS = 3600.0
"Seconds after which it runs without a save, since data also ages."


class Retention:
    """Runs in the background: at startup, after saves, and every hour."""

    def __init__(self, changes: Changes, settings: Settings, backups: Backups) -> None:
        self.changes = changes
        self.settings = settings
        self.backups = backups
        self._list_contents = ListContents(changes.database)

    def start(self) -> None:
        self.changes.background.once("sweep", self._sweep)
        self.changes.background.keep("retention", self._pass, self._until_the_next)

    async def _sweep(self) -> None:
        """Delete what an earlier panel left unfinished."""
        try:
            async with self.changes.turn():
                await asyncio.to_thread(self.changes.engines.releases.sweep)
        except Busy as busy:
            log.warning("cannot delete leftover files yet: %s", busy.message)
        await asyncio.to_thread(self.backups.sweep)

    async def _pass(self) -> None:
        """A while after the start, too: the first visitors come first."""
        await self.changes.background.sleep(AFTER_A_SAVE)
        self.changes.saved.clear()
        await self.tidy()

    async def _until_the_next(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY_SECONDS):
                await self.changes.saved.wait()

    async def tidy(self) -> None:
        """One pass: changes first, since a release is deleted with its revision."""
        async with self.changes.database.write() as session:
            await contents.wipe_old(session, clock.AGES.now())
            await feed_states.drop_orphans(session, self._oldest())
        while await self._drop_changes():
            await self._leave_room()
        while await self._drop_bans():
            await self._leave_room()
        await self._list_contents.tidy(self._leave_room)
        for number in await self._old_releases():
            await asyncio.to_thread(self.changes.engines.releases.drop, number)
            await self._leave_room()

    async def _leave_room(self) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        while self.changes.is_saving:
            await asyncio.sleep(PAUSE_SECONDS)

    async def _drop_changes(self) -> int:
        """One step. Returns the number of deleted changes."""
        async with self.changes.database.write() as session:
            gone = await self._old_changes(session)
            await session.exec(delete(Deployment).where(col(Deployment.id).in_(gone)))
            needed = select(Deployment.id).where(col(Deployment.revision_id) == col(Revision.id)).exists()
            unneeded = select(Revision.id).where(~needed).limit(STEP)
            await session.exec(delete(Revision).where(col(Revision.id).in_(unneeded)))
        return len(gone)

    async def _drop_bans(self) -> int:
        """One step. Returns the number of deleted bans, none of which is in effect."""
        async with self.changes.database.write() as session:
            return await bans.drop_ended(session, self._oldest(), BANS_STEP)

    def _oldest(self) -> datetime:
        return clock.AGES.now() - timedelta(days=self.settings.keep_days)

    async def _old_changes(self, session: AsyncSession) -> list[int]:
        """Beyond the configured number, or too old. Rejected ones are counted separately, so that they push no others out."""
        protected_ids = await protected(session)
        ids: list[int] = []
        for pool in (col(Deployment.outcome) == Outcome.LIVE, col(Deployment.outcome) != Outcome.LIVE):
            beyond = select(Deployment.id).where(pool).order_by(col(Deployment.id).desc())
            last = (await session.exec(beyond.offset(self.settings.keep_revisions).limit(1))).first() or 0
            old = or_(col(Deployment.id) <= last, col(Deployment.started_at) < self._oldest())
            chosen = (
                select(Deployment.id)
                .where(pool, old, col(Deployment.id).not_in(protected_ids))
                .order_by(col(Deployment.id))
            )
            ids += [number or 0 for number in (await session.exec(chosen.limit(STEP))).all()]
        return ids[:STEP]

    async def _old_releases(self) -> list[int]:
        """Releases on disk to delete, oldest first. None while it is unknown what HAProxy still uses. The agent has already
        dropped their applications: one that matches no release would look like drift."""
        on_disk = await asyncio.to_thread(self.changes.engines.releases.numbers)
        async with self.changes.database.read() as session:
            rows = await session.exec(select(Revision.id, Revision.checksum))
            known = {number or 0: checksum for number, checksum in rows.all()}
            kept = await _revisions_of(session, await protected(session))
        try:
            draining = await self.changes.engines.drop_unused()
        except (EngineUnavailable, ReleaseDamaged):  # What was changed by hand is reported as drift.
            return []
        if draining is None:
            return []
        # A number above all known ones may belong to a save in progress.
        unknown = [number for number in on_disk if number not in known and number < max(known, default=0)]
        beyond = [number for number in on_disk if number in known][: -self.settings.keep_releases]
        return [*unknown, *(number for number in beyond if number not in kept and known[number] not in draining)]


async def protected(session: AsyncSession) -> set[int]:
    """The changes that are never deleted: what is live, what an undo or a rollback needs, and what is unfinished."""
    went_live = select(Deployment.id).where(col(Deployment.outcome) == Outcome.LIVE).order_by(col(Deployment.id).desc())
    newest = (await session.exec(went_live.limit(2))).all()
    live = select(Deployment.revision_id).where(col(Deployment.id) == (newest[0] if newest else None)).scalar_subquery()
    before = (await session.exec(went_live.where(col(Deployment.revision_id) != live).limit(1))).all()
    under_way = (await session.exec(select(Deployment.id).where(col(Deployment.outcome) == Outcome.DEPLOYING))).all()
    return {number for number in (*newest, *before, *under_way) if number is not None}


async def _revisions_of(session: AsyncSession, changes: Iterable[int]) -> set[Any]:
    return set((await session.exec(select(Deployment.revision_id).where(col(Deployment.id).in_(changes)))).all())
