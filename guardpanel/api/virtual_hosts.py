"""Virtual hosts as JSON."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from guardpanel.api import nouns
from guardpanel.api.react.virtual_hosts import VirtualHostDialect
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.events.traffic import CLASSES, Count
from guardpanel.models.virtual_host import NOUN
from guardpanel.services import virtual_hosts
from guardpanel.services.events.traffic import LONGEST


class VirtualHostQuery(nouns.ListQuery):
    policy_id: int | None = None


router = nouns.rows(
    NOUN,
    virtual_hosts,
    VirtualHostDialect(),
    query=VirtualHostQuery,
    looks_in="names, hostnames, servers and policies",
)


class HeirOut(BaseModel):
    """A hostname, and another virtual host's wildcard that takes it over."""

    hostname: str
    wildcard: str
    virtual_host_id: int


@router.get("/{virtual_host_id}/heirs")
async def list_virtual_host_heirs(virtual_host_id: RowId, session: SessionDep, _user: Viewer) -> list[HeirOut]:
    """The hostnames that wildcards of other virtual hosts take over when this one is deleted. Its other hostnames are unknown
    then: 421, unless a virtual host has `answers_unknown`. While it is only disabled (`is_active`), all of them do."""
    host = await virtual_hosts.find(session, virtual_host_id)
    return [
        HeirOut(hostname=heir.name.name, wildcard=heir.wildcard.name, virtual_host_id=heir.virtual_host.id or 0)
        for heir in await virtual_hosts.heirs(session, host)
    ]


class TrafficQuery(BaseModel):
    hours: int = Field(
        default=24,
        ge=1,
        le=LONGEST // timedelta(hours=1),
        description="Up to 48 in steps of 5 minutes, else of an hour.",
    )


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
    def of(cls, count: Count) -> "TrafficCount":
        return cls(
            requests=count.requests, rejected=count.rejected, detected=count.detected, bytes_sent=count.sent,
            statuses=dict(zip(CLASSES, count.statuses, strict=True)),
            p50=count.percentile(0.5), p95=count.percentile(0.95), p99=count.percentile(0.99),
        )  # fmt: skip


class TrafficStep(TrafficCount):
    begins: datetime


class VirtualHostTraffic(BaseModel):
    step_seconds: int
    total: TrafficCount
    steps: list[TrafficStep] = Field(description="Oldest first, without a gap. The last one is not over yet.")


@router.get("/{virtual_host_id}/traffic")
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
        steps=[TrafficStep(begins=slot.begins, **TrafficCount.of(slot.count).model_dump()) for slot in traffic.slots],
    )
