"""Drift as JSON: what was changed outside guardpanel, and the way back."""

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from guardpanel.api.documented import also
from guardpanel.api.saves import DeploymentOut, save_request
from guardpanel.dependencies import Editor, PanelDep, SessionDep, Viewer
from guardpanel.errors import Conflict
from guardpanel.services.saving import revisions
from guardpanel.services.truth import live_line

router = APIRouter(prefix="/api/v1/drift", tags=["runtime"])


class DifferingOut(BaseModel):
    place: str = Field(description="`Release files`, `HAProxy`, `The WAF agent`, or `The database`.")
    what: str
    lines: list[str] = Field(description="What differs, as in a unified diff. Empty: nothing that could be shown.")


class DriftOut(BaseModel):
    revision: int | None = Field(description="The live revision, which it differs from.")
    state: live_line.State = Field(description="`ok` and `fault`: no drift. `unverified`, `down`: it is not known.")
    words: str
    detail: str
    since: datetime | None = Field(description="When it was first seen.")
    checked_at: datetime | None = Field(description="When everything was last verified.")
    differences: list[DifferingOut]


@router.get("", name="read_drift")
async def read_drift(panel: PanelDep, session: SessionDep, _user: Viewer) -> DriftOut:
    """What differs from the live revision, on disk and in running processes."""
    live, watch = await revisions.named_live(session), panel.changes.watch
    line = await live_line.live_line(panel.changes, session)
    return DriftOut(
        revision=live.id if live else None, state=line.state, words=line.text, detail=line.detail,
        since=watch.since, checked_at=watch.checked_at,
        differences=[DifferingOut(place=each.place, what=each.what, lines=list(each.lines)) for each in watch.drift],
    )  # fmt: skip


@router.post("/redeployment", name="redeploy", responses=also(409, 502, 503))
async def redeploy(request: Request, panel: PanelDep, user: Editor) -> DeploymentOut:
    """Redeploy the live revision: rows, files, agent and HAProxy. Overwrites what was changed outside guardpanel."""
    saved = await panel.changes.put_back(await save_request(request, user))
    if saved is None:
        raise Conflict("The first configuration is going live.")
    return DeploymentOut.of(saved)
