"""The dashboard: what needs attention first, then what runs, then recent changes."""

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.events.traffic import ALL
from guardpanel.services.truth import dashboard
from guardpanel.views.answers import page
from guardpanel.views.request_counts import last_day

router = APIRouter()


@router.get("/")
async def show(request: Request, panel: PanelDep, session: SessionDep, _viewer: Viewer) -> Response:
    overview = await dashboard.overview(panel.changes, session, panel.problem)
    context = {"overview": overview, "traffic": await last_day(panel, ALL)}
    return await page(request, "dashboard/show.html", context)
