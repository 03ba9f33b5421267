"""Changes: every attempt to make something live, newest first."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from guardpanel.dependencies import RowId, SessionDep, Viewer
from guardpanel.services import policies, revisions, virtual_hosts
from guardpanel.views.lists import Listing
from guardpanel.views.pages import page

RowNumber = Annotated[int | None, Query(ge=1, le=2**53)]

router = APIRouter(prefix="/changes")

PATHS = {virtual_hosts.NOUN: "/virtual-hosts", policies.NOUN: "/policies"}
NOUNS = {virtual_hosts.NOUN: "Virtual host", policies.NOUN: "Policy"}


@router.get("")
async def index(
    request: Request, session: SessionDep, _viewer: Viewer, noun: str = "", id: RowNumber = None, offset: int = 0
) -> Response:
    listing = Listing("/changes", "name", offset, {"noun": noun if noun in PATHS else "", "id": str(id or "")})
    found = await revisions.page(session, noun=listing.kept["noun"] if id else "", noun_id=id, offset=listing.offset)
    live = await revisions.live(session)
    context = {
        "listing": listing, "found": found, "live_revision": live.id if live else None, "paths": PATHS, "nouns": NOUNS,
    }  # fmt: skip
    return await page(request, "changes/index.html", context)


@router.get("/{deployment_id}")
async def show(request: Request, deployment_id: RowId, session: SessionDep, _viewer: Viewer) -> Response:
    change = await revisions.find(session, deployment_id)
    live = await revisions.live(session)
    context = {"change": change, "live_revision": live.id if live else None, "paths": PATHS, "nouns": NOUNS}
    return await page(request, "changes/show.html", context)
