"""The progress of a save, polled by the page that waits for it, and the live line."""

import re

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.errors import NotFound
from guardpanel.services.truth import live_line
from guardpanel.views.answers import banner, environment
from guardpanel.views.formats import seconds
from guardpanel.views.steps import WORDS

router = APIRouter()


@router.get("/saves/{key}")
async def show(key: str, panel: PanelDep, _viewer: Viewer) -> Response:
    """The steps as an HTML fragment. 204 while the key is unknown."""
    if not re.fullmatch(r"[0-9a-f-]{16,64}", key):
        raise NotFound("Save not found.")
    progress = panel.changes.saves.find(key)
    if progress is None:
        return Response(status_code=204)
    steps = [
        {
            "state": state,
            "text": WORDS[name][{"waiting": 0, "now": 1}.get(state, 2)],
            "seconds": None if spent is None else seconds(spent),
        }
        for name, state, spent in progress.summary()
    ]
    return HTMLResponse(str(environment().globals["ui"].steps(steps)))  # type: ignore[attr-defined]


@router.get("/live")
async def live(request: Request, panel: PanelDep, session: SessionDep, viewer: Viewer) -> Response:
    """The live line and the banner, updated without reloading the page."""
    line = await live_line.live_line(panel.changes, session)
    context = {"live": line, "request": request, "banner": banner(line, viewer)}
    return HTMLResponse(environment().get_template("shared/live.html").render(context))
