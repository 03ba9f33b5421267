"""The progress of a save, polled by the page that waits for it, and the live line."""

import re

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.errors import NotFound
from guardpanel.panel import Panel
from guardpanel.services.saving.progress import Progress
from guardpanel.services.truth import live_line
from guardpanel.views.answers import banner, environment, page
from guardpanel.views.steps import steps_of

router = APIRouter()


@router.get("/saves/{key}")
async def show(key: str, panel: PanelDep, _viewer: Viewer) -> Response:
    """The steps as an HTML fragment. 204 while the key is unknown."""
    progress = _progress(panel, key)
    if progress is None:
        return Response(status_code=204)
    return HTMLResponse(str(environment().globals["ui"].steps(steps_of(progress))))  # type: ignore[attr-defined]


@router.get("/saves/{key}/progress")
async def follow(key: str, request: Request, panel: PanelDep, _viewer: Viewer) -> Response:
    """The steps as a page, which a form without JavaScript opens in another tab."""
    progress = _progress(panel, key)
    steps = [] if progress is None else steps_of(progress)
    is_over = progress is not None and progress.over
    answer = await page(request, "saves/show.html", {"steps": steps, "is_over": is_over})
    if not is_over:
        answer.headers["refresh"] = "1"
    return answer


def _progress(panel: Panel, key: str) -> Progress | None:
    if not re.fullmatch(r"[0-9a-f-]{16,64}", key):
        raise NotFound("Save not found.")
    return panel.changes.saves.find(key)


@router.get("/live")
async def live(request: Request, panel: PanelDep, session: SessionDep, viewer: Viewer) -> Response:
    """The live line and the banner, updated without reloading the page."""
    line = await live_line.live_line(panel.changes, session)
    context = {"live": line, "request": request, "banner": banner(line, viewer)}
    return HTMLResponse(environment().get_template("shared/live.html").render(context))
