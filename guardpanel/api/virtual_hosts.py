"""Virtual hosts as JSON."""

from pydantic import BaseModel, Field

from guardpanel.api import nouns
from guardpanel.api.react.virtual_hosts import VirtualHostDialect
from guardpanel.api.saves import Body, DeploymentOut, SaveRequestDep
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.models.virtual_host import NOUN
from guardpanel.services import server_loads, server_states, virtual_hosts


class VirtualHostQuery(nouns.NumberedListQuery):
    policy_id: int | None = Field(default=None, ge=1, le=2**53)


router = nouns.rows(
    NOUN,
    virtual_hosts,
    VirtualHostDialect(),
    query=VirtualHostQuery,
    looks_in="names, hostnames, servers and policies",
)


class ServerLoadOut(BaseModel):
    """Since HAProxy was last reloaded. A path with delivery of its own is counted apart."""

    path: str | None = Field(description="null: all other paths.")
    connections: int = Field(description="In use now.")
    most_connections: int
    waiting: int = Field(description="Requests that wait for this server alone, as with a sticky cookie.")
    most_waiting: int
    requests: int
    retries: int
    connection_errors: int
    response_errors: int
    bytes_to: int
    bytes_from: int


class ServerOut(BaseModel):
    """What HAProxy says of it. Null: HAProxy does not respond, or the virtual host is disabled."""

    id: int
    address: str
    enabled: bool
    draining: bool
    state: str | None = Field(
        description="UP, DOWN, MAINT, DRAIN, `no check`, or RESOLVING: its name has no address yet."
    )
    since_seconds: int | None
    last_check: str | None
    last_check_code: str | None
    last_check_milliseconds: int | None
    weight: int | None = Field(description="In HAProxy. 0 while it drains.")
    failed_checks: int | None
    times_down: int | None
    seconds_down: int | None
    loads: list[ServerLoadOut]


@router.get("/{virtual_host_id}/servers/{server_id}")
async def read_server(
    virtual_host_id: RowId, server_id: RowId, panel: PanelDep, session: SessionDep, _user: Viewer
) -> ServerOut:
    """The state of one of its servers (`backends` has their ids), its checks, and what it does."""
    facts = await server_loads.load(session, panel.engines, virtual_host_id, server_id)
    row, status = facts.row, facts.status
    load = status.load if status else None
    return ServerOut(
        id=row.id or 0, address=row.url, enabled=row.enabled, draining=row.draining,
        state=status.state if status else None, since_seconds=status.since_seconds if status else None,
        last_check=(status.check or None) if status else None, last_check_code=(status.check_code or None) if status else None,
        last_check_milliseconds=status.check_ms if status else None, weight=load.weight if load else None,
        failed_checks=load.failed_checks if load else None, times_down=load.times_down if load else None,
        seconds_down=load.seconds_down if load else None,
        loads=[
            ServerLoadOut(
                path=place.path.name if place.path else None,
                **{name: value for name, value in place.load._asdict().items() if name in ServerLoadOut.model_fields},
            )
            for place in facts.loads
        ],
    )  # fmt: skip


class ServerStateIn(Body):
    state: server_states.State = Field(
        description="`draining`: no new requests (HAProxy’s `drain`). `disabled`: no requests and no checks (`maint`)."
    )


class ServerStateSaved(BaseModel):
    id: int
    state: server_states.State
    deployment: DeploymentOut


@router.put("/{virtual_host_id}/servers/{server_id}/state")
async def set_server_state(
    virtual_host_id: RowId, server_id: RowId, body: ServerStateIn, panel: PanelDep, save_request: SaveRequestDep
) -> ServerStateSaved:
    """Take a server out, or back, and go live without a reload. 409 if no server would take requests then."""
    saved = await server_states.choose(panel.changes, save_request, virtual_host_id, server_id, body.state)
    return ServerStateSaved(id=server_id, state=body.state, deployment=DeploymentOut.of(saved))


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
