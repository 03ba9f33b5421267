"""What happens when the panel starts: the end of a save that was cut off, then what the database says, live."""

import logging

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Problem
from guardpanel.models import Deployment, Revision
from guardpanel.models.revision import Outcome
from guardpanel.services import facts, installation, revisions, snapshots
from guardpanel.services.changes import Asked, Change, Changes

log = logging.getLogger(__name__)

PANEL = Asked("guardpanel")
"The author of what nobody asked for."


async def bring_up(changes: Changes) -> str | None:
    """Settle what a crash left, then make the database's state live. Words of what failed, or None.

    A new version of guardpanel or other settings (another bind address) render other bytes: then this is a
    revision of its own, by guardpanel.
    """
    try:
        await settle(changes)
        saved = await changes.save(await _first_change(changes), _first_steps)
        if not saved.is_new:
            await changes.deploy_again(saved.revision)
    except Problem as problem:
        log.error("the configuration could not be made live: %s", problem.message)
        return problem.message
    return None


async def _first_change(changes: Changes) -> Change:
    async with changes.database.read() as session:
        restored, live = await facts.restored(session), await revisions.live(session)
    if restored is not None:
        return Change(Asked(restored.who), restored.summary, of_backup=True)
    words = "Configuration of this version and these settings" if live else "First configuration"
    return Change(PANEL, words, quiet=True)


async def _first_steps(session: AsyncSession) -> None:
    await installation.make_defaults(session)
    await facts.forget_restored(session)


async def settle(changes: Changes) -> None:
    """End the attempts whose end was never recorded, by asking HAProxy which revision it runs."""
    async with changes.turn():
        async with changes.database.read() as session:
            left = await revisions.open_deployments(session)
        for deployment in left:
            await _settle_one(changes, deployment)


async def _settle_one(changes: Changes, deployment: Deployment) -> None:
    status = await changes.engines.status()
    async with changes.database.write() as session:
        row = await session.get(Deployment, deployment.id)
        revision = await session.get(Revision, deployment.revision_id)
        if row is None or revision is None:
            return
        if status.haproxy.checksum == revision.checksum:
            row.outcome, row.message = Outcome.LIVE, "guardpanel was stopped during this change; HAProxy runs it."
        else:
            if row.before is not None:
                await changes.put_back(session, snapshots.unpacked(row.before))
            row.outcome = Outcome.ROLLED_BACK
            row.message = "guardpanel was stopped during this change, before HAProxy took it. Nothing was saved."
        row.before = None
        session.add(row)
