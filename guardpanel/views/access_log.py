"""The last lines of a virtual host's access log, which follow while the page is open and not paused."""

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.errors import Invalid
from guardpanel.events.words import REASON_TABLE
from guardpanel.services import virtual_hosts
from guardpanel.services.events import access_log
from guardpanel.services.events.access_log import NOTHING, LogPage
from guardpanel.services.events.log_question import LogQuestion
from guardpanel.views.answers import page
from guardpanel.views.context import ContextDep
from guardpanel.views.log_filters import LogFilters
from guardpanel.views.request_counts import Place

router = APIRouter(prefix="/virtual-hosts/{virtual_host_id}/traffic/log")

MOST_DIGITS = 15


@router.get("")
async def index(
    virtual_host_id: RowId, ctx: ContextDep, _viewer: Viewer, before: str = "", since: str = "", paused: str = ""
) -> Response:
    """`before`: an offset in the log, for older lines. `since`: what the asking page has; 204 if there is nothing else."""
    place = Place(await virtual_hosts.find(ctx.session, virtual_host_id))
    filters = LogFilters(f"{place.url}/log", ctx.request.query_params)
    log, older = ctx.panel.settings.access_log, _offset(before)
    lines: LogPage | None = NOTHING
    try:
        wanted = filters.form.fields(LogQuestion).of(virtual_host_id)
        await ctx.session.commit()
        if (after := _offset(since)) is not None and not await access_log.has_newer(log, wanted, after):
            return Response(status_code=204)
        lines = await access_log.newest(log, wanted, older)
    except Invalid as problem:
        filters.form.refused(problem)
        lines = None
    context = {
        "place": place, "filters": filters, "lines": lines, "reasons": REASON_TABLE, "now": datetime.now(UTC),
        "is_older": older is not None, "is_live": lines is not None and older is None and not paused,
    }  # fmt: skip
    return await page(
        ctx.request, "request_counts/log.html", context, status_code=200 if lines is not None else 422, block="log"
    )


def _offset(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None
