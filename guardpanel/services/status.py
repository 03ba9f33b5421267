"""What runs now, in sentences: the live line of every page, and the dashboard's first line."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.bundle import Application
from guardpanel.engines import EnginesStatus, ServerStatus
from guardpanel.models import Deployment, Revision
from guardpanel.models.revision import Outcome
from guardpanel.services import revisions
from guardpanel.services.changes import Changes


@dataclass(frozen=True)
class LiveLine:
    """`state`: ok, deploying, drift, failed or down."""

    state: str
    text: str
    detail: str
    verified_at: datetime | None = None


@dataclass(frozen=True)
class Overview:
    engines: EnginesStatus
    live: Revision | None
    last: list[Deployment]
    line: LiveLine


async def overview(changes: Changes, session: AsyncSession) -> Overview:
    """Everything that the dashboard and the system page say of the engines. Asks them; raises nothing."""
    engines = await changes.engines.status()
    live = await revisions.live(session)
    last = (await revisions.page(session, limit=8)).items
    return Overview(engines, live, last, _line(engines, live, last[0] if last else None, changes))


async def live_line(changes: Changes, session: AsyncSession) -> LiveLine:
    engines = await changes.engines.status()
    return _line(engines, await revisions.live(session), await revisions.last_deployment(session), changes)


async def servers(changes: Changes) -> Mapping[str, tuple[ServerStatus, ...]]:
    """The state of every server by backend (`be_17`), as HAProxy's newest worker has it."""
    return (await changes.engines.status()).haproxy.servers


def _line(engines: EnginesStatus, live: Revision | None, last: Deployment | None, changes: Changes) -> LiveLine:
    if changes.is_saving:
        return LiveLine("deploying", "A change is going live", "HAProxy keeps serving meanwhile")
    if not engines.haproxy.running:
        return LiveLine("down", "HAProxy does not answer", engines.haproxy.problem or "no request is served")
    if not engines.agent.running:
        return LiveLine("down", "The WAF agent does not answer", engines.agent.problem or "nothing is inspected")
    if last is not None and last.outcome is Outcome.FAILED:
        return LiveLine("failed", "The last change failed", "guardpanel does nothing more by itself")
    if live is None:
        return LiveLine("deploying", "The first configuration is going live", "")
    if engines.haproxy.checksum != live.checksum:
        return LiveLine("drift", "HAProxy has drifted", f"it does not run revision {live.id}")
    return LiveLine("ok", f"Revision {live.id} is live", "verified just now", datetime.now(UTC))


async def applications(changes: Changes, session: AsyncSession) -> dict[str, Application]:
    """The applications of the live revision by name: which policies they are, and whether they block."""
    live = await revisions.live(session)
    if live is None:
        return {}
    return await changes.applications_of(live)
