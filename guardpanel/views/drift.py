"""Drift: what was changed outside guardpanel, line by line, and how to redeploy."""

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import Editor, PanelDep, SessionDep, Viewer
from guardpanel.errors import Problem
from guardpanel.services.saving import revisions
from guardpanel.services.truth import live_line
from guardpanel.views.answers import page, redirect
from guardpanel.views.forms import Form
from guardpanel.views.refusals import refusal

router = APIRouter(prefix="/system/drift")


@router.get("")
async def show(request: Request, panel: PanelDep, session: SessionDep, _viewer: Viewer) -> Response:
    return await show_drift(request, panel, session)


@router.post("/put-back")
async def put_back(request: Request, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    """Redeploy the live revision."""
    form = await Form.read(request)
    try:
        saved = await panel.changes.put_back(form.save_request(editor))
    except Problem as problem:
        return await show_drift(request, panel, session, problem)
    return redirect("/system/drift", saved.sentence if saved else "")


async def show_drift(
    request: Request, panel: PanelDep, session: SessionDep, problem: Problem | None = None
) -> Response:
    live = await revisions.named_live(session)
    context = {
        "watch": panel.changes.watch, "line": await live_line.live_line(panel.changes, session), "live_revision": live,
        "refusal": refusal(problem, live.id if live else None) if problem else None,
    }  # fmt: skip
    return await page(request, "system/drift.html", context, status_code=problem.status if problem else 200)
