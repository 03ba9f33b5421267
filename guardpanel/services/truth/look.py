"""One look at what runs beside what is recorded, and whether a save ran in between: then they may not belong together."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from guardpanel.engines import Drift, EnginesStatus
from guardpanel.models import Deployment, Revision
from guardpanel.models.revision import Outcome
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import Changes


@dataclass(frozen=True)
class Look:
    engines: EnginesStatus
    live: Revision | None
    last: Deployment | None
    drift: Sequence[Drift]
    is_whole: bool
    "No save ran meanwhile, neither of this process nor of another: what differs was changed outside guardpanel."

    @property
    def differs(self) -> bool:
        """HAProxy runs something else than the live revision, or nothing."""
        return self.live is not None and self.engines.haproxy.checksum != self.live.checksum


async def _no_drift() -> Sequence[Drift]:
    return ()


async def look(changes: Changes, drift: Callable[[], Awaitable[Sequence[Drift]]] = _no_drift) -> Look:
    """It reads by itself: what a request has read before may be older than a save that it waited for."""
    turns, began_still = changes.turns, not changes.is_saving
    async with changes.database.look() as session:
        before = await revisions.last_deployment(session)
    differences = await drift()
    engines = await changes.engines.status()
    async with changes.database.look() as session:
        live, last = await revisions.named_live(session), await revisions.last_deployment(session)
    is_whole = began_still and changes.is_still(turns) and _ended(before) == _ended(last)
    return Look(engines, live, last, differences, is_whole and (last is None or last.outcome is not Outcome.DEPLOYING))


def _ended(deployment: Deployment | None) -> tuple[int | None, Outcome] | None:
    return (deployment.id, deployment.outcome) if deployment else None
