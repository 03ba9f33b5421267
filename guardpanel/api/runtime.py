"""What runs, as the React panel asks for it. Saved means live, so there is never anything to apply."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from guardpanel.dependencies import Editor, PanelDep, SessionDep, Viewer
from guardpanel.models.revision import Outcome
from guardpanel.services import revisions, status

router = APIRouter(tags=["runtime"])


class GeneratedConfig(BaseModel):
    checksum: str | None


class Reload(BaseModel):
    config_checksum: str | None
    created_at: datetime
    status: Literal["success", "failed"]
    message: str | None


class RuntimeStatus(BaseModel):
    """`generated_config` is what the database says; `latest_reload` how it went live."""

    deployment_state: Literal["deployed", "failed", "never_deployed"]
    generated_config: GeneratedConfig
    latest_reload: Reload | None
    revision: int | None
    state: str
    detail: str


class Applied(BaseModel):
    message: str
    correlation_id: str


@router.get("/runtime/status")
async def read_runtime_status(panel: PanelDep, session: SessionDep, _user: Viewer) -> RuntimeStatus:
    """The live revision, and whether the engines run it."""
    live = await revisions.live(session)
    last = await revisions.last_deployment(session)
    line = await status.live_line(panel.changes, session)
    state: Literal["deployed", "failed", "never_deployed"] = "deployed" if live else "never_deployed"
    failed = last is not None and last.outcome is Outcome.FAILED
    reload = None
    if last is not None:
        reload = Reload(
            config_checksum=live.checksum if live else None,
            created_at=last.started_at,
            status="failed" if failed else "success",
            message=last.message or None,
        )
    return RuntimeStatus(
        deployment_state="failed" if failed else state,
        generated_config=GeneratedConfig(checksum=live.checksum if live else None),
        latest_reload=reload,
        revision=live.id if live else None,
        state=line.state,
        detail=line.text,
    )


@router.post("/config/apply")
async def apply_config(request: Request, panel: PanelDep, session: SessionDep, _user: Editor) -> Applied:
    """Make sure that the live revision runs; saved means live, so there is nothing else to apply."""
    live = await revisions.live(session)
    if live is not None:
        await panel.changes.deploy_again(live.id or 0)
    words = f"Revision {live.id} is live." if live else "The first configuration is going live."
    return Applied(message=words, correlation_id=str(request.scope["state"]["request_id"]))
