"""What runs, for the React panel. Saved means live, so there is never anything to apply."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from guardpanel.api.deprecated import replaced_by
from guardpanel.api.documented import also
from guardpanel.dependencies import Editor, PanelDep, SessionDep, Viewer
from guardpanel.models import Deployment, Revision
from guardpanel.models.revision import Outcome
from guardpanel.panel import Panel
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import SaveRequest
from guardpanel.services.truth import live_line

router = APIRouter(prefix="/api/v1", tags=["runtime"])


class GeneratedConfig(BaseModel):
    checksum: str | None


class Reload(BaseModel):
    config_checksum: str | None
    created_at: datetime
    status: Literal["success", "failed"]
    message: str | None


class RuntimeStatus(BaseModel):
    """`generated_config` is the desired state, `latest_reload` how it went live."""

    deployment_state: Literal["deployed", "failed", "never_deployed"]
    generated_config: GeneratedConfig
    latest_reload: Reload | None
    revision: int | None
    state: live_line.State = Field(
        description="`unverified`: the last check is more than 10 s old. `fault`: a background task of guardpanel is "
        "failing, or events are not being recorded."
    )
    words: str
    drift: list[str] = Field(
        description="Differences from the live revision, on disk and in running processes, one sentence each."
    )


class Applied(BaseModel):
    message: str
    correlation_id: str


@router.get("/runtime/status")
async def read_runtime_status(panel: PanelDep, session: SessionDep, _user: Viewer) -> RuntimeStatus:
    """The live revision, and whether the engines run it."""
    live = await revisions.named_live(session)
    last = await revisions.last_deployment(session)
    line = await live_line.live_line(panel.changes, session)
    failed = last is not None and last.outcome is Outcome.FAILED
    return RuntimeStatus(
        deployment_state="failed" if failed else "deployed" if live else "never_deployed",
        generated_config=GeneratedConfig(checksum=live.checksum if live else None),
        latest_reload=await _latest_reload(panel, live, last if failed else None, [drift.what for drift in line.drift]),
        revision=live.id if live else None,
        state=line.state,
        words=line.text,
        drift=[drift.what for drift in line.drift],
    )


@router.post("/config/apply", responses=also(409, 502, 503), **replaced_by("/api/v1/drift/redeployment"))
async def apply_config(request: Request, panel: PanelDep, session: SessionDep, user: Editor) -> Applied:
    """Make sure that the live revision runs; saved means live, so there is nothing else to apply. Other clients use
    `POST /api/v1/drift/redeployment`."""
    live = await revisions.named_live(session)
    if live is not None:
        await panel.changes.put_back(SaveRequest(user.email))
    words = f"Revision {live.id} is live." if live else "The first configuration is going live."
    return Applied(message=words, correlation_id=str(request.scope["state"]["request_id"]))


async def _latest_reload(
    panel: Panel, live: Revision | None, failed: Deployment | None, drift: list[str]
) -> Reload | None:
    """What HAProxy runs. If it is not the live revision, or anything has drifted, the React panel offers to apply. Only changes
    made outside guardpanel (not `Drift.ours`) keep its saves from being accepted until then."""
    if failed is not None:
        return Reload(config_checksum=None, created_at=failed.started_at, status="failed", message=failed.message)
    if live is None:
        return None
    if drift:
        return Reload(config_checksum=None, created_at=live.created_at, status="failed", message=" ".join(drift))
    haproxy = (await panel.engines.status()).haproxy
    runs = haproxy.checksum if haproxy.running else live.checksum
    return Reload(config_checksum=runs, created_at=live.created_at, status="success", message=None)
