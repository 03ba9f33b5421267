"""What follows the commit of a change: it goes live and is verified, or everything is rolled back, and the outcome is
recorded."""

import asyncio
from contextlib import suppress
from dataclasses import asdict, replace

from sqlmodel import col, update

from guardpanel.certificates import contents
from guardpanel.database import Database
from guardpanel.engines import Engines
from guardpanel.engines.releases import Release
from guardpanel.errors import ConfigRejected, DeploymentFailed, Problem, RollbackFailed, RolledBack, StorageFailed
from guardpanel.models import Deployment, Revision
from guardpanel.models.revision import Outcome
from guardpanel.rendering import EngineFacts
from guardpanel.services.saving import revisions, snapshots
from guardpanel.services.saving.change import Change, PreparedSave
from guardpanel.services.saving.facts import secret_in
from guardpanel.services.saving.progress import Progress
from guardpanel.services.saving.renderer import Renderer
from guardpanel.services.saving.watch import Watch


class Deployments:
    def __init__(self, database: Database, engines: Engines, renderer: Renderer, watch: Watch) -> None:
        self.database = database
        self.engines = engines
        self.renderer = renderer
        self.watch = watch

    async def deploy(self, prepared: PreparedSave, progress: Progress) -> None:
        """Make it live. Raises RolledBack or RollbackFailed, after which nothing was saved, and StorageFailed."""
        try:
            await self.engines.deploy(
                prepared.release, prepared.bundle, changed=prepared.changed, tell=progress.tell, again=prepared.again
            )
        except DeploymentFailed as failed:
            progress.end(failed.message)
            await self._roll_back(prepared, failed, progress)
        progress.end()
        self.renderer.remember(prepared.revision, prepared.bundle)
        try:
            await self._conclude(prepared, Outcome.LIVE, progress)
        except StorageFailed as failed:
            words = f"Live as revision {prepared.revision}, but that could not be recorded yet. {failed.message}"
            raise StorageFailed(f"{words} It will be recorded once the disk is writable.") from failed
        self.watch.proved()
        self.engines.tidy()
        keep = {prepared.revision, prepared.previous.id or 0 if prepared.previous else 0}
        with suppress(OSError):  # The disk cannot be written: the next save does it.
            await asyncio.to_thread(self.engines.releases.forget_secrets, keep)

    async def _roll_back(self, prepared: PreparedSave, failed: DeploymentFailed, progress: Progress) -> None:
        """Put back the release and then the rows before this change, and report which of both succeeded. Always raises. If
        interrupted, it is an attempt without an outcome, which `settle` ends at the next start."""
        evidence = f"{failed.message}\n{failed.evidence}".strip()
        progress.tell("roll back")
        try:
            revision, reserve = await self._put_release_back(prepared)
        except Problem as again:
            progress.end(again.message)
            words = f"{evidence}\nThe rollback failed too: {again.message}\n{getattr(again, 'evidence', '')}".strip()
            await self._conclude(prepared, Outcome.FAILED, progress, failed.message, words)
            raise RollbackFailed(
                f"{failed.message} The rollback failed too: {again.message.rstrip('.')}. "
                "Nothing was saved. guardpanel will not retry on its own.",
                steps=progress.steps,
                evidence=words,
            ) from again
        progress.end()
        await self._conclude(prepared, Outcome.ROLLED_BACK, progress, failed.message, evidence)
        self.watch.proved()
        self.engines.tidy()
        raise RolledBack(
            f"{failed.message} Nothing was saved. Revision {revision} is live again. {reserve}".strip(),
            steps=progress.steps,
            evidence=evidence,
        ) from failed

    async def _put_release_back(self, prepared: PreparedSave) -> tuple[int, str]:
        """Make the previous release live again. Returns its number, and what remains to be reported."""
        if prepared.previous is None:
            raise DeploymentFailed("There is no earlier revision to roll back to.", step="roll back")
        before = await asyncio.to_thread(snapshots.rows, prepared.before)
        facts = prepared.facts_before or self.renderer.facts
        self.renderer.use(replace(facts, secret=secret_in(before) or facts.secret))
        number = prepared.previous.id or 0
        bundle = await self.renderer.rendered(snapshots.unpacked(prepared.previous.snapshot))
        release = await asyncio.to_thread(self.renderer.release, bundle, number)
        return number, await self.engines.roll_back(release, bundle)

    async def _conclude(
        self, prepared: PreparedSave, outcome: Outcome, progress: Progress, message: str = "", output: str = ""
    ) -> None:
        """Record the outcome and, on failure, restore the previous rows in the same transaction."""
        async with self.database.write() as session:
            if outcome is not Outcome.LIVE:
                await snapshots.put_back(session, await asyncio.to_thread(snapshots.rows, prepared.before))
                await contents.retire_rolled_back(session)
            ended = {"outcome": outcome, "message": message, "output": output, "before": None}
            took = {"steps": _steps(progress), "seconds": progress.seconds}
            its = col(Deployment.id) == prepared.deployment_id
            await session.exec(update(Deployment).where(its).values(**ended, **took))

    async def record_rejection(self, change: Change, rejected: ConfigRejected, progress: Progress) -> None:
        """Record an engine's rejection. Nothing else was committed."""
        async with self.database.write() as session:
            attempt = attempt_of(change, None, Outcome.REJECTED, progress)
            attempt.message, attempt.output = rejected.message, rejected.output
            attempt.snapshot = change.attempted
            session.add(attempt)

    async def settle(self, deployment: Deployment) -> None:
        """Complete it if HAProxy runs it and it can be verified. Otherwise roll back, as far as the engines respond. Raises
        StorageFailed, after which it is as open as before: a disk that is full decides nothing."""
        prepared = await self._prepared_before(deployment)
        if prepared is None:
            return
        progress = Progress()
        if await self._is_proved_now(prepared, progress):
            words = (
                "guardpanel stopped during this change. HAProxy was already running it, and it was verified afterwards."
            )
            await self._conclude(prepared, Outcome.LIVE, progress, words)
            return
        facts = await self._facts_before(prepared)
        with suppress(Problem):  # An engine that does not respond now shows up as drift when it does.
            await self._put_release_back(replace(prepared, facts_before=facts))
        words = "guardpanel stopped during this change, and it could not be verified afterwards. Nothing was saved."
        await self._conclude(prepared, Outcome.ROLLED_BACK, progress, words)

    async def _prepared_before(self, deployment: Deployment) -> PreparedSave | None:
        """The change as it was when it was interrupted, with its certificates: a rollback that failed may have left others."""
        async with self.database.read() as session:
            revision = await session.get(Revision, deployment.revision_id)
            previous = await revisions.live(session)
            self.renderer.use(await self.renderer.facts_in(session))
        if revision is None or deployment.before is None:
            return None
        bundle = await self.renderer.rendered(snapshots.unpacked(revision.snapshot))
        number = revision.id or 0
        release = Release(number, self.engines.releases.root / str(number), revision.checksum)
        before = snapshots.unpacked(deployment.before)
        changed = frozenset(app.name for app in bundle.applications)
        # HAProxy’s checksum does not tell whether it loaded the keys, policies and address lists: it loads them again.
        return PreparedSave(deployment.id or 0, number, release, bundle, before, previous, changed, again=True)

    async def _facts_before(self, prepared: PreparedSave) -> EngineFacts:
        """With the certificates that are current again once it is rolled back. Changes nothing yet: the engines go first."""
        async with self.database.write() as session:
            await snapshots.put_back(session, await asyncio.to_thread(snapshots.rows, prepared.before))
            await contents.retire_rolled_back(session)
            facts = await self.renderer.facts_in(session)
            await session.rollback()
        return facts

    async def _is_proved_now(self, prepared: PreparedSave, progress: Progress) -> bool:
        """HAProxy runs the same checksum before and after a save that does not reload it, whose release is current if it went
        live."""
        if await asyncio.to_thread(self.engines.releases.current_number) != prepared.revision:
            return False
        if not await self.engines.runs(prepared.release.checksum):
            return False
        try:
            await asyncio.to_thread(self.renderer.release, prepared.bundle, prepared.revision)
            await self.engines.deploy(
                prepared.release, prepared.bundle, changed=prepared.changed, tell=progress.tell, again=prepared.again
            )
        except StorageFailed:
            raise
        except Problem as problem:
            progress.end(problem.message)
            return False
        progress.end()
        return True


def attempt_of(change: Change, revision: int | None, outcome: Outcome, progress: Progress) -> Deployment:
    """The record of an attempt."""
    return Deployment(
        revision_id=revision,
        outcome=outcome,
        author=change.request.who,
        summary=change.summary[:500],
        noun=change.noun,
        noun_id=change.noun_id,
        touched=[*change.touched, *change.added, *filter(None, [change.within])],
        applied_file=change.applied_file,
        steps=_steps(progress),
        seconds=progress.seconds,
    )


def _steps(progress: Progress) -> list[dict[str, str | float | None]]:
    return [asdict(step) for step in progress.steps]
