"""Every save goes through here: render, stage, check, record, commit, deploy, prove — or put everything back.

The order is DESIGN §4's: nothing is visible before it is durable, nothing is durable before the engines have
checked it, nobody is told before the live processes prove it. A save that has begun runs to its end even if the
browser that asked for it goes away.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.bundle import Application, Bundle
from guardpanel.database import Database
from guardpanel.engines import Engines
from guardpanel.engines.lock import only_one
from guardpanel.engines.releases import Release
from guardpanel.errors import (
    ConfigRejected,
    DeploymentFailed,
    FieldError,
    Finding,
    Problem,
    RollbackFailed,
    RolledBack,
    Step,
)
from guardpanel.models import Deployment, Revision
from guardpanel.models.revision import Outcome
from guardpanel.rendering import DesiredState, EngineFacts, render
from guardpanel.services import revisions, snapshots
from guardpanel.services.facts import secret_of
from guardpanel.services.progress import Progress, Saves
from guardpanel.services.snapshots import Snapshot

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """Who asks for a save, and what they sent along."""

    who: str
    key: str = ""
    "Made by the form: the same key twice is one save, and its progress can be asked for."
    over_drift: bool = False
    "They know that somebody changed what runs by hand, and that this save overwrites it."


@dataclass
class Change:
    """Who changes what, in words. `noun_id` may become known while the change is made."""

    asked: Asked
    summary: str
    noun: str = ""
    noun_id: int | None = None
    quiet: bool = False
    "Leave no trace if the configuration turns out to be the same: nobody asked for it."
    of_backup: bool = False
    """A restored backup. It replaces accounts and the installation's facts, so its roll-back puts those back, too; and it
    is deployed even where it equals the live revision, which may be another machine's."""
    attempted: bytes | None = None
    "The rows that a refused change would have made, packed."


@dataclass(frozen=True)
class Saved(Generic[T]):
    """A save that went through: what it made, and what is live now."""

    value: T
    revision: int
    seconds: float
    is_new: bool
    "False: the engines' configuration is the same as before, and nothing was reloaded."
    steps: tuple[Step, ...] = ()
    change_id: int = 0
    "Of the attempt, among the changes."

    @property
    def sentence(self) -> str:
        if self.is_new:
            return f"Live in {self.seconds:.1f} s as revision {self.revision}"
        return f"Saved. Nothing changes for the engines: revision {self.revision} stays live"


@dataclass(frozen=True)
class Unchanged:
    """A change that is committed; the live revision has the same bytes."""

    deployment_id: int
    revision: int


@dataclass
class Prepared:
    """A change that is committed and waits to be deployed."""

    deployment_id: int
    revision: int
    release: Release
    bundle: Bundle
    before: Snapshot
    previous: Revision | None
    changed: frozenset[str] = field(default_factory=frozenset)


class Changes:
    """The one path of every save. One at a time, in this process and on this machine."""

    def __init__(self, database: Database, engines: Engines, facts: EngineFacts, lock: Path) -> None:
        self.database = database
        self.engines = engines
        self.facts = facts
        self.saves = Saves()
        self.saved = asyncio.Event()
        "Set after each save, however it ended; whoever waits for it clears it."
        self._lock = lock
        self._turn = asyncio.Lock()
        self._by_key: OrderedDict[str, asyncio.Task[object]] = OrderedDict()
        self._snapshot: tuple[int, Snapshot, bytes] | None = None
        "The database's data version, its configuration rows then, and the same packed."
        self._live_applications: tuple[str, dict[str, Application]] | None = None
        "Checksum of the live bundle, and its applications by name."

    async def save(self, change: Change, mutate: Callable[[AsyncSession], Awaitable[T]]) -> Saved[T]:
        """Make the change that `mutate` makes in the database live.

        Raises what `mutate` raises, ConfigRejected (an engine refused it), RolledBack or RollbackFailed (it could
        not be proved live), Busy (another process saves). After any of them nothing was saved.
        """
        key = change.asked.key
        known = self._by_key.get(key) if key else None
        task = known or asyncio.create_task(self._save(change, mutate))
        if key and not known:
            self._by_key[key] = task
            while len(self._by_key) > 500:
                self._by_key.popitem(last=False)
        # Shielded: a browser that goes away must not leave half a save behind.
        saved: Saved[T] = await asyncio.shield(task)  # type: ignore[arg-type]
        return saved

    @property
    def is_saving(self) -> bool:
        return self._turn.locked()

    async def deploy_again(self, revision_id: int) -> None:
        """Make sure that the live revision runs: its release lies on disk, is current, and is proved live.

        Raises DeploymentFailed; nothing is rolled back, since there is nothing else to run.
        """
        async with self.turn():
            async with self.database.read() as session:
                revision = await session.get(Revision, revision_id)
            if revision is None:
                return
            bundle = await self.rendered(snapshots.unpacked(revision.snapshot))
            release = await asyncio.to_thread(self._release, bundle, revision_id)
            await self.engines.deploy(release, bundle, changed=frozenset(), tell=lambda _step: None)
            self.engines.tidy()

    def _release(self, bundle: Bundle, number: int) -> Release:
        """The revision's release; staged anew where it is missing or was tampered with."""
        try:
            release = self.engines.releases.open(number)
            if release.checksum == bundle.checksum:
                return release
        except Problem:
            pass
        self.engines.releases.drop(number)
        return self.engines.stage(bundle, number)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """This process's turn, and this machine's."""
        async with self._turn:
            with only_one(self._lock):
                yield

    async def _save(self, change: Change, mutate: Callable[[AsyncSession], Awaitable[T]]) -> Saved[T]:
        progress = self.saves.begin(change.asked.key)
        try:
            async with self.turn():
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

    async def _prepare(
        self, change: Change, mutate: Callable[[AsyncSession], Awaitable[T]], progress: Progress
    ) -> tuple[T, Prepared | Unchanged]:
        """Everything up to the commit, in one transaction."""
        progress.tell("render")
        async with self.database.write() as session:
            before, packed_before = await self._snapshot_before(session, change)
            value = await mutate(session)
            await session.flush()
            after = await snapshots.take(session)
            facts = await self.facts_now(session)
            bundle = await self.rendered(after, facts)
            live = await revisions.live(session)
            if live is not None and live.checksum == bundle.checksum and not change.of_backup:
                return value, await self._unchanged(session, change, live, after, progress)
            revision = Revision(checksum=bundle.checksum, snapshot=b"", author=change.asked.who, summary=change.summary)
            session.add(revision)
            await session.flush()
            number = revision.id or 0
            progress.tell("stage")
            release = await asyncio.to_thread(self.engines.stage, bundle, number)
            changed = await self._changed(bundle, None if change.of_backup else live)
            progress.tell("check")
            # Packed while the engines, which are other processes, look at it.
            packing = asyncio.create_task(asyncio.to_thread(snapshots.packed, after))
            try:
                await self.engines.check(
                    release,
                    bundle,
                    changed=changed,
                    names=[
                        server
                        for server in bundle.named_servers
                        if change.noun == "virtual_host" and server.virtual_host_id == change.noun_id
                    ],
                )
                revision.snapshot = await packing
                progress.tell("record")
                deployment = _attempt(change, number, Outcome.DEPLOYING, progress)
                deployment.before = packed_before
                session.add(deployment)
                await session.flush()
                kept = await _data_version(session), after, revision.snapshot
            except BaseException as error:
                await asyncio.to_thread(self.engines.releases.drop, number)
                if isinstance(error, ConfigRejected):
                    change.attempted = await packing
                    raise at_fields(error, change) from error
                raise
        self._snapshot = kept
        self._use(facts)
        return value, Prepared(deployment.id or 0, number, release, bundle, before, live, changed)

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
        """The applications that the live revision does not have."""
        before = await self.applications_of(live) if live is not None else {}
        return frozenset(application.name for application in bundle.applications) - frozenset(before)

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

    async def put_back(self, session: AsyncSession, before: Snapshot) -> None:
        """The rows as they were before a change that is not to be, and the secret with them."""
        await snapshots.put_back(session, snapshots.rows(before))
        self._use(await self.facts_now(session))

    async def _deploy(self, prepared: Prepared, progress: Progress) -> None:
        try:
            await self.engines.deploy(prepared.release, prepared.bundle, changed=prepared.changed, tell=progress.tell)
        except DeploymentFailed as failed:
            progress.end(failed.message)
            await self._roll_back(prepared, failed, progress)
        progress.end()
        self._live_applications = prepared.bundle.checksum, _by_name(prepared.bundle)
        await self._conclude(prepared.deployment_id, Outcome.LIVE, progress)
        self.engines.tidy()

    async def _roll_back(self, prepared: Prepared, failed: DeploymentFailed, progress: Progress) -> None:
        """Put the release and the rows before this change back, and say which of both worked. Always raises."""
        self._snapshot = None
        async with self.database.write() as session:
            await self.put_back(session, prepared.before)
        evidence = f"{failed.message}\n{failed.evidence}".strip()
        progress.tell("roll back")
        try:
            revision = await self._put_back(prepared)
        except DeploymentFailed as again:
            progress.end(again.message)
            words = f"{evidence}\nGoing back failed too: {again.message}\n{again.evidence}".strip()
            await self._conclude(prepared.deployment_id, Outcome.FAILED, progress, failed.message, words)
            raise RollbackFailed(
                f"{failed.message} Going back to the revision before it failed too: {again.message} "
                "Nothing was saved, and guardpanel does nothing more by itself.",
                steps=progress.steps,
                evidence=words,
            ) from again
        progress.end()
        await self._conclude(prepared.deployment_id, Outcome.ROLLED_BACK, progress, failed.message, evidence)
        self.engines.tidy()
        raise RolledBack(
            f"{failed.message} Nothing was saved: revision {revision} is live again.",
            steps=progress.steps,
            evidence=evidence,
        ) from failed

    async def _put_back(self, prepared: Prepared) -> int:
        """Make the release before this change live again; its number."""
        if prepared.previous is None:
            raise DeploymentFailed("There is no earlier revision to go back to.", step="roll back")
        number = prepared.previous.id or 0
        bundle = await self.rendered(prepared.before)
        release = await asyncio.to_thread(self._release, bundle, number)
        await self.engines.roll_back(release, bundle)
        return number

    async def _conclude(
        self, deployment_id: int, outcome: Outcome, progress: Progress, message: str = "", output: str = ""
    ) -> None:
        async with self.database.write() as session:
            deployment = (await session.exec(select(Deployment).where(col(Deployment.id) == deployment_id))).one()
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


def at_fields(rejected: ConfigRejected, change: Change) -> ConfigRejected:
    """The same refusal with each finding at the field of the thing that was being changed."""
    errors: dict[str, FieldError] = {}
    for finding in rejected.findings:
        if finding.field and finding.noun == change.noun and finding.noun_id == change.noun_id:
            errors.setdefault(finding.field, field_error(finding))
    return ConfigRejected(
        rejected.message,
        engine=rejected.engine,
        output=rejected.output,
        findings=rejected.findings,
        errors={**errors, **rejected.errors},
    )


def field_error(finding: Finding) -> FieldError:
    return FieldError(
        finding.advice or f"{finding.engine} does not accept this.",
        f"{finding.engine}: “{finding.message}”",
        finding.where,
    )


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
        steps=_steps(progress),
        seconds=progress.seconds,
    )


def _steps(progress: Progress) -> list[dict[str, str | float | None]]:
    return [asdict(step) for step in progress.steps]
