"""Where addresses are from: which data there is, how old it is, and which policies ask."""

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from guardpanel.dependencies import Viewer
from guardpanel.services import policies
from guardpanel.views.answers import page
from guardpanel.views.context import ContextDep

router = APIRouter(prefix="/access/countries")

OLD_DAYS = 90
"Networks change hands: older data is marked."


@router.get("")
async def index(ctx: ContextDep, _viewer: Viewer) -> Response:
    context = {
        "statuses": await ctx.panel.geo.statuses(),
        "asking": await policies.asking_where_from(ctx.session),
        "old_days": OLD_DAYS,
        "now": datetime.now(UTC),
    }
    return await page(ctx.request, "access/countries.html", context)
