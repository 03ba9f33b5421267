"""What runs now, in sentences: the live line of every page, and the dashboard's first line."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.bundle import Application
from guardpanel.engines import Drift, EnginesStatus
from guardpanel.models import Deployment, Revision
from guardpanel.models.revision import Outcome
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import Changes
from guardpanel.services.saving.watch import Watch
from guardpanel.services.truth.look import Look, look

State = Literal["ok", "deploying", "unverified", "fault", "drift", "failed", "down"]
"`unverified`: the last look is outdated. `fault`: a background task fails, or events are not recorded."


@dataclass(frozen=True)
class LiveLine:
    """What runs, in two short lines. The second one ends with `moment`, if there is one."""

    state: State
    text: str
    detail: str
    moment: datetime | None = None
    revision: int | None = None
    "The live revision."
    drift: tuple[Drift, ...] = ()
    failed: Deployment | None = None
    why: str = ""
    "A failing background task that may be why nothing is verified."


async def live_line(changes: Changes, session: AsyncSession) -> LiveLine:
    engines = await changes.engines.status()
    live, last = await revisions.named_live(session), await revisions.last_deployment(session)
    now = Look(engines, live, last, (), is_whole=True)
    if now.differs:  # The session may be older than a save that its request waited for.
        now = await look(changes)
    if changes.is_deploying or (now.differs and not now.is_whole):
        return LiveLine("deploying", "Deploying a change", "HAProxy keeps serving traffic")
    return _line(now, changes)


def _line(now: Look, changes: Changes) -> LiveLine:
    watch, last = changes.watch, now.last
    line = _as_it_is(now.engines, now.live, watch)
    if line.state != "ok" and last is not None and last.outcome is Outcome.FAILED:
        what = f"Revision {last.revision_id} failed" if last.revision_id else "The last change failed"
        return replace(line, state="failed", text=what, detail=line.text, moment=None, failed=last)
    if line.state == "ok" or (line.state == "drift" and line.drift):
        return _if_still_so(line, watch, faults(changes))
    return line


def _if_still_so(line: LiveLine, watch: Watch, failing: str) -> LiveLine:
    """The result of the last look, unless it is outdated."""
    if watch.is_old:
        before = f"{line.text}, detected" if line.drift else f"Revision {line.revision} last verified"
        detail = before if line.moment else "since guardpanel started"
        return replace(line, state="unverified", text=f"Not verified {watch.how_long}", detail=detail, why=failing)
    if not watch.has_looked:
        return replace(
            line, state="deploying", text=f"Revision {line.revision} is being verified", detail="", moment=None
        )
    if line.state == "ok":
        for what, detail in (
            ("Background task failing", failing),
            ("Private keys can’t be read", watch.keys),
            ("Events are not being recorded", watch.ingest),
            ("The panel’s certificate fails", watch.panel_certificate),
        ):
            if detail:
                return replace(line, state="fault", text=what, detail=detail, moment=None)
    return line


def faults(changes: Changes) -> str:
    """The failing background tasks. Empty if none fails."""
    return "; ".join(health.words for health in changes.background.failing)


def _as_it_is(engines: EnginesStatus, live: Revision | None, watch: Watch) -> LiveLine:
    number = live.id if live else None
    if watch.storage:
        return LiveLine("down", "Saving is unavailable", watch.storage, revision=number)
    if not engines.haproxy.running:
        detail = engines.haproxy.problem or "No requests are served"
        return LiveLine("down", "HAProxy is not responding", detail, revision=number, drift=watch.drift)
    if not engines.agent.running:
        detail = "Requests are not inspected. Each policy’s fail mode applies."
        return LiveLine("down", "The WAF agent is not responding", detail, revision=number, drift=watch.drift)
    if live is None:
        return LiveLine("deploying", "Deploying the first configuration", "")
    if watch.drift:
        what = f"Drift: {watch.drift[0].place}"
        return LiveLine("drift", what, f"differs from revision {number}, detected", watch.since, number, watch.drift)
    if engines.haproxy.checksum != live.checksum:
        return LiveLine("drift", "Drift: HAProxy", f"Not running revision {number}", revision=number)
    if watch.blocking:
        return LiveLine("drift", "Attacks aren’t blocked", watch.blocking, revision=number)
    if watch.names:
        return LiveLine("drift", "Servers keep old addresses", watch.names, revision=number)
    return LiveLine("ok", f"Revision {number} is live", "verified", watch.checked_at, number)


async def applications(changes: Changes, session: AsyncSession) -> dict[str, Application]:
    """The live revision's applications by name: their policies, and whether they block."""
    live = await revisions.live(session)
    if live is None:
        return {}
    return await changes.renderer.applications_of(live)
