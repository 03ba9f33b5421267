"""Virtual hosts as JSON: the React panel's keys, and ours beside them."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from guardpanel.api.saves import DeploymentOut, NamedVersion, tag
from guardpanel.dependencies import Editor, PanelDep, SessionDep, Viewer
from guardpanel.errors import FieldError, Invalid
from guardpanel.models import Policy, VirtualHost
from guardpanel.models.policy import EnforcementMode
from guardpanel.models.types import shown
from guardpanel.models.virtual_host import Balance, TlsVerify, VirtualHostFields
from guardpanel.services import policies, virtual_hosts
from guardpanel.services.input import validated

router = APIRouter(prefix="/vhosts", tags=["vhosts"])

NO_CERTIFICATES = "guardpanel has no certificates for visitors yet: TLS ends in front of it. Leave it off."


class BackendIn(BaseModel):
    """A server as the React panel sends it. Checks are the virtual host's: those of the first backend count."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=500)
    id: int | None = None
    is_active: bool = True
    weight: int = 100
    backup: bool = False
    resolve_later: bool = False
    health_check_enabled: bool | None = None
    health_check_path: str | None = None
    health_check_interval_seconds: int | None = None
    health_check_fall: int | None = None
    health_check_rise: int | None = None


class VirtualHostIn(BaseModel):
    """What a write may name; what it leaves out stays as it is (PATCH) or takes its default (POST)."""

    model_config = ConfigDict(extra="forbid")

    domain: str | None = Field(default=None, max_length=300, description="The first hostname.")
    backend_url: str | None = Field(default=None, max_length=500, description="The first server; `backends` wins.")
    backends: list[BackendIn] | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, description="`notes` by the React panel's name.")
    is_active: bool | None = Field(default=None, description="`enabled` by the React panel's name.")
    policy_id: int | None = None
    ssl_enabled: bool | None = None
    ssl_provider: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    name: str | None = None
    hostnames: list[str] | None = None
    enforcement_mode: EnforcementMode | None = Field(default=None, description="null: the policy's.")
    maintenance: bool | None = None
    balance: Balance | None = None
    health_check: bool | None = None
    health_check_path: str | None = None
    health_check_interval: int | None = None
    health_check_rise: int | None = None
    health_check_fall: int | None = None
    health_check_status: str | None = None
    health_check_host: str | None = None
    tls_verify: TlsVerify | None = None
    tls_ca: str | None = None
    tls_name: str | None = None


class BackendOut(BaseModel):
    id: int
    url: str
    is_active: bool
    weight: int
    backup: bool
    resolve_later: bool
    health_check_enabled: bool
    health_check_path: str
    health_check_interval_seconds: int
    health_check_fall: int
    health_check_rise: int


class BoundPolicyOut(BaseModel):
    id: int
    name: str
    enforcement_mode: EnforcementMode
    is_active: bool
    paranoia_level: int
    inbound_anomaly_threshold: int


class VirtualHostOut(BaseModel):
    id: int
    version: int = Field(description="Counts edits; the ETag.")
    name: str
    domain: str = Field(description="The first hostname, as A-labels.")
    domain_shown: str = Field(description="The same in its own script.")
    hostnames: list[str]
    backend_url: str
    backends: list[BackendOut]
    description: str | None
    is_active: bool
    policy_id: int | None
    ssl_enabled: bool = False
    ssl_provider: str = "none"
    ssl_expires_at: datetime | None = None
    enforcement_mode: EnforcementMode | None
    maintenance: bool
    balance: Balance
    health_check: bool
    health_check_path: str
    health_check_interval: int
    health_check_rise: int
    health_check_fall: int
    health_check_status: str
    health_check_host: str
    tls_verify: TlsVerify
    tls_ca: str
    tls_name: str
    created_at: datetime
    updated_at: datetime


class VirtualHostRead(VirtualHostOut):
    policy: BoundPolicyOut | None


class VirtualHostSaved(VirtualHostOut):
    deployment: DeploymentOut


class VirtualHostPage(BaseModel):
    items: list[VirtualHostOut]
    total: int = Field(description="All that match, before paging.")
    page: int
    per_page: int


@router.get("")
async def list_virtual_hosts(
    session: SessionDep,
    _user: Viewer,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=500)] = 50,
    q: Annotated[str, Query(max_length=200)] = "",
    policy_id: Annotated[int | None, Query()] = None,
) -> VirtualHostPage:
    """By name; `q` looks in names, hostnames, servers and policies."""
    found = await virtual_hosts.page(session, q=q, policy_id=policy_id, offset=(page - 1) * per_page, limit=per_page)
    items = [VirtualHostOut(**out(host)) for host in found.items]
    return VirtualHostPage(items=items, total=found.total, page=page, per_page=per_page)


@router.post("", status_code=201)
async def create_virtual_host(body: VirtualHostIn, response: Response, panel: PanelDep, user: Editor) -> VirtualHostSaved:
    """Add one and make it live."""
    fields = validated(VirtualHostFields, merged({}, body))
    saved = await virtual_hosts.create(panel.changes, user.email, fields)
    tag(response, saved.value.version)
    return VirtualHostSaved(**out(saved.value), deployment=DeploymentOut.of(saved))


@router.get("/{virtual_host_id}")
async def read_virtual_host(virtual_host_id: int, response: Response, session: SessionDep, _user: Viewer) -> VirtualHostRead:
    host = await virtual_hosts.find(session, virtual_host_id)
    policy = await policies.find(session, host.policy_id) if host.policy_id is not None else None
    tag(response, host.version)
    return VirtualHostRead(**out(host), policy=bound(policy) if policy else None)


@router.patch("/{virtual_host_id}")
async def update_virtual_host(
    virtual_host_id: int, body: VirtualHostIn, response: Response, panel: PanelDep, session: SessionDep, user: Editor,
    version: NamedVersion,
) -> VirtualHostSaved:  # fmt: skip
    """Change the named keys and make that live."""
    host = await virtual_hosts.find(session, virtual_host_id)
    fields = validated(VirtualHostFields, merged(virtual_hosts.fields_of(host).model_dump(), body))
    # What is merged was read outside the save: without If-Match, this read is what the caller answers for.
    saved = await virtual_hosts.update(
        panel.changes, user.email, virtual_host_id, fields, host.version if version is None else version
    )
    tag(response, saved.value.version)
    return VirtualHostSaved(**out(saved.value), deployment=DeploymentOut.of(saved))


@router.delete("/{virtual_host_id}", status_code=204)
async def delete_virtual_host(virtual_host_id: int, panel: PanelDep, user: Editor, version: NamedVersion) -> None:
    await virtual_hosts.delete(panel.changes, user.email, virtual_host_id, version)


def merged(now: dict[str, Any], body: VirtualHostIn) -> dict[str, Any]:
    """The fields as they would be: the named keys over what is there, the React panel's keys as ours."""
    given = body.model_dump(exclude_unset=True)
    if given.pop("ssl_enabled", False) or (given.pop("ssl_provider", None) or "none") != "none" or given.get("ssl_cert"):
        raise Invalid("Certificates are not there yet.", {"ssl_enabled": FieldError(NO_CERTIFICATES)})
    for name in ("ssl_cert", "ssl_key", "ssl_provider"):
        given.pop(name, None)
    first = given.pop("domain", None)
    if first is not None and "hostnames" not in given:
        given["hostnames"] = [first, *(name for name in now.get("hostnames", [])[1:] if name != first)]
    url = given.pop("backend_url", None)
    backends = given.pop("backends", None)
    if backends is None and url is not None:
        backends = [{"url": url}, *({"url": f"{one['scheme']}://{one['address']}", **one} for one in now.get("servers", [])[1:])]
    if backends is not None:
        given["servers"] = [server(one) for one in backends]
        given = {**checks(backends[0] if backends else {}), **given}
    for theirs, ours in (("description", "notes"), ("is_active", "enabled")):
        if theirs in given:
            given[ours] = given.pop(theirs)
    if given.get("notes", "") is None:
        given["notes"] = ""
    nullable = {"policy_id", "enforcement_mode"}
    return {**now, **{name: value for name, value in given.items() if value is not None or name in nullable}}


def server(backend: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": backend["url"],
        "weight": backend.get("weight", 100),
        "backup": backend.get("backup", False),
        "enabled": backend.get("is_active", backend.get("enabled", True)),
        "resolve_later": backend.get("resolve_later", False),
    }


def checks(backend: dict[str, Any]) -> dict[str, Any]:
    names = {
        "health_check_enabled": "health_check",
        "health_check_path": "health_check_path",
        "health_check_interval_seconds": "health_check_interval",
        "health_check_rise": "health_check_rise",
        "health_check_fall": "health_check_fall",
    }
    return {ours: backend[theirs] for theirs, ours in names.items() if backend.get(theirs) is not None}


def out(host: VirtualHost) -> dict[str, Any]:
    """The keys of `VirtualHostOut`."""
    own = {name: getattr(host, name) for name in VirtualHostOut.model_fields if name in VirtualHost.model_fields}
    names = [row.name for row in host.hostnames]
    return {
        **own,
        "domain": names[0],
        "domain_shown": shown(names[0]),
        "hostnames": names,
        "backend_url": host.servers[0].url if host.servers else "",
        "backends": [
            BackendOut(
                id=row.id or 0,
                url=row.url,
                is_active=row.enabled,
                weight=row.weight,
                backup=row.backup,
                resolve_later=row.resolve_later,
                health_check_enabled=host.health_check,
                health_check_path=host.health_check_path,
                health_check_interval_seconds=host.health_check_interval,
                health_check_fall=host.health_check_fall,
                health_check_rise=host.health_check_rise,
            )
            for row in host.servers
        ],
        "description": host.notes or None,
        "is_active": host.enabled,
    }


def bound(policy: Policy) -> BoundPolicyOut:
    off = policy.enforcement_mode is EnforcementMode.OFF
    return BoundPolicyOut(
        id=policy.id or 0,
        name=policy.name,
        enforcement_mode=EnforcementMode.DETECT_ONLY if off else policy.enforcement_mode,
        is_active=not off,
        paranoia_level=policy.blocking_paranoia_level,
        inbound_anomaly_threshold=policy.inbound_anomaly_threshold,
    )
