"""The search box: virtual hosts, policies and revisions by what an operator knows of them."""

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import SessionDep, Viewer
from guardpanel.services import policies, virtual_hosts
from guardpanel.views.pages import page

router = APIRouter()

MOST = 20


@router.get("/search")
async def index(request: Request, session: SessionDep, _viewer: Viewer, q: str = "") -> Response:
    q = q.strip()[:200]
    found: dict[str, object] = {"hosts": None, "policies": None}
    if q:
        found = {
            "hosts": await virtual_hosts.page(session, q=q, limit=MOST),
            "policies": await policies.page(session, q=q, limit=MOST),
        }
    return await page(request, "search/index.html", {"q": q, **found})
