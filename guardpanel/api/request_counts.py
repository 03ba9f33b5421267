"""Requests of a virtual host, or of all, as JSON: over time, by path, and by client."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from guardpanel.api.documented import also
from guardpanel.api.paging import CURSOR, NextCursor
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.events.busiest import MOST, Kind
from guardpanel.events.traffic import ALL, CLASSES, Count
from guardpanel.events.words import Reason, Verdict
from guardpanel.models.virtual_host import NOUN
from guardpanel.panel import Panel
from guardpanel.services import virtual_hosts
from guardpanel.services.events import access_log
from guardpanel.services.events.access_log import LISTED as LINES
from guardpanel.services.events.access_log import LogLine
from guardpanel.services.events.busiest import LISTED, Busiest
from guardpanel.services.events.log_question import LogQuestion
from guardpanel.services.events.traffic import LONGEST

router = APIRouter(tags=[NOUN.tag], responses=also(507))

HERE = f"/api/v1/{NOUN.api}/{{virtual_host_id}}/traffic"

OF_ALL = "/api/v1/request-counts"

LONGEST_PAGE = 500

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


@router.get(HERE)
async def read_virtual_host_traffic(
    virtual_host_id: RowId, panel: PanelDep, session: SessionDep, query: Annotated[TrafficQuery, Query()], _user: Viewer
) -> VirtualHostTraffic:
    """How many requests it had over time, and what became of them."""
    await virtual_hosts.find(session, virtual_host_id)
    return await _over_time(panel, virtual_host_id, query)


@router.get(OF_ALL)
async def read_request_counts(
    panel: PanelDep, query: Annotated[TrafficQuery, Query()], _user: Viewer
) -> VirtualHostTraffic:
    """How many requests all virtual hosts had over time, with those for unknown hostnames."""
    return await _over_time(panel, ALL, query)


async def _over_time(panel: Panel, host: int, query: TrafficQuery) -> VirtualHostTraffic:
    now = datetime.now(UTC)
    traffic = await panel.events.traffic(host, now - timedelta(hours=query.hours), now)
    return VirtualHostTraffic(
        step_seconds=traffic.step.seconds,
        total=TrafficCount.of(traffic.total),
        steps=[TrafficStep.of(slot.count, begins=slot.begins) for slot in traffic.slots],
    )


@router.get(HERE + "/paths")
async def read_virtual_host_paths(
    virtual_host_id: RowId, panel: PanelDep, session: SessionDep, query: Annotated[BusiestQuery, Query()], _user: Viewer
) -> BusiestNames:
    """Its paths with most requests."""
    await virtual_hosts.find(session, virtual_host_id)
    return await _busiest(panel, virtual_host_id, Kind.PATH, query)


@router.get(HERE + "/clients")
async def read_virtual_host_clients(
    virtual_host_id: RowId, panel: PanelDep, session: SessionDep, query: Annotated[BusiestQuery, Query()], _user: Viewer
) -> BusiestNames:
    """Its clients with most requests."""
    await virtual_hosts.find(session, virtual_host_id)
    return await _busiest(panel, virtual_host_id, Kind.CLIENT, query)


@router.get(OF_ALL + "/paths")
async def read_busiest_paths(panel: PanelDep, query: Annotated[BusiestQuery, Query()], _user: Viewer) -> BusiestNames:
    """The paths with most requests, on all virtual hosts together."""
    return await _busiest(panel, ALL, Kind.PATH, query)


@router.get(OF_ALL + "/clients")
async def read_busiest_clients(panel: PanelDep, query: Annotated[BusiestQuery, Query()], _user: Viewer) -> BusiestNames:
    """The clients with most requests, on all virtual hosts together."""
    return await _busiest(panel, ALL, Kind.CLIENT, query)


async def _busiest(panel: Panel, host: int, kind: Kind, query: BusiestQuery) -> BusiestNames:
    now = datetime.now(UTC)
    return BusiestNames.of(await panel.events.busiest(kind, host, now - timedelta(hours=query.hours), now, query.limit))


class LogQuery(LogQuestion):
    cursor: str = Field(default="", pattern=r"^(before-[0-9]{1,18})?$", description=CURSOR)
    per_page: int = Field(default=LINES, ge=1, le=LONGEST_PAGE)
    before: int | None = Field(default=None, ge=0, description="Use `cursor`.", json_schema_extra={"deprecated": True})
    limit: int | None = Field(
        default=None, ge=1, le=LONGEST_PAGE, description="Use `per_page`.", json_schema_extra={"deprecated": True}
    )

    @property
    def end(self) -> int | None:
        """Where in the log the page ends. None: at its end."""
        return int(self.cursor.removeprefix("before-")) if self.cursor else self.before

    @property
    def size(self) -> int:
        """Of the page."""
        return self.per_page if self.limit is None or "per_page" in self.model_fields_set else self.limit


class LoggedRequest(BaseModel):
    """Texts that are not displayable appear as `\\xff` or `\\u202e`."""

    at: datetime
    request_id: str
    client: str
    method: str
    path: str = Field(description="Without its query.")
    status: int | None = Field(description="Null: no response.")
    bytes_sent: int
    milliseconds: int | None
    verdict: Verdict | None = Field(description="Null: there is no event of this request.")
    reason: Reason | None


class AccessLog(BaseModel):
    items: list[LoggedRequest] = Field(description="Newest first.")
    next_cursor: NextCursor
    before: int | None = Field(description="Use `next_cursor`.", json_schema_extra={"deprecated": True})


@router.get(HERE + "/log")
async def read_virtual_host_access_log(
    virtual_host_id: RowId, panel: PanelDep, session: SessionDep, query: Annotated[LogQuery, Query()], _user: Viewer
) -> AccessLog:
    """The last lines of HAProxy's log about it. A page has fewer than `per_page` if that takes more than 64 MiB or 0.4 s."""
    await virtual_hosts.find(session, virtual_host_id)
    lines = await access_log.newest(panel.settings.access_log, query.of(virtual_host_id), query.end, limit=query.size)
    return AccessLog(
        items=[_logged(line) for line in lines.lines],
        next_cursor=None if lines.before is None else f"before-{lines.before}",
        before=lines.before,
    )


def _logged(line: LogLine) -> LoggedRequest:
    return LoggedRequest(
        at=line.at, request_id=line.request_id, client=line.client, method=line.method, path=line.path, status=line.status,
        bytes_sent=line.bytes, milliseconds=line.milliseconds, verdict=line.verdict, reason=line.reason,
    )  # fmt: skip
