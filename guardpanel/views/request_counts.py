"""Requests of a virtual host, or of all: over time, by path, and by client."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from fastapi import APIRouter, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.errors import StorageFailed
from guardpanel.events.busiest import MOST, Kind
from guardpanel.events.traffic import ALL
from guardpanel.models import VirtualHost
from guardpanel.panel import Panel
from guardpanel.services import virtual_hosts
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.traffic_chart import Chart, Range

router = APIRouter()

HERE = "/virtual-hosts/{virtual_host_id}/traffic"


class Names(StrEnum):
    PATHS = "paths"
    CLIENTS = "clients"


KINDS = {Names.PATHS: Kind.PATH, Names.CLIENTS: Kind.CLIENT}


@dataclass(frozen=True)
class Place:
    """Whose traffic it is."""

    host: VirtualHost | None = None

    @property
    def url(self) -> str:
        return f"/virtual-hosts/{self.host.id}/traffic" if self.host else "/traffic"

    @property
    def number(self) -> int:
        return self.host.id or 0 if self.host else ALL


@router.get(HERE)
async def show(virtual_host_id: RowId, ctx: ContextDep, _viewer: Viewer, range: str = "") -> Response:
    return await _times(ctx, Place(await virtual_hosts.find(ctx.session, virtual_host_id)), range)


@router.get("/traffic")
async def show_all(ctx: ContextDep, _viewer: Viewer, range: str = "") -> Response:
    return await _times(ctx, Place(), range)


@router.get(HERE + "/{names}")
async def show_busiest(
    virtual_host_id: RowId, names: Names, ctx: ContextDep, _viewer: Viewer, range: str = ""
) -> Response:
    return await _busiest(ctx, Place(await virtual_hosts.find(ctx.session, virtual_host_id)), names, range)


@router.get("/traffic/{names}")
async def show_busiest_of_all(names: Names, ctx: ContextDep, _viewer: Viewer, range: str = "") -> Response:
    return await _busiest(ctx, Place(), names, range)


async def _times(ctx: Context, place: Place, range: str) -> Response:
    chosen, now = _range(range), datetime.now(UTC)
    traffic = await ctx.panel.events.traffic(place.number, now - chosen.length, now)
    context = {"place": place, "chart": await asyncio.to_thread(Chart.of, traffic)}
    return await page(ctx.request, "request_counts/times.html", {**context, **_ranges(chosen)})


async def _busiest(ctx: Context, place: Place, names: Names, range: str) -> Response:
    chosen, now = _range(range), datetime.now(UTC)
    listed = await ctx.panel.events.busiest(KINDS[names], place.number, now - chosen.length, now)
    context = {"place": place, "kind": names.value, "listed": listed, "most": MOST}
    return await page(ctx.request, "request_counts/busiest.html", {**context, **_ranges(chosen)})


def _range(text: str) -> Range:
    """An unknown range is the usual one."""
    return Range(text) if text in set(Range) else Range.HOURS_24


def _ranges(chosen: Range) -> dict[str, object]:
    return {"chosen": chosen, "ranges": list(Range)}


async def last_day(panel: Panel, host: int) -> Chart | None:
    """The requests of the last 24 hours. None if unknown."""
    now = datetime.now(UTC)
    with suppress(StorageFailed):
        return await asyncio.to_thread(Chart.of, await panel.events.traffic(host, now - Range.HOURS_24.length, now))
    return None
