"""The traffic settings as JSON."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from guardpanel.api.saves import AskedDep, DeploymentOut, NamedVersion, merging, tag
from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.models import Traffic
from guardpanel.models.traffic import ClientIpSource, ProxyProtocol, Scheme, TrafficFields
from guardpanel.panel import Panel
from guardpanel.services import traffic
from guardpanel.services.changes import Saved
from guardpanel.services.input import validated

router = APIRouter(prefix="/api/v1/traffic", tags=["traffic"])


class ListenerIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    address: str = Field(description="As in `GUARDPANEL_HTTP_BIND`: `0.0.0.0:80`.")
    proxy_protocol: ProxyProtocol = Field(
        default=ProxyProtocol.OFF,
        description="PROXY protocol v1 and v2. `trusted`: connections from `proxy_networks` must begin with it, others are "
        "visitors themselves. `required`: only connections from `proxy_networks` are served.",
    )
    proxy_networks: list[str] = Field(default_factory=list)
    scheme: Scheme = Field(default=Scheme.HTTP, description="`https`: something in front of this listener ends TLS.")


class TrafficIn(BaseModel):
    """What a write may name; what it leaves out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    client_ip_source: ClientIpSource | None = None
    trusted_networks: list[str] | None = Field(
        default=None,
        description="Proxies whose X-Forwarded-For (or `client_ip_header`), X-Forwarded-Proto, -Host and -Port count. "
        "Everybody else’s are removed.",
    )
    forwarded_hops: int | None = Field(
        default=None,
        description="Which address of X-Forwarded-For is the client, counted from the right; 0: the last one that is not in "
        "`trusted_networks`.",
    )
    client_ip_header: str | None = Field(default=None, description="For `client_ip_source` `header`: CF-Connecting-IP.")
    max_connections: int | None = Field(
        default=None,
        description="Of visitors at a time; more get 503. 0: as many as there is memory for.",
    )
    max_requests_per_client: int | None = Field(
        default=None,
        description="In progress at a time for one client address (IPv6: /64); more get 429. 0: as many as there is memory for.",
    )
    listeners: list[ListenerIn] | None = Field(
        default=None, description="Replaces all; a listener that is not named takes no PROXY protocol."
    )


class TrafficOut(BaseModel):
    version: int = Field(description="Counts edits; the ETag.")
    client_ip_source: ClientIpSource
    trusted_networks: list[str]
    forwarded_hops: int
    client_ip_header: str
    max_connections: int
    max_requests_per_client: int
    listeners: list[ListenerIn] = Field(description="Every one that there is.")
    updated_at: datetime


class TrafficSaved(TrafficOut):
    deployment: DeploymentOut


@router.get("")
async def read_traffic(response: Response, panel: PanelDep, session: SessionDep, _user: Viewer) -> TrafficOut:
    """How requests reach HAProxy, and who is believed about the client."""
    found = await traffic.find(session)
    tag(response, found.version)
    return TrafficOut(**out(panel, found))


@router.patch("")
async def update_traffic(
    body: TrafficIn, response: Response, panel: PanelDep, asked: AskedDep, version: NamedVersion
) -> TrafficSaved:
    """Change the named keys and make that live."""

    async def attempt() -> Saved[Traffic]:
        async with panel.database.read() as session:
            found = await traffic.find(session)
        now = traffic.fields_of(found, panel.changes.renderer.facts).model_dump()
        fields = validated(TrafficFields, {**now, **body.model_dump(exclude_unset=True)})
        return await traffic.update(panel.changes, asked, fields, found.version if version is None else version)

    saved = await merging(attempt, version)
    tag(response, saved.value.version)
    return TrafficSaved(**out(panel, saved.value), deployment=DeploymentOut.of(saved))


def out(panel: Panel, found: Traffic) -> dict[str, Any]:
    """The keys of `TrafficOut`."""
    own = {name: getattr(found, name) for name in TrafficOut.model_fields}
    return {
        **own,
        "listeners": [one.model_dump() for one in traffic.fields_of(found, panel.changes.renderer.facts).listeners],
    }
