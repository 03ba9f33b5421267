"""A save up to its commit, in one transaction: rows are changed, rendered, staged, checked and recorded."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.bundle import Bundle
from guardpanel.database import Database
from guardpanel.engines import Engines
from guardpanel.engines.releases import Release
from guardpanel.errors import ConfigRejected, StorageFailed
from guardpanel.models import Revision
from guardpanel.models.revision import Outcome
from guardpanel.rendering import EngineFacts
from guardpanel.services.saving import once, rereading, revisions, snapshots
from guardpanel.services.saving.change import Change, PreparedSave, UnchangedSave
from guardpanel.services.saving.deployments import attempt_of
from guardpanel.services.saving.progress import Progress
from guardpanel.services.saving.refusals import at_fields
from guardpanel.services.saving.renderer import FACTS_TABLES, Renderer, StoredFacts
from guardpanel.services.saving.snapshots import Snapshot
from guardpanel.sqlite_connection import OneTripConnection

T = TypeVar("T")

Mutation = Callable[[AsyncSession], Awaitable[T]]


class Known(NamedTuple):
    """What a save leaves for the next one."""

    version: int
    "The database's data version."
    rows: Snapshot
    packed: bytes
    stored_facts: StoredFacts | None
    live: Revision
    has_plain_versions: bool
    "Nothing was ever rolled back (`revisions.version_after`)."


@dataclass
class Draft:
    """A save in its transaction, and what it leaves outside the database until it is committed."""

    change: Change
    progress: Progress
    before: Snapshot = ""
    packed_before: bytes = b""
    version: int = 0
    "The database's data version. Nobody else commits during the transaction."
    live: Revision | None = None
    after: Snapshot = ""
    packing: asyncio.Future[bytes] | None = None
    "The rows are packed while they are rendered."
    stored_facts: StoredFacts | None = None
    "What the facts are made of."
    facts: EngineFacts | None = None
    "With the installation's secret as of this transaction."
    release_number: int | None = None
    "The number of a new revision."
    known: Known | None = None
    "What the next save starts from."

    async def packed(self) -> bytes:
        return await self.packing if self.packing is not None else b""

    def know(self, session: AsyncSession, live: Revision, packed: bytes) -> None:
        self.known = Known(
            self.version, self.after, packed, self.stored_facts, live, revisions.has_plain_versions(session)
        )


class Preparing:
    def __init__(self, database: Database, engines: Engines, renderer: Renderer) -> None:
        self.database = database
        self.engines = engines
        self.renderer = renderer
        self._known: Known | None = None

    def forget(self) -> None:
        """The rows, or what is live, may have changed."""
        self._known = None

    async def prepare(
        self, change: Change, mutate: Mutation[T], progress: Progress
    ) -> tuple[T, PreparedSave | UnchangedSave]:
        """Everything up to the commit. After any error nothing was saved."""
        progress.tell("render")
        draft = Draft(change, progress)
        try:
            async with self.database.write() as session:
                value, prepared = await self._write(session, mutate, draft)
        except BaseException as error:
            if draft.release_number is not None:
                with suppress(OSError):  # The disk cannot be written: it is cleaned up later.
                    await asyncio.to_thread(self.engines.releases.drop, draft.release_number)
            if isinstance(error, ConfigRejected):
                raise at_fields(error, change) from error
            raise
        self._known = draft.known
        self.renderer.use(draft.facts or self.renderer.facts)
        return value, prepared

    async def _write(
        self, session: AsyncSession, mutate: Mutation[T], draft: Draft
    ) -> tuple[T, PreparedSave | UnchangedSave]:
        change = draft.change
        await self._begin(session, draft)
        value = await mutate(session)
        await session.flush()
        if change.of_backup:  # It may have brought changes, after which those of this machine have other numbers.
            draft.live = await revisions.live(session)
        draft.stored_facts = await self._read_again(session, draft)
        draft.facts = await self.renderer.facts_of(session, draft.stored_facts)
        bundle = await self._bundle(draft, draft.facts)
        live = draft.live
        same = live if live is not None and not change.of_backup and await self._is_as(live, bundle) else None
        if same is not None and not change.reloads:
            return value, await self._unchanged(session, draft, same)
        return value, await self._staged(session, draft, bundle, live, same)

    async def _is_as(self, live: Revision, bundle: Bundle) -> bool:
        """Private keys and entries of address lists are not part of the checksum."""
        if live.checksum != bundle.checksum:
            return False
        digests = await asyncio.to_thread(self.engines.releases.digests, live.id or 0)
        return digests == (bundle.secrets_digest, bundle.data_digest)

    async def _begin(self, session: AsyncSession, draft: Draft) -> None:
        """The current rows, and what is live: as the previous save left them, unless something else wrote since."""
        of_backup, (known, self._known) = draft.change.of_backup, (self._known, None)
        writer = await rereading.writer_of(session)
        draft.version, written = await _data_version(session, writer), rereading.changed(writer)
        if known is not None and known.version == draft.version and not of_backup and not written & snapshots.NAMES:
            draft.before, draft.packed_before, draft.live = known.rows, known.packed, known.live
            draft.stored_facts = None if written & FACTS_TABLES else known.stored_facts
            if known.has_plain_versions:
                revisions.note_plain_versions(session)
            return
        draft.before = await (snapshots.take_whole if of_backup else snapshots.take)(session)
        draft.packed_before = await asyncio.to_thread(snapshots.packed, draft.before)
        draft.live = None if of_backup else await revisions.live(session)

    async def _read_again(self, session: AsyncSession, draft: Draft) -> StoredFacts:
        """The rows as they are now. Returns what the facts are made of."""
        written = rereading.changed(await rereading.writer_of(session))
        draft.after = await rereading.take(session, "" if draft.change.of_backup else draft.before, written)
        draft.packing = asyncio.ensure_future(asyncio.to_thread(snapshots.packed, draft.after))
        if draft.stored_facts is None or written & FACTS_TABLES:
            return await self.renderer.ask(session)
        return draft.stored_facts

    async def _bundle(self, draft: Draft, facts: EngineFacts) -> Bundle:
        if draft.change.again:  # A rollback restores what is live, whatever it looks like by now.
            return await self.renderer.rendered(draft.after, facts)
        return await self.renderer.accepted(draft.change, draft.before, draft.after, facts)

    async def _unchanged(self, session: AsyncSession, draft: Draft, live: Revision) -> UnchangedSave:
        """The engines' configuration is unchanged: only the rows change."""
        attempt = attempt_of(draft.change, live.id, Outcome.LIVE, draft.progress)
        packed = await draft.packed()
        if not draft.change.quiet:
            attempt.snapshot = packed
            session.add(attempt)
            await session.flush()
            await once.mark(session, draft.change.request.idempotent, attempt.id or 0)
        draft.know(session, live, packed)
        return UnchangedSave(attempt.id or 0, live.id or 0)

    async def _staged(
        self, session: AsyncSession, draft: Draft, bundle: Bundle, live: Revision | None, same: Revision | None
    ) -> PreparedSave:
        """`same`: the live revision, if it has these bytes and is redeployed."""
        change = draft.change
        revision = same or await self._new_revision(session, draft, bundle)
        number = revision.id or 0
        draft.progress.tell("stage")
        # What has the number of a new revision was left by a killed save: the disk may not have all of it.
        stage = self.renderer.release if same else self.engines.stage
        release = await asyncio.to_thread(stage, bundle, number, sync=False)
        async with self._syncing(release):
            changed = await self.renderer.changed(bundle, None if same or change.of_backup else live)
            draft.progress.tell("check")
            await self._check(draft, release, bundle, changed)
            packed = await draft.packed()
            deployment_id = await self._record(session, draft, number, packed if same else None)
        draft.know(session, revision, packed)
        return PreparedSave(
            deployment_id, number, release, bundle, draft.before, live, changed, change.reloads, self.renderer.facts
        )

    @asynccontextmanager
    async def _syncing(self, release: Release) -> AsyncIterator[None]:
        """The disk takes the release while it is checked and recorded, and has it before that is committed."""
        syncing = asyncio.ensure_future(asyncio.to_thread(self.engines.releases.sync, release))
        try:
            yield
        except BaseException:
            await asyncio.wait([syncing])
            with suppress(StorageFailed):  # There is no save that could fail of it.
                syncing.result()
            raise
        await syncing

    async def _new_revision(self, session: AsyncSession, draft: Draft, bundle: Bundle) -> Revision:
        who, summary = draft.change.request.who, draft.change.summary
        revision = Revision(checksum=bundle.checksum, snapshot=await draft.packed(), author=who, summary=summary)
        session.add(revision)
        await session.flush()
        draft.release_number = revision.id
        return revision

    async def _check(self, draft: Draft, release: Release, bundle: Bundle, changed: frozenset[str]) -> None:
        change = draft.change
        names = [
            server
            for server in bundle.named_servers
            if (server.origin.noun, server.origin.id) == (change.noun, change.noun_id)
        ]
        try:
            await self.engines.check(release, bundle, changed=changed, names=names)
        except ConfigRejected:
            change.attempted = await draft.packed()
            raise

    async def _record(self, session: AsyncSession, draft: Draft, revision: int, snapshot: bytes | None) -> int:
        """Record the attempt as running. Without a `snapshot`, the revision has the rows."""
        draft.progress.tell("record")
        deployment = attempt_of(draft.change, revision, Outcome.DEPLOYING, draft.progress)
        deployment.before = draft.packed_before
        if snapshot is not None:
            deployment.snapshot = snapshot
        session.add(deployment)
        await session.flush()
        await once.mark(session, draft.change.request.idempotent, deployment.id or 0)
        return deployment.id or 0


async def _data_version(session: AsyncSession, writer: OneTripConnection) -> int:
    """Changes when another connection commits (SQLite, PRAGMA data_version). Ours is the only writer. The transaction's first
    statement: foreign keys are checked at its end, since our own rules are checked first."""
    writer.then("PRAGMA defer_foreign_keys = ON")
    result = await (await session.connection()).exec_driver_sql("PRAGMA data_version")
    return int(result.scalar_one())
