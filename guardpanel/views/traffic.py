"""Traffic settings: where client IPs come from, and what recent requests contained."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Response

from guardpanel.dependencies import Viewer
from guardpanel.errors import EngineUnavailable
from guardpanel.models import Traffic
from guardpanel.models.traffic import TrafficFields
from guardpanel.services import certificate_uses, traffic, virtual_hosts
from guardpanel.services.access.limit_tables import LimitTable, limit_tables
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import last_changes
from guardpanel.views.editing import Editing


class TrafficEditing(Editing[Traffic, TrafficFields]):
    async def beside_form(self, ctx: Context) -> Mapping[str, Any]:
        names = await certificate_uses.as_options(ctx.session)
        return {
            "by_memory": (await traffic.limits_of(ctx.changes, ctx.session)).by_memory,
            "certificates": names,
            "https_addresses": traffic.https_addresses(ctx.facts),
            "trail": [("System", "/system"), ("Traffic", self.noun.path)],
        }


EDITING = TrafficEditing(traffic.ROWS)

router = EDITING.router()


@router.get("")
async def show(ctx: ContextDep, _viewer: Viewer) -> Response:
    row = await traffic.find(ctx.session)
    tables: Sequence[LimitTable] | None
    try:
        tables = await limit_tables(ctx.panel.engines.bans.cli)
    except EngineUnavailable:
        tables = None
    context = {
        "limit_tables": tables,
        "traffic": row,
        "default_certificate": await certificate_uses.named(ctx.session, row.default_certificate_id),
        "default_host": await virtual_hosts.for_unknown_names(ctx.session),
        "https_bind": ctx.panel.settings.https_bind,
        "no_http3": ctx.facts.no_http3,
        "capacity": (await traffic.limits_of(ctx.changes, ctx.session)).capacity,
        "memory": f"{ctx.facts.memory_mib / 1024:.1f} GiB",
        "listeners": traffic.fields_of(row, ctx.facts).listeners,
        "lately": await ctx.panel.events.recent_requests(),
        "changes": await last_changes(ctx, row, traffic.ROWS),
    }
    return await page(ctx.request, "traffic/show.html", context)
