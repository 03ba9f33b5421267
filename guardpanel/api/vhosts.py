"""Virtual hosts as JSON: the React panel's keys, and ours beside them."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from guardpanel.api.saves import AskedDep, DeploymentOut, NamedVersion, merging, not_yet, speaking, tag
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.errors import FieldError, Invalid
from guardpanel.models import Policy, Server, VirtualHost
from guardpanel.models.policy import EnforcementMode
from guardpanel.models.types import endpoint, shown
from guardpanel.models.virtual_host import Balance, ServerFields, TlsVerify, VirtualHostFields
from guardpanel.services import policies, virtual_hosts
from guardpanel.services.changes import Saved
from guardpanel.services.input import validated

router = APIRouter(prefix="/api/v1/vhosts", tags=["vhosts"])

NAMES = {"description": "notes", "is_active": "enabled"}
"The React panel's names for our fields."

CHECKS = {
    "health_check_enabled": "health_check",
    "health_check_path": "health_check_path",
    "health_check_interval_seconds": "health_check_interval",
    "health_check_rise": "health_check_rise",
    "health_check_fall": "health_check_fall",
}
"The same for the health check, which it has with each backend."

NO_CERTIFICATES = "guardpanel has no certificates for visitors yet: TLS ends in front of it. Leave it off."


class BackendIn(BaseModel):
    """A server as the React panel sends it. The health check is the virtual host's: all backends have the same."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=500)
    id: int | None = Field(default=None, description="Not read: a backend is known by its URL.")
    is_active: bool = True
    weight: int = Field(default=100, description="Left out: as it is for this URL.")
    backup: bool = Field(default=False, description="Left out: as it is for this URL.")
    resolve_later: bool = Field(default=False, description="Left out: as it is for this URL.")
    health_check_enabled: bool | None = None
    health_check_path: str | None = None
    health_check_interval_seconds: int | None = None
    health_check_fall: int | None = None
    health_check_rise: int | None = None


class ServerIn(BaseModel):
    """A server by our names."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(max_length=500, description="`10.0.0.5:3000`, or a URL, which then names the scheme.")
    scheme: Literal["http", "https"] = "http"
    weight: int = 100
    backup: bool = False
    enabled: bool = True
    resolve_later: bool = False


class VirtualHostIn(BaseModel):
    """What a write may name; what it leaves out stays as it is (PATCH) or takes its default (POST)."""

    model_config = ConfigDict(extra="forbid")

    domain: str | None = Field(default=None, max_length=300, description="The first hostname.")
    backend_url: str | None = Field(default=None, max_length=500, description="The first server; `backends` wins.")
    backends: list[BackendIn] | None = Field(default=None, max_length=200, description="`servers` wins.")
    servers: list[ServerIn] | None = Field(default=None, max_length=200)
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
    servers: list[ServerFields]
    description: str | None
    is_active: bool
    policy_id: int | None
    ssl_enabled: bool
    ssl_provider: Literal["none", "upload", "letsencrypt"]
    ssl_expires_at: datetime | None
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
    items = await asyncio.to_thread(lambda: [VirtualHostOut(**out(host)) for host in found.items])
    return VirtualHostPage(items=items, total=found.total, page=page, per_page=per_page)


@router.post("", status_code=201)
async def create_virtual_host(
    body: VirtualHostIn, response: Response, panel: PanelDep, asked: AskedDep
) -> VirtualHostSaved:
    """Add one and make it live."""
    with speaking(names_in(body)):
        fields = validated(VirtualHostFields, merged(None, body))
        saved = await virtual_hosts.create(panel.changes, asked, fields)
    return saved_as(response, saved)


@router.get("/{virtual_host_id}")
async def read_virtual_host(
    virtual_host_id: RowId, response: Response, session: SessionDep, _user: Viewer
) -> VirtualHostRead:
    host = await virtual_hosts.find(session, virtual_host_id)
    policy = await policies.find(session, host.policy_id) if host.policy_id is not None else None
    tag(response, host.version)
    return VirtualHostRead(**out(host), policy=bound(policy) if policy else None)


@router.patch("/{virtual_host_id}")
async def update_virtual_host(
    virtual_host_id: RowId,
    body: VirtualHostIn,
    response: Response,
    panel: PanelDep,
    asked: AskedDep,
    version: NamedVersion,
) -> VirtualHostSaved:
    """Change the named keys and make that live."""

    async def attempt() -> Saved[VirtualHost]:
        async with panel.database.read() as session:
            host = await virtual_hosts.find(session, virtual_host_id)
        fields = validated(VirtualHostFields, merged(host, body))
        read = host.version if version is None else version
        return await virtual_hosts.update(panel.changes, asked, virtual_host_id, fields, read)

    with speaking(names_in(body)):
        saved = await merging(attempt, version)
    return saved_as(response, saved)


@router.delete("/{virtual_host_id}", status_code=204)
async def delete_virtual_host(virtual_host_id: RowId, panel: PanelDep, asked: AskedDep, version: NamedVersion) -> None:
    await virtual_hosts.delete(panel.changes, asked, virtual_host_id, version)


def merged(host: VirtualHost | None, body: VirtualHostIn) -> dict[str, Any]:
    """The fields as they would be: the named keys over what is there, the React panel's keys as ours."""
    given = body.model_dump(exclude_unset=True)
    refuse_certificates(given)
    now = virtual_hosts.fields_of(host).model_dump() if host else {}
    if host and host.name == host.hostnames[0].shown and "name" not in given:
        del now["name"]  # it was made from the first hostname, and follows it
    for theirs, ours in NAMES.items():
        if theirs in given:
            given[ours] = given.pop(theirs)
    if given.get("notes", "") is None:
        given["notes"] = ""
    domain, url, backends = given.pop("domain", ...), given.pop("backend_url", ...), given.pop("backends", None)
    if domain is None:
        raise Invalid("Some fields need another look.", {"domain": FieldError("This is needed.")})
    if domain is not ... and "hostnames" not in given:
        given["hostnames"] = [domain, *(name for name in now.get("hostnames", [])[1:] if name != domain)]
    if backends is None and url is not ...:
        return {**now, "servers": [{**as_server(url, host), "address": url}, *now.get("servers", [])[1:]], **given}
    if backends is None:
        return {**now, **given}
    servers = [{**as_server(one["url"], host), **own_keys(one)} for one in backends]
    return {**now, **checks(backends), "servers": servers, **given}


def refuse_certificates(given: dict[str, Any]) -> None:
    """Drops the React panel's keys for certificates, which must be off: that comes later."""
    wanted = [
        name
        for name, off in (("ssl_enabled", (False, None)), ("ssl_provider", ("none", None)), ("ssl_cert", ("", None)))
        if given.pop(name, None) not in off
    ]
    given.pop("ssl_key", None)
    if wanted:
        raise Invalid(NO_CERTIFICATES, not_yet("This cannot be done yet.", *wanted))


def as_server(url: str | None, host: VirtualHost | None) -> dict[str, Any]:
    """What the React panel does not know of a server stays as it is: weight, backup, resolve later."""
    for row in host.servers if host and url else ():
        if _same(url or "", row):
            return {name: getattr(row, name) for name in ("weight", "backup", "enabled", "resolve_later")}
    return {}


def _same(url: str, row: Server) -> bool:
    try:
        typed = endpoint(url)
    except ValueError:
        return False
    return typed == row.endpoint


def own_keys(backend: dict[str, Any]) -> dict[str, Any]:
    names = {
        "url": "address",
        "is_active": "enabled",
        "weight": "weight",
        "backup": "backup",
        "resolve_later": "resolve_later",
    }
    return {ours: backend[theirs] for theirs, ours in names.items() if theirs in backend}


def checks(backends: list[dict[str, Any]]) -> dict[str, Any]:
    """The virtual host's health check from those of its backends, which must be alike."""
    found: dict[str, Any] = {}
    errors: dict[str, FieldError] = {}
    for at, backend in enumerate(backends):
        for theirs, ours in CHECKS.items():
            value = backend.get(theirs)
            if value is not None and found.setdefault(ours, value) != value:
                errors[f"backends.{at}.{theirs}"] = FieldError("All servers of a virtual host are checked alike.")
    if errors:
        raise Invalid("Give all backends the same health check.", errors)
    return found


def names_in(body: VirtualHostIn) -> dict[str, str]:
    """Our fields under the names that this body uses for them."""
    given = body.model_fields_set
    names = {ours: theirs for theirs, ours in NAMES.items() if theirs in given}
    if "domain" in given and "hostnames" not in given:
        names |= {"hostnames": "domain", "hostnames.0": "domain"}
    if "servers" in given:
        return names
    if body.backends is not None:
        names["servers"] = "backends"
        for at in range(len(body.backends)):
            names |= {f"servers.{at}.{part}": f"backends.{at}.url" for part in ("address", "scheme")}
            names[f"servers.{at}.enabled"] = f"backends.{at}.is_active"
        names |= {ours: f"backends.0.{theirs}" for theirs, ours in CHECKS.items() if ours not in given}
    elif "backend_url" in given:
        names |= {"servers": "backend_url", "servers.0.address": "backend_url", "servers.0.scheme": "backend_url"}
    return names


def saved_as(response: Response, saved: Saved[VirtualHost]) -> VirtualHostSaved:
    tag(response, saved.value.version)
    return VirtualHostSaved(**out(saved.value), deployment=DeploymentOut.of(saved))


OWN = tuple(name for name in VirtualHostOut.model_fields if name in VirtualHost.model_fields)


def out(host: VirtualHost) -> dict[str, Any]:
    """The keys of `VirtualHostOut`."""
    own = {name: getattr(host, name) for name in OWN}
    check = {theirs: getattr(host, ours) for theirs, ours in CHECKS.items()}
    names = [row.name for row in host.hostnames]
    return {
        **own,
        "domain": names[0],
        "domain_shown": shown(names[0]),
        "hostnames": names,
        "backend_url": host.servers[0].url,
        "backends": [
            BackendOut(
                id=row.id or 0,
                url=row.url,
                is_active=row.enabled,
                weight=row.weight,
                backup=row.backup,
                resolve_later=row.resolve_later,
                **check,
            )
            for row in host.servers
        ],
        "servers": virtual_hosts.servers_of(host),
        "description": host.notes or None,
        "is_active": host.enabled,
        "ssl_enabled": False,
        "ssl_provider": "none",
        "ssl_expires_at": None,
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
