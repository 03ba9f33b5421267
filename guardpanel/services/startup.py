"""What happens when the panel starts: the end of a save that was cut off, then what the database says, live."""

import logging

from guardpanel.errors import Problem
from guardpanel.services import installation, revisions
from guardpanel.services.changes import Asked, Change, Changes

log = logging.getLogger(__name__)

PANEL = Asked("guardpanel")
"The author of what nobody asked for."


async def bring_up(changes: Changes) -> str | None:
    """Settle what a crash left, then make the database's state live. Words of what failed, or None.

    A new version of guardpanel or other settings (another bind address) render other bytes: then this is a
    revision of its own, by guardpanel. What somebody changed by hand meanwhile is the reconciler's to find.
    """
    try:
        await changes.settle()
        words = (
            "Configuration of this version and these settings" if await _has_history(changes) else "First configuration"
        )
        await changes.save(Change(PANEL, words, quiet=True), installation.make_defaults)
    except Problem as problem:
        log.error("the configuration could not be made live: %s", problem.message)
        return problem.message
    return None


async def _has_history(changes: Changes) -> bool:
    async with changes.database.read() as session:
        return await revisions.live(session) is not None
