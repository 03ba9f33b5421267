"""Every save goes through here: render, stage, check, record, commit, deploy, prove — or put everything back.

The order is DESIGN §4's: nothing is visible before it is durable, nothing is durable before the engines have
checked it, nobody is told before the live processes prove it. A save that has begun runs to its end even if the
browser that asked for it goes away.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.background import Background, tell_fault
from guardpanel.bundle import Bundle
from guardpanel.database import Database
from guardpanel.engines import Engines
from guardpanel.engines.answers import SAVE_PATIENCE
from guardpanel.engines.lock import only_one
from guardpanel.engines.releases import Release
from guardpanel.engines.reloading import START_PATIENCE
from guardpanel.errors import ConfigRejected, Drifted, Problem
from guardpanel.models import Revision
from guardpanel.models.revision import Outcome
from guardpanel.rendering import EngineFacts
from guardpanel.services.saving import revisions, snapshots
from guardpanel.services.saving.change import Asked, Change, Prepared, Saved, Unchanged
from guardpanel.services.saving.deployments import Deployments, attempt_of
from guardpanel.services.saving.progress import Progress, Saves
from guardpanel.services.saving.refusals import at_fields
from guardpanel.services.saving.renderer import Renderer
from guardpanel.services.saving.snapshots import Snapshot
from guardpanel.services.saving.watch import Watch

__all__ = ["Asked", "Change", "Changes", "Saved"]

T = TypeVar("T")


@dataclass
class Draft:
    """What a transaction leaves outside of the database until it is committed."""

    number: int | None = None
    "The release of a new revision."
    kept: tuple[int, Snapshot, bytes] | None = None
    facts: EngineFacts | None = None
    "With the installation's secret as the transaction leaves it."


class Changes:
    """The one path of every save. One at a time, in this process and on this machine."""

    def __init__(
        self,
        database: Database,
        engines: Engines,
        facts: EngineFacts,
        lock: Path,
        background: Background | None = None,
    ) -> None:
        self.database = database
        self.engines = engines
        self.background = background or Background()
        self.renderer = Renderer(engines, facts)
        self.saves = Saves()
        self.watch = Watch()
        self.deployments = Deployments(database, engines, self.renderer, self.watch)
        self.saved = asyncio.Event()
        "Set after each save, however it ended; whoever waits for it clears it."
        self.turns = 0
        "How often something was changed, or tried: what was seen beside one of them may be half of it."
        self._lock = lock
        self._turn = asyncio.Lock()
        self._by_key: OrderedDict[tuple[str, str], asyncio.Task[object]] = OrderedDict()
        "Saves by key and content."
        self._running: set[asyncio.Task[object]] = set()
        "Nobody else may hold a save whose browser has gone."
        self._snapshot: tuple[int, Snapshot, bytes] | None = None
        "The database's data version, its configuration rows then, and the same packed."

    async def save(self, change: Change, mutate: Callable[[AsyncSession], Awaitable[T]]) -> Saved[T]:
        """Make the change that `mutate` makes in the database live.

        Raises what `mutate` raises, Drifted (somebody changed what runs), EngineUnavailable, StorageFailed,
        ConfigRejected (an engine refused it), RolledBack or RollbackFailed (it could not be proved live), Busy
        (another process saves). After any of them nothing was saved.
        """
        task = self._known(change.asked) or self._begin(change, mutate)
        # Shielded: a browser that goes away must not leave half a save behind.
        saved: Saved[T] = await asyncio.shield(task)  # type: ignore[arg-type]
        return saved

    def _known(self, asked: Asked) -> asyncio.Task[object] | None:
        """The same save, under way or gone through; one that failed is tried again."""
        task = self._by_key.get((asked.key, asked.content)) if asked.key else None
        has_failed = task is not None and task.done() and (task.cancelled() or task.exception() is not None)
        return None if has_failed else task

    def _begin(self, change: Change, mutate: Callable[[AsyncSession], Awaitable[T]]) -> asyncio.Task[object]:
        task: asyncio.Task[object] = asyncio.create_task(self._save(change, mutate), name="save")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(tell_fault)
        if change.asked.key:
            self._by_key[change.asked.key, change.asked.content] = task
            while len(self._by_key) > 500:
                self._by_key.popitem(last=False)
        return task

    @property
    def is_saving(self) -> bool:
        return self._turn.locked()

    async def put_back(self, asked: Asked) -> Saved[None] | None:
        """Have everything as the live revision has it: rows, release, agent and HAProxy, whatever they are now.

        None where nothing was ever live. Raises what `save` raises.
        """
        async with self.database.read() as session:
            if await revisions.live(session) is None:
                return None
        change = Change(replace(asked, over_drift=True), "Redeployed the live revision", again=True)

        async def mutate(session: AsyncSession) -> None:
            live, rows = await revisions.live(session), await revisions.live_rows(session)
            if live is not None and rows is not None and await snapshots.take(session) != rows:
                await snapshots.put_back(session, await asyncio.to_thread(snapshots.rows, rows))
            change.summary = f"Redeployed revision {live.id if live else ''}"

        return await self.save(change, mutate)

    async def settle(self) -> None:
        """End the attempts whose end was never recorded: the panel was killed, or the disk was full."""
        async with self.turn():
            await asyncio.to_thread(self.engines.sweep)
            async with self.database.read() as session:
                left = await revisions.open_deployments(session)
            for deployment in left:
                self._snapshot = None  # the rows may go back
                await self.deployments.settle(deployment)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """This process's turn, and this machine's."""
        async with self._turn:
            with only_one(self._lock):
                self.turns += 1
                yield

    # A save

    async def _save(self, change: Change, mutate: Callable[[AsyncSession], Awaitable[T]]) -> Saved[T]:
        progress = self.saves.begin(change.asked.key)
        try:
            async with self.turn():
                await self._may_begin(change)
                try:
                    value, prepared = await self._prepare(change, mutate, progress)
                except ConfigRejected as rejected:
                    progress.end(rejected.message)
                    await self.deployments.record_rejection(change, rejected, progress)
                    raise
                is_new = isinstance(prepared, Prepared)
                if isinstance(prepared, Prepared):
                    await self._deploy(prepared, progress)
                steps = tuple(progress.steps)
                return Saved(value, prepared.revision, progress.seconds, is_new, steps, prepared.deployment_id)
        finally:
            progress.end()
            progress.over = True
            self.saved.set()

    async def _may_begin(self, change: Change) -> None:
        """Nobody's change by hand is overwritten unasked, and what could not be proved live does not begin."""
        by_hand = [drift.what for drift in self.watch.drift if not drift.ours]
        if by_hand and not change.asked.over_drift and not change.quiet:
            words = " ".join(by_hand[:3])
            raise Drifted(f"Saving would overwrite a change made outside guardpanel. {words}")
        if not change.again:  # what does not run may be what is to be put back
            await self.engines.must_answer(START_PATIENCE if change.quiet else SAVE_PATIENCE)

    async def _prepare(
        self, change: Change, mutate: Callable[[AsyncSession], Awaitable[T]], progress: Progress
    ) -> tuple[T, Prepared | Unchanged]:
        """Everything up to the commit, in one transaction."""
        progress.tell("render")
        draft = Draft()
        try:
            async with self.database.write() as session:
                value, prepared = await self._write(session, change, mutate, progress, draft)
        except BaseException as error:
            if draft.number is not None:
                with suppress(OSError):  # a disk that takes nothing: it is swept later
                    await asyncio.to_thread(self.engines.releases.drop, draft.number)
            if isinstance(error, ConfigRejected):
                raise at_fields(error, change) from error
            raise
        self._snapshot = draft.kept
        self.renderer.use(draft.facts or self.renderer.facts)
        return value, prepared

    async def _write(
        self,
        session: AsyncSession,
        change: Change,
        mutate: Callable[[AsyncSession], Awaitable[T]],
        progress: Progress,
        draft: Draft,
    ) -> tuple[T, Prepared | Unchanged]:
        before, packed_before = await self._snapshot_before(session, change)
        await (await session.connection()).exec_driver_sql("PRAGMA defer_foreign_keys = ON")  # rules are asked first
        value = await mutate(session)
        await session.flush()
        after = await snapshots.take(session)
        draft.facts = await self.renderer.facts_in(session)
        bundle = await self._bundle(change, before, after, draft.facts)
        live = await revisions.live(session)
        same = live if live is not None and live.checksum == bundle.checksum and not change.of_backup else None
        if same is not None and not change.again:
            return value, await self._unchanged(session, change, same, after, progress)
        revision = same or await self._new_revision(session, change, bundle, draft)
        progress.tell("stage")
        release = await asyncio.to_thread(self.renderer.release, bundle, revision.id or 0)
        changed = await self.renderer.changed(bundle, None if same or change.of_backup else live)
        progress.tell("check")
        packed = await self._checked(change, release, bundle, changed, after)
        progress.tell("record")
        deployment = attempt_of(change, revision.id, Outcome.DEPLOYING, progress)
        deployment.before = packed_before
        if same is None:
            revision.snapshot = packed
        else:
            deployment.snapshot = packed
        session.add(deployment)
        await session.flush()
        draft.kept = await _data_version(session), after, packed
        number = revision.id or 0
        prepared = Prepared(deployment.id or 0, number, release, bundle, before, live, changed, change.again)
        return value, prepared

    async def _bundle(self, change: Change, before: Snapshot, after: Snapshot, facts: EngineFacts) -> Bundle:
        if change.again:  # what is live is what everything is put back to, whatever it looks like by now
            return await self.renderer.rendered(after, facts)
        return await self.renderer.accepted(change, before, after, facts)

    async def _new_revision(self, session: AsyncSession, change: Change, bundle: Bundle, draft: Draft) -> Revision:
        revision = Revision(checksum=bundle.checksum, snapshot=b"", author=change.asked.who, summary=change.summary)
        session.add(revision)
        await session.flush()
        draft.number = revision.id
        return revision

    async def _checked(
        self, change: Change, release: Release, bundle: Bundle, changed: frozenset[str], after: Snapshot
    ) -> bytes:
        """The rows, packed while the engines, which are other processes, look at the staged files."""
        packing = asyncio.create_task(asyncio.to_thread(snapshots.packed, after))
        names = [
            server
            for server in bundle.named_servers
            if (server.origin.noun, server.origin.id) == (change.noun, change.noun_id)
        ]
        try:
            await self.engines.check(release, bundle, changed=changed, names=names)
        except ConfigRejected:
            change.attempted = await packing
            raise
        return await packing

    async def _unchanged(
        self, session: AsyncSession, change: Change, live: Revision, after: Snapshot, progress: Progress
    ) -> Unchanged:
        """The engines' configuration stays the same: the rows are the whole change."""
        attempt = attempt_of(change, live.id, Outcome.LIVE, progress)
        if not change.quiet:
            attempt.snapshot = await asyncio.to_thread(snapshots.packed, after)
            session.add(attempt)
            await session.flush()
        return Unchanged(attempt.id or 0, live.id or 0)

    async def _deploy(self, prepared: Prepared, progress: Progress) -> None:
        try:
            await self.deployments.deploy(prepared, progress)
        except Problem:
            self._snapshot = None  # the rows may be those of before
            raise

    async def _snapshot_before(self, session: AsyncSession, change: Change) -> tuple[Snapshot, bytes]:
        """The rows as they are: those of the save before this one, unless somebody else wrote since."""
        kept, self._snapshot = self._snapshot, None
        if kept is not None and kept[0] == await _data_version(session) and not change.of_backup:
            return kept[1], kept[2]
        snapshot = await (snapshots.take_whole if change.of_backup else snapshots.take)(session)
        return snapshot, await asyncio.to_thread(snapshots.packed, snapshot)


async def _data_version(session: AsyncSession) -> int:
    """Changes when another connection commits (SQLite, PRAGMA data_version); ours is the only writing one."""
    found = await (await session.connection()).exec_driver_sql("PRAGMA data_version")
    return int(found.scalar_one())
