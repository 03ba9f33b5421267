"""A virtual host's requests over time."""

from contextlib import suppress
from datetime import UTC, datetime

from fastapi import APIRouter, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.errors import StorageFailed
from guardpanel.panel import Panel
from guardpanel.services import virtual_hosts
from guardpanel.views.answers import page
from guardpanel.views.context import ContextDep
from guardpanel.views.traffic_chart import Chart, Range

router = APIRouter(prefix="/virtual-hosts/{virtual_host_id}/traffic")


@router.get("")
async def show(virtual_host_id: RowId, ctx: ContextDep, _viewer: Viewer, range: str = "") -> Response:
    """An unknown range is the usual one."""
    host, now = await virtual_hosts.find(ctx.session, virtual_host_id), datetime.now(UTC)
    chosen = Range(range) if range in set(Range) else Range.HOURS_24
    traffic = await ctx.panel.events.traffic(virtual_host_id, now - chosen.length, now)
    context = {"host": host, "chart": Chart.of(traffic), "chosen": chosen, "ranges": list(Range)}
    return await page(ctx.request, "virtual_hosts/traffic.html", context)


async def last_day(panel: Panel, host: int) -> Chart | None:
    """The requests of the last 24 hours. None if unknown."""
    now = datetime.now(UTC)
    with suppress(StorageFailed):
        return Chart.of(await panel.events.traffic(host, now - Range.HOURS_24.length, now))
    return None
