"""Every save goes through here: render, stage, check, record, commit, deploy, prove — or put everything back.

The order is DESIGN §4's: nothing is visible before it is durable, nothing is durable before the engines have
checked it, nobody is told before the live processes prove it. A save that has begun runs to its end even if the
browser that asked for it goes away.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.bundle import Application, Bundle
from guardpanel.database import Database
from guardpanel.engines import Engines
from guardpanel.engines.deployer import SAVE_PATIENCE, START_PATIENCE
from guardpanel.engines.lock import only_one
from guardpanel.engines.releases import Release, ReleaseDamaged
from guardpanel.errors import (
    ConfigRejected,
    DeploymentFailed,
    Drifted,
    Problem,
    RollbackFailed,
    RolledBack,
    StorageFailed,
)
from guardpanel.models import Deployment, Revision
from guardpanel.models.revision import Outcome
from guardpanel.rendering import DesiredState, EngineFacts, render
from guardpanel.services import revisions, snapshots
from guardpanel.services.change import Asked, Change, Prepared, Saved, Unchanged
from guardpanel.services.facts import secret_in, secret_of
from guardpanel.services.progress import Progress, Saves
from guardpanel.services.refusals import at_fields
from guardpanel.services.snapshots import Snapshot
from guardpanel.services.watch import Watch

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

    def __init__(self, database: Database, engines: Engines, facts: EngineFacts, lock: Path) -> None:
        self.database = database
        self.engines = engines
        self.facts = facts
        self.saves = Saves()
        self.watch = Watch()
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
        self._live_applications: tuple[str, dict[str, Application]] | None = None
        "Checksum of the live bundle, and its applications by name."

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
        task: asyncio.Task[object] = asyncio.create_task(self._save(change, mutate))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
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
        change = Change(replace(asked, over_drift=True), "Put the live revision back", again=True)

        async def mutate(session: AsyncSession) -> None:
            live, rows = await revisions.live(session), await revisions.live_rows(session)
            if live is not None and rows is not None and await snapshots.take(session) != rows:
                await snapshots.put_back(session, await asyncio.to_thread(snapshots.rows, rows))
            change.summary = f"Put revision {live.id if live else ''} back"

        return await self.save(change, mutate)

    async def settle(self) -> None:
        """End the attempts whose end was never recorded: the panel was killed, or the disk was full."""
        async with self.turn():
            await asyncio.to_thread(self.engines.sweep)
            async with self.database.read() as session:
                left = await revisions.open_deployments(session)
            for deployment in left:
                await self._settle(deployment)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """This process's turn, and this machine's."""
        async with self._turn:
            with only_one(self._lock):
                self.turns += 1
                yield

    async def applications_of(self, live: Revision) -> dict[str, Application]:
        """The live revision's applications by name."""
        if self._live_applications is None or self._live_applications[0] != live.checksum:
            bundle = await self.rendered(snapshots.unpacked(live.snapshot))
            self._live_applications = live.checksum, _by_name(bundle)
        return self._live_applications[1]

    async def rendered(self, snapshot: Snapshot, facts: EngineFacts | None = None) -> Bundle:
        """What the engines get, or got, from these rows. In a thread."""
        return await asyncio.to_thread(_rendered, snapshot, facts or self.facts)

    async def facts_now(self, session: AsyncSession) -> EngineFacts:
        """The facts with the installation's secret as this session sees it: a restored backup brings its own."""
        return replace(self.facts, secret=await secret_of(session) or self.facts.secret)

    def _use(self, facts: EngineFacts) -> None:
        self.facts = facts
        self.engines.verifier.secret = facts.secret

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
                    await self._record_rejection(change, rejected, progress)
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
        if self.watch.drift and not change.asked.over_drift and not change.quiet:
            words = " ".join(drift.what for drift in self.watch.drift[:3])
            raise Drifted(f"This save would overwrite what somebody changed by hand. {words}")
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
        self._use(draft.facts or self.facts)
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
        value = await mutate(session)
        await session.flush()
        after = await snapshots.take(session)
        draft.facts = await self.facts_now(session)
        bundle = await self.rendered(after, draft.facts)
        live = await revisions.live(session)
        same = live if live is not None and live.checksum == bundle.checksum and not change.of_backup else None
        if same is not None and not change.again:
            return value, await self._unchanged(session, change, same, after, progress)
        revision = same or await self._new_revision(session, change, bundle, draft)
        progress.tell("stage")
        release = await asyncio.to_thread(self._release, bundle, revision.id or 0)
        changed = await self._changed(bundle, None if same or change.of_backup else live)
        progress.tell("check")
        packed = await self._checked(change, release, bundle, changed, after)
        progress.tell("record")
        deployment = _attempt(change, revision.id, Outcome.DEPLOYING, progress)
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
            if change.noun == "virtual_host" and server.virtual_host_id == change.noun_id
        ]
        try:
            await self.engines.check(release, bundle, changed=changed, names=names)
        except ConfigRejected:
            change.attempted = await packing
            raise
        return await packing

    def _release(self, bundle: Bundle, number: int) -> Release:
        """The revision's release; staged anew where it is missing or was tampered with."""
        with suppress(ReleaseDamaged):
            release = self.engines.releases.open(number)
            if release.checksum == bundle.checksum:
                return release
        return self.engines.stage(bundle, number)

    async def _unchanged(
        self, session: AsyncSession, change: Change, live: Revision, after: Snapshot, progress: Progress
    ) -> Unchanged:
        """The engines' configuration stays the same: the rows are the whole change."""
        attempt = _attempt(change, live.id, Outcome.LIVE, progress)
        if not change.quiet:
            attempt.snapshot = await asyncio.to_thread(snapshots.packed, after)
            session.add(attempt)
            await session.flush()
        return Unchanged(attempt.id or 0, live.id or 0)

    async def _snapshot_before(self, session: AsyncSession, change: Change) -> tuple[Snapshot, bytes]:
        """The rows as they are: those of the save before this one, unless somebody else wrote since."""
        kept, self._snapshot = self._snapshot, None
        if kept is not None and kept[0] == await _data_version(session) and not change.of_backup:
            return kept[1], kept[2]
        snapshot = await (snapshots.take_whole if change.of_backup else snapshots.take)(session)
        return snapshot, await asyncio.to_thread(snapshots.packed, snapshot)

    async def _changed(self, bundle: Bundle, live: Revision | None) -> frozenset[str]:
        """The applications that the live revision does not have; all of them without one."""
        before = await self.applications_of(live) if live is not None else {}
        return frozenset(application.name for application in bundle.applications) - frozenset(before)

    # Deployment, and back

    async def _deploy(self, prepared: Prepared, progress: Progress) -> None:
        try:
            await self.engines.deploy(
                prepared.release, prepared.bundle, changed=prepared.changed, tell=progress.tell, again=prepared.again
            )
        except DeploymentFailed as failed:
            progress.end(failed.message)
            await self._roll_back(prepared, failed, progress)
        progress.end()
        self._live_applications = prepared.bundle.checksum, _by_name(prepared.bundle)
        try:
            await self._conclude(prepared, Outcome.LIVE, progress)
        except StorageFailed as failed:
            words = (
                f"This is live as revision {prepared.revision}, but that could not be recorded yet. {failed.message}"
            )
            raise StorageFailed(f"{words} It is recorded as soon as the disk takes it.") from failed
        self.watch.proved()
        self.engines.tidy()

    async def _roll_back(self, prepared: Prepared, failed: DeploymentFailed, progress: Progress) -> None:
        """Put the release and then the rows before this change back, and say which of both worked. Always raises.

        Cut off in the middle it is an attempt without an end, which `settle` ends at the next start.
        """
        evidence = f"{failed.message}\n{failed.evidence}".strip()
        progress.tell("roll back")
        try:
            revision, reserve = await self._put_release_back(prepared)
        except Problem as again:
            progress.end(again.message)
            words = f"{evidence}\nGoing back failed too: {again.message}\n{getattr(again, 'evidence', '')}".strip()
            await self._conclude(prepared, Outcome.FAILED, progress, failed.message, words)
            raise RollbackFailed(
                f"{failed.message} Going back to the revision before it failed too: {again.message} "
                "Nothing was saved, and guardpanel does nothing more by itself.",
                steps=progress.steps,
                evidence=words,
            ) from again
        progress.end()
        await self._conclude(prepared, Outcome.ROLLED_BACK, progress, failed.message, evidence)
        self.watch.proved()
        self.engines.tidy()
        raise RolledBack(
            f"{failed.message} Nothing was saved: revision {revision} is live again. {reserve}".strip(),
            steps=progress.steps,
            evidence=evidence,
        ) from failed

    async def _put_release_back(self, prepared: Prepared) -> tuple[int, str]:
        """Make the release before this change live again; its number, and what is still to be said."""
        if prepared.previous is None:
            raise DeploymentFailed("There is no earlier revision to go back to.", step="roll back")
        before = await asyncio.to_thread(snapshots.rows, prepared.before)
        self._use(replace(self.facts, secret=secret_in(before) or self.facts.secret))
        number = prepared.previous.id or 0
        bundle = await self.rendered(snapshots.unpacked(prepared.previous.snapshot))
        release = await asyncio.to_thread(self._release, bundle, number)
        return number, await self.engines.roll_back(release, bundle)

    async def _conclude(
        self, prepared: Prepared, outcome: Outcome, progress: Progress, message: str = "", output: str = ""
    ) -> None:
        """Record how it ended; if not well, with the rows as they were before it, in the same transaction."""
        async with self.database.write() as session:
            if outcome is not Outcome.LIVE:
                self._snapshot = None
                await snapshots.put_back(session, await asyncio.to_thread(snapshots.rows, prepared.before))
            found = await session.exec(select(Deployment).where(col(Deployment.id) == prepared.deployment_id))
            deployment = found.one()
            deployment.outcome, deployment.message, deployment.output = outcome, message, output
            deployment.steps, deployment.seconds = _steps(progress), progress.seconds
            deployment.before = None
            session.add(deployment)

    async def _record_rejection(self, change: Change, rejected: ConfigRejected, progress: Progress) -> None:
        async with self.database.write() as session:
            attempt = _attempt(change, None, Outcome.REJECTED, progress)
            attempt.message, attempt.output = rejected.message, rejected.output
            attempt.snapshot = change.attempted
            session.add(attempt)

    # After a crash

    async def _settle(self, deployment: Deployment) -> None:
        """Forward if HAProxy runs it and it can be proved; else back, as far as the engines answer."""
        prepared = await self._prepared_before(deployment)
        if prepared is None:
            return
        progress = Progress()
        if await self._is_proved_now(prepared, progress):
            words = "guardpanel was stopped during this change; HAProxy ran it, and it was proved live afterwards."
            await self._conclude(prepared, Outcome.LIVE, progress, words)
            return
        with suppress(Problem):  # what does not answer now is found to differ when it does
            await self._put_release_back(prepared)
        words = (
            "guardpanel was stopped during this change, and it could not be proved live afterwards. Nothing was saved."
        )
        await self._conclude(prepared, Outcome.ROLLED_BACK, progress, words)

    async def _prepared_before(self, deployment: Deployment) -> Prepared | None:
        """The change as it was when it was cut off."""
        async with self.database.read() as session:
            revision = await session.get(Revision, deployment.revision_id)
            previous = await revisions.live(session)
        if revision is None or deployment.before is None:
            return None
        bundle = await self.rendered(snapshots.unpacked(revision.snapshot))
        number = revision.id or 0
        release = Release(number, self.engines.releases.root / str(number), revision.checksum)
        before = snapshots.unpacked(deployment.before)
        return Prepared(deployment.id or 0, number, release, bundle, before, previous, frozenset(_by_name(bundle)))

    async def _is_proved_now(self, prepared: Prepared, progress: Progress) -> bool:
        if not await self.engines.runs(prepared.release.checksum):
            return False
        try:
            await asyncio.to_thread(self._release, prepared.bundle, prepared.revision)
            await self.engines.deploy(
                prepared.release, prepared.bundle, changed=prepared.changed, tell=progress.tell, again=prepared.again
            )
        except Problem as problem:
            progress.end(problem.message)
            return False
        progress.end()
        return True


def _is_over_in_vain(task: asyncio.Task[object]) -> bool:
    """A save that was refused or failed may be tried again under the same key."""
    return task.done() and (task.cancelled() or task.exception() is not None)


def _rendered(snapshot: Snapshot, facts: EngineFacts) -> Bundle:
    return render(DesiredState.from_rows(snapshots.rows(snapshot), facts))


def _by_name(bundle: Bundle) -> dict[str, Application]:
    return {application.name: application for application in bundle.applications}


async def _data_version(session: AsyncSession) -> int:
    """Changes when another connection commits (SQLite, PRAGMA data_version); ours is the only writing one."""
    found = await (await session.connection()).exec_driver_sql("PRAGMA data_version")
    return int(found.scalar_one())


def _attempt(change: Change, revision: int | None, outcome: Outcome, progress: Progress) -> Deployment:
    return Deployment(
        revision_id=revision,
        outcome=outcome,
        author=change.asked.who,
        summary=change.summary[:500],
        noun=change.noun,
        noun_id=change.noun_id,
        touched=change.touched,
        steps=_steps(progress),
        seconds=progress.seconds,
    )


def _steps(progress: Progress) -> list[dict[str, str | float | None]]:
    return [asdict(step) for step in progress.steps]
