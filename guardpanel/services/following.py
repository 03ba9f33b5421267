"""Servers given by name: their names are looked up while the panel runs, and what they have become is told to HAProxy."""

import logging

from guardpanel.errors import Busy, EngineUnavailable
from guardpanel.services.changes import Changes

log = logging.getLogger(__name__)

EVERY = 8.0
"Seconds between two looks: a new address is followed within twice that, with the time of a look-up."


def follow(changes: Changes) -> None:
    """For as long as the panel runs."""
    tried: frozenset[str] = frozenset()

    async def step() -> None:
        nonlocal tried
        await changes.background.sleep(EVERY)
        try:
            tried = await look(changes, tried)
        except (Busy, EngineUnavailable) as problem:
            log.warning("names of servers could not be followed: %s", problem.message)

    changes.background.keep("server names", step, 0.0)


async def look(changes: Changes, tried: frozenset[str] = frozenset()) -> frozenset[str]:
    """Look all names up. Those that have their first address need a reload, once; the names that it was tried for."""
    late = await changes.engines.follow_names()
    if late and not late <= tried and not changes.is_saving:
        async with changes.turn():
            log.info("%s: the first address; HAProxy is reloaded to take it", ", ".join(sorted(late)))
            await changes.engines.reload_again()
    return late
