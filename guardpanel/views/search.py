"""The search box: finds nouns, changes, rules and events."""

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.models import NOUNS
from guardpanel.models.meta import lowered
from guardpanel.services import search
from guardpanel.views.answers import page

router = APIRouter()

NAMES = [lowered(noun.plural) for noun in NOUNS.values() if not (noun.only_name or noun.within)]


@router.get("/search")
async def index(request: Request, panel: PanelDep, session: SessionDep, _viewer: Viewer, q: str = "") -> Response:
    q = q.strip()[:200]
    results = await search.find(session, panel.events, panel.engines, q) if q else None
    return await page(request, "search/index.html", {"q": q, "results": results, "names": NAMES})
