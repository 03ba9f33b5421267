"""The panel's startup: ends an interrupted save, then makes the desired state live."""

import logging
from dataclasses import replace
from functools import partial

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Problem
from guardpanel.rendering import EngineFacts
from guardpanel.services import installation
from guardpanel.services.saving import facts, revisions
from guardpanel.services.saving.changes import Change, Changes, SaveRequest

log = logging.getLogger(__name__)

PANEL = SaveRequest("guardpanel", over_drift=True)
"The author of automatic changes that the engines need whatever was changed outside guardpanel."


async def bring_up(changes: Changes) -> str | None:
    """Settle what a crash left, then make the desired state live. Returns a message about what failed, or None.

    A new version of guardpanel or other settings (such as another bind address) render other bytes: then guardpanel makes a
    revision of its own. What was changed outside guardpanel in the meantime is left to the reconciler.
    """
    try:
        async with changes.database.read() as session:
            changes.renderer.use(await changes.renderer.facts_in(session))
        await changes.settle()
        await changes.save(await _first_change(changes), partial(_first_steps, changes.renderer.facts))
    except Problem as problem:
        log.error("cannot deploy the configuration: %s", problem.message)
        return problem.message
    return None


async def _first_change(changes: Changes) -> Change:
    async with changes.database.read() as session:
        restored, live = await facts.restored(session), await revisions.live(session)
    if restored is not None:
        return Change(replace(PANEL, who=restored.who), restored.summary, quiet=True, of_backup=True)
    if live is None:
        return Change(PANEL, "First configuration", quiet=True)
    # Before the desired state is rendered, which then shares what is equal, and is what stays in memory.
    await changes.renderer.applications_of(live)
    return Change(PANEL, "Configuration of this version and these settings", quiet=True)


async def _first_steps(engines: EngineFacts, session: AsyncSession) -> None:
    await installation.make_defaults(session, engines)
    await facts.forget_restored(session)
