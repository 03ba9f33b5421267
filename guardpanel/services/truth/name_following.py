"""Follows servers given by name: looks their names up while the panel runs, and updates HAProxy."""

import logging

from guardpanel.engines.releases import ReleaseDamaged
from guardpanel.errors import Busy, DeploymentFailed, EngineUnavailable
from guardpanel.services.saving.changes import Changes

log = logging.getLogger(__name__)

EVERY_SECONDS = 8.0
"Seconds between two looks: a new address is followed within twice that, plus the time of a look-up."


MOST_LOOKS_BETWEEN_TRIES = 32
"Maximum looks until a failed reload is tried again."


def follow(changes: Changes) -> None:
    """Runs as long as the panel."""
    follower = Follower(changes)

    async def step() -> None:
        await changes.background.sleep(EVERY_SECONDS)
        try:
            await follower.look()
        except (Busy, EngineUnavailable) as problem:
            log.warning("cannot update the addresses of named servers: %s", problem.message)

    changes.background.keep("server names", step, 0.0)


class Follower:
    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self._tried = frozenset[str]()
        "The names for which HAProxy was reloaded: once is enough."
        self._wait, self._waited = 0, 0
        "Looks between two attempts of a failed reload, and how many have passed."

    async def look(self) -> frozenset[str]:
        """Look all names up. Returns those whose address HAProxy only accepts by a reload."""
        late = await self.changes.engines.follow_names()
        self._tried &= late
        if late <= self._tried:
            self._succeed()
        elif not self.changes.is_saving and self._is_due():
            await self._reload(late)
        return late

    def _is_due(self) -> bool:
        self._waited += 1
        return self._waited > self._wait

    async def _reload(self, late: frozenset[str]) -> None:
        names = ", ".join(sorted(late))
        log.info("reloading HAProxy to apply the addresses of %s", names)
        try:
            async with self.changes.turn():
                await self.changes.engines.reload_again()
        except (DeploymentFailed, ReleaseDamaged) as failed:
            self._waited, self._wait = 0, min(MOST_LOOKS_BETWEEN_TRIES, 2 * self._wait + 1)
            self.changes.watch.names = f"{names}: HAProxy could not be reloaded. {failed.message}"
            log.warning("%s", self.changes.watch.names)
            return
        self._tried = late
        self._succeed()

    def _succeed(self) -> None:
        self._waited = self._wait = 0
        self.changes.watch.names = ""
