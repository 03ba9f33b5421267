"""The path of every save: render, stage, check, record, commit, deploy, verify, or roll everything back.

In this order (docs/architecture.md): nothing is visible before it is durable, nothing is durable before the engines have checked
it, and success is not reported before the live processes prove it. A save that has begun runs to its end even if the browser
disconnects.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access.contents import ListMaps
from guardpanel.background import Background, tell_fault
from guardpanel.database import Database
from guardpanel.engines import Engines
from guardpanel.engines.answers import SAVE_PATIENCE_SECONDS
from guardpanel.engines.haproxy.reloading import START_PATIENCE_SECONDS
from guardpanel.errors import ConfigRejected, Drifted
from guardpanel.lock import only_one
from guardpanel.models import Deployment
from guardpanel.rendering import EngineFacts
from guardpanel.sealing import Seal
from guardpanel.services.saving import revisions, snapshots
from guardpanel.services.saving.change import Change, PreparedSave, SaveRequest, SaveResult
from guardpanel.services.saving.deployments import Deployments
from guardpanel.services.saving.once import Once
from guardpanel.services.saving.preparing import Mutation, Preparing
from guardpanel.services.saving.progress import Progress, Saves
from guardpanel.services.saving.renderer import Renderer
from guardpanel.services.saving.watch import Watch

__all__ = ["Change", "Changes", "SaveRequest", "SaveResult"]

T = TypeVar("T")


class Changes:
    """The one path of every save. One at a time, in this process and on this machine."""

    is_confirmed: bool | None = None
    "Of a whole state, such as a file's: whether warnings about it are accepted. None: rows are saved one by one."

    def __init__(
        self,
        database: Database,
        engines: Engines,
        facts: EngineFacts,
        lock: Path,
        seal: Seal,
        background: Background | None = None,
    ) -> None:
        self.database = database
        self.engines = engines
        self.seal = seal
        self.background = background or Background()
        self.renderer = Renderer(engines, facts, seal, ListMaps(database))
        self.saves = Saves()
        self.once = Once(database)
        self.watch = Watch()
        self.preparing = Preparing(database, engines, self.renderer)
        self.deployments = Deployments(database, engines, self.renderer, self.watch)
        self.saved = asyncio.Event()
        "Set after each save, whatever its outcome. Waiters clear it."
        self.turns = 0
        "Counts changes and attempts: what was observed during one of them may be inconsistent."
        self._ended_at = 0
        "The database's version after a save that left no attempt without an outcome."
        self._lock = lock
        self._turn = asyncio.Lock()
        self._by_key: OrderedDict[tuple[str, str], asyncio.Task[object]] = OrderedDict()
        "Saves by key and content."
        self._running: set[asyncio.Task[object]] = set()
        "Nothing else may reference a save whose browser has disconnected."

    async def save(self, change: Change, mutate: Mutation[T]) -> SaveResult[T]:
        """Make the change that `mutate` makes in the database live.

        Raises what `mutate` raises, Drifted (something was changed outside guardpanel), EngineUnavailable, StorageFailed,
        ConfigRejected (an engine rejected it), RolledBack or RollbackFailed (it could not be verified live), Busy (another
        process saves). After any of them nothing was saved.
        """
        task = self._known(change.request) or self._begin(change, mutate)
        # Shielded: a browser that disconnects must not leave half a save behind.
        saved: SaveResult[T] = await asyncio.shield(task)  # type: ignore[arg-type]
        return saved

    def _known(self, request: SaveRequest) -> asyncio.Task[object] | None:
        """The same save, running or successful. A failed one is tried again."""
        task = self._by_key.get((request.key, request.content)) if request.key else None
        has_failed = task is not None and task.done() and (task.cancelled() or task.exception() is not None)
        return None if has_failed else task

    def _begin(self, change: Change, mutate: Mutation[T]) -> asyncio.Task[object]:
        task: asyncio.Task[object] = asyncio.create_task(self._save(change, mutate), name="save")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(tell_fault)
        if change.request.key:
            self._by_key[change.request.key, change.request.content] = task
            while len(self._by_key) > 500:
                self._by_key.popitem(last=False)
        return task

    @property
    def is_saving(self) -> bool:
        """Also a plan that is being checked, or anything else that no save may run beside."""
        return self._turn.locked()

    @property
    def is_deploying(self) -> bool:
        """A save runs, or waits for its turn."""
        return bool(self._running)

    def is_still(self, turns: int) -> bool:
        """Whether no change is being made, and none has been since `turns` was read."""
        return self.turns == turns and not self.is_saving

    async def put_back(self, request: SaveRequest) -> SaveResult[None] | None:
        """Redeploy the live revision: rows, release, agent and HAProxy, whatever their state. None if nothing was ever live.
        Raises what `save` raises."""
        async with self.database.read() as session:
            if await revisions.live(session) is None:
                return None
        change = Change(replace(request, over_drift=True), "Redeployed the live revision", again=True)

        async def mutate(session: AsyncSession) -> None:
            live, rows = await revisions.live(session), await revisions.live_rows(session)
            if live is not None and rows is not None and await snapshots.take(session) != rows:
                await snapshots.put_back(session, await asyncio.to_thread(snapshots.rows, rows))
            change.summary = f"Redeployed revision {live.id if live else ''}"

        return await self.save(change, mutate)

    async def settle(self) -> None:
        """End attempts whose outcome was never recorded: the panel was killed, or the disk was full. Raises StorageFailed while
        it still is."""
        async with self.turn():
            await asyncio.to_thread(self.engines.sweep)
            await self._end_unrecorded()

    async def _end_unrecorded(self) -> None:
        """Whoever has the turn begins with rows that are live: a later rollback would take its own with it."""
        if self._ended_at == self.database.version():
            return
        for deployment in await self._unrecorded():
            self.preparing.forget()  # The rows may be rolled back.
            await self.deployments.settle(deployment)

    async def _unrecorded(self) -> Sequence[Deployment]:
        async with self.database.read() as session:
            return await revisions.open_deployments(session)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The turn of this process and this machine."""
        async with self._turn:
            with only_one(self._lock):
                self.turns += 1
                yield

    async def settled(self) -> None:
        """Wait for the end of a save whose rows can be read already, and that is not live yet. One whose outcome could not be
        recorded is ended first, since it may be rolled back. Raises what `settle` raises."""
        async with self._turn:
            left = await self._unrecorded()
        if left:
            await self.settle()

    # A save

    async def _save(self, change: Change, mutate: Mutation[T]) -> SaveResult[T]:
        progress = self.saves.begin(change.request.key)
        try:
            async with self.turn():
                await self._end_unrecorded()
                await self._may_begin(change)
                try:
                    value, prepared = await self.preparing.prepare(change, mutate, progress)
                except ConfigRejected as rejected:
                    progress.end(rejected.message)
                    await self.deployments.record_rejection(change, rejected, progress)
                    raise
                is_new = isinstance(prepared, PreparedSave)
                if isinstance(prepared, PreparedSave):
                    await self._deploy(prepared, progress)
                self._ended_at = self.database.version()
                steps = tuple(progress.steps)
                return SaveResult(value, prepared.revision, progress.seconds, is_new, steps, prepared.deployment_id)
        finally:
            progress.end()
            progress.over = True
            self.saved.set()

    async def _may_begin(self, change: Change) -> None:
        """Changes made outside guardpanel are only overwritten after confirmation, and a save that could not be verified does not
        begin."""
        by_hand = [drift.what for drift in self.watch.drift if not drift.ours]
        if by_hand and not change.request.over_drift:
            words = " ".join(by_hand[:3])
            raise Drifted(f"Saving would overwrite a change made outside guardpanel. {words}")
        change.overwrites = bool(by_hand) and change.request.over_drift
        if not change.again:  # What does not run may be what must be redeployed.
            await self.engines.must_answer(START_PATIENCE_SECONDS if change.quiet else SAVE_PATIENCE_SECONDS)

    async def _deploy(self, prepared: PreparedSave, progress: Progress) -> None:
        try:
            await self.deployments.deploy(prepared, progress)
        except BaseException:
            self.preparing.forget()  # The rows may be the previous ones.
            raise
