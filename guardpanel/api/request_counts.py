"""Requests of a virtual host as JSON: over time, by path, and by client."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.events.busiest import MOST, Kind
from guardpanel.events.traffic import CLASSES, Count
from guardpanel.models.virtual_host import NOUN
from guardpanel.services import virtual_hosts
from guardpanel.services.events.busiest import LISTED, Busiest
from guardpanel.services.events.traffic import LONGEST

router = APIRouter(prefix=f"/api/v1/{NOUN.api}/{{virtual_host_id}}/traffic", tags=[NOUN.tag])

MOST_HOURS = LONGEST // timedelta(hours=1)


class TrafficQuery(BaseModel):
    hours: int = Field(default=24, ge=1, le=MOST_HOURS, description="Up to 48 in steps of 5 minutes, else of an hour.")


class BusiestQuery(BaseModel):
    hours: int = Field(
        default=24, ge=1, le=MOST_HOURS, description="Rounded up: to whole hours up to 48, else to whole days in UTC."
    )
    limit: int = Field(default=LISTED, ge=1, le=MOST)


class TrafficCount(BaseModel):
    """Times are in milliseconds until servers began to respond, rounded up to one of 30 bounds. Null: no server did."""

    requests: int
    rejected: int = Field(description="Answered by HAProxy because of a verdict.")
    detected: int = Field(description="Rules fired, and they passed.")
    bytes_sent: int
    statuses: dict[str, int] = Field(description="Of those not rejected: `2xx`. `other`: no response.")
    p50: int | None
    p95: int | None
    p99: int | None

    @classmethod
    def of(cls, count: Count, **others: Any) -> Self:
        return cls(
            requests=count.requests, rejected=count.rejected, detected=count.detected, bytes_sent=count.sent,
            statuses=dict(zip(CLASSES, count.statuses, strict=True)),
            p50=count.percentile(0.5), p95=count.percentile(0.95), p99=count.percentile(0.99), **others,
        )  # fmt: skip


class TrafficStep(TrafficCount):
    begins: datetime


class VirtualHostTraffic(BaseModel):
    step_seconds: int
    total: TrafficCount
    steps: list[TrafficStep] = Field(description="Oldest first, without a gap. The last one is not over yet.")


class BusyName(TrafficCount):
    name: str = Field(description="A path with folded IDs, such as `/orders/{number}`; an IPv4 address or an IPv6 /64.")


class BusiestNames(BaseModel):
    """Of each hour, the 40 busiest are counted one by one: a name may have had more requests while it was not among them."""

    since: datetime
    total: TrafficCount
    items: list[BusyName] = Field(description="Most requests first.")
    others: TrafficCount = Field(description="Everything else.")

    @classmethod
    def of(cls, listed: Busiest) -> Self:
        items = [BusyName.of(row.count, name=row.name) for row in listed.rows]
        total, others = TrafficCount.of(listed.total), TrafficCount.of(listed.others)
        return cls(since=listed.since, total=total, items=items, others=others)


@router.get("")
async def read_virtual_host_traffic(
    virtual_host_id: RowId, panel: PanelDep, session: SessionDep, query: Annotated[TrafficQuery, Query()], _user: Viewer
) -> VirtualHostTraffic:
    """How many requests it had over time, and what became of them."""
    await virtual_hosts.find(session, virtual_host_id)
    now = datetime.now(UTC)
    traffic = await panel.events.traffic(virtual_host_id, now - timedelta(hours=query.hours), now)
    return VirtualHostTraffic(
        step_seconds=traffic.step.seconds,
        total=TrafficCount.of(traffic.total),
        steps=[TrafficStep.of(slot.count, begins=slot.begins) for slot in traffic.slots],
    )


@router.get("/paths")
async def read_virtual_host_paths(
    virtual_host_id: RowId, panel: PanelDep, session: SessionDep, query: Annotated[BusiestQuery, Query()], _user: Viewer
) -> BusiestNames:
    """Its paths with most requests."""
    await virtual_hosts.find(session, virtual_host_id)
    return await _busiest(panel, virtual_host_id, Kind.PATH, query)


@router.get("/clients")
async def read_virtual_host_clients(
    virtual_host_id: RowId, panel: PanelDep, session: SessionDep, query: Annotated[BusiestQuery, Query()], _user: Viewer
) -> BusiestNames:
    """Its clients with most requests."""
    await virtual_hosts.find(session, virtual_host_id)
    return await _busiest(panel, virtual_host_id, Kind.CLIENT, query)


async def _busiest(panel: PanelDep, host: int, kind: Kind, query: BusiestQuery) -> BusiestNames:
    now = datetime.now(UTC)
    return BusiestNames.of(await panel.events.busiest(kind, host, now - timedelta(hours=query.hours), now, query.limit))
