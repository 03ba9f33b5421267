"""Virtual hosts as JSON: the React panel's keys, and ours beside them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from guardpanel.api.saves import (
    AskedDep,
    Body,
    DeploymentOut,
    NamedVersion,
    merging,
    refuse_unsupported,
    speaking,
    tag,
)
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.errors import FieldError, Invalid
from guardpanel.models import Policy, VirtualHost
from guardpanel.models.policy import EnforcementMode
from guardpanel.models.types import endpoint, hostname, shown
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

NO_CERTIFICATES = "guardpanel does not support certificates for visitors yet: TLS ends in front of it."

WITHOUT_CERTIFICATES: dict[str, Any] = {"ssl_enabled": False, "ssl_provider": "none", "ssl_cert": None, "ssl_key": None}
"What reads say of them, and what the React panel sends where there are none."


class BackendIn(Body):
    """A server as the React panel sends it. The health check is the virtual host's: all backends have the same."""

    url: str = Field(max_length=500)
    id: int | None = Field(
        default=None, description="As reads give it for this URL, or for the one that was here before."
    )
    is_active: bool = True
    weight: int = Field(default=100, description="Left out: as it is for this URL.")
    backup: bool = Field(default=False, description="Left out: as it is for this URL.")
    resolve_later: bool = Field(default=False, description="Left out: as it is for this URL.")
    health_check_enabled: bool | None = None
    health_check_path: str | None = None
    health_check_interval_seconds: int | None = None
    health_check_fall: int | None = None
    health_check_rise: int | None = None


class ServerIn(Body):
    """A server by our names."""

    address: str = Field(max_length=500, description="`10.0.0.5:3000`, or a URL, which then names the scheme.")
    scheme: Literal["http", "https"] = "http"
    weight: int = 100
    backup: bool = False
    enabled: bool = True
    resolve_later: bool = False


class VirtualHostIn(Body):
    """What a write may name; what it leaves out stays as it is (PATCH) or takes its default (POST)."""

    NULLABLE = frozenset(
        {"description", "policy_id", "enforcement_mode", "ssl_enabled", "ssl_provider", "ssl_cert", "ssl_key"}
    )

    domain: str | None = Field(default=None, max_length=300, description="The first hostname.")
    backend_url: str | None = Field(default=None, max_length=500, description="The first server.")
    backends: list[BackendIn] | None = Field(
        default=None, max_length=200, description="`servers` by the React panel's names."
    )
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


class HeirOut(BaseModel):
    """A hostname, and the wildcard of another virtual host that takes it over."""

    hostname: str
    wildcard: str
    virtual_host_id: int


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


@router.get("/{virtual_host_id}/heirs")
async def list_virtual_host_heirs(virtual_host_id: RowId, session: SessionDep, _user: Viewer) -> list[HeirOut]:
    """Which hostnames other virtual hosts' wildcards take over when this one is deleted.

    Its other hostnames get 421 then. While it is only switched off (`is_active`), all of them do.
    """
    host = await virtual_hosts.find(session, virtual_host_id)
    return [
        HeirOut(hostname=heir.name.name, wildcard=heir.wildcard.name, virtual_host_id=heir.virtual_host.id or 0)
        for heir in await virtual_hosts.heirs(session, host)
    ]


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
        read, said = host.version if version is None else version, without_what_is_as_read(body, host)
        with speaking(names_in(said)):
            fields = validated(VirtualHostFields, merged(host, said))
            return await virtual_hosts.update(panel.changes, asked, virtual_host_id, fields, read)

    return saved_as(response, await merging(attempt, version))


@router.delete("/{virtual_host_id}", status_code=204)
async def delete_virtual_host(virtual_host_id: RowId, panel: PanelDep, asked: AskedDep, version: NamedVersion) -> None:
    await virtual_hosts.delete(panel.changes, asked, virtual_host_id, version)


def merged(host: VirtualHost | None, body: VirtualHostIn) -> dict[str, Any]:
    """The fields as they would be: the named keys over what is there, the React panel's keys as ours."""
    given = body.model_dump(exclude_unset=True)
    refuse_unsupported(given, WITHOUT_CERTIFICATES, NO_CERTIFICATES, nothing=(None, "", False, "none"))
    now = virtual_hosts.fields_of(host).model_dump() if host else {}
    if host and host.name == host.hostnames[0].shown and "name" not in given:
        del now["name"]  # it was made from the first hostname, and follows it
    for theirs, ours in NAMES.items():
        if theirs in given:
            given[ours] = given.pop(theirs)
    if given.get("notes", "") is None:
        given["notes"] = ""
    take_domain(given, now)
    take_servers(given, now, host)
    return {**now, **given}


TWICE = ("domain", "hostnames", "backend_url", "backends", "servers", *CHECKS.values())
"Keys that say what another says, too."


def without_what_is_as_read(body: VirtualHostIn, host: VirtualHost) -> VirtualHostIn:
    """Of keys that say the same thing, the one that differs from what was read counts."""
    read, said = out(host), body.model_copy()
    given = body.model_dump(exclude_unset=True)
    same = [name for name in TWICE if name in given and is_as_read(given[name], read[name])]
    said.model_fields_set.difference_update(same)
    return said


def is_as_read(value: Any, read: Any) -> bool:
    """Whether all that it names is as it was read."""
    if isinstance(value, list):
        return len(value) == len(read) and all(map(is_as_read, value, read))
    if isinstance(value, dict):
        return all(part == getattr(read, name) for name, part in value.items())
    return bool(value == read)


def take_domain(given: dict[str, Any], now: Mapping[str, Any]) -> None:
    """`domain` as the first of the hostnames."""
    domain = given.pop("domain", None)
    if domain is None:
        return
    others = [name for name in now.get("hostnames", [])[1:] if name != domain]
    names = given.setdefault("hostnames", [domain, *others])
    if not names or not _same(hostname, domain, names[0]):
        raise Invalid.at("domain", "domain is not the first of hostnames. Send one of the two.")


def take_servers(given: dict[str, Any], now: Mapping[str, Any], host: VirtualHost | None) -> None:
    """`backends` or `backend_url` as servers; what they do not know of one stays as it is."""
    url, backends = given.pop("backend_url", None), given.pop("backends", None)
    if backends is not None:
        if "servers" in given:
            raise Invalid.at("backends", "backends and servers are two names for one thing. Send one of the two.")
        must_be_of(host, backends)
        given.update(checks(backends, given, now))
        given["servers"] = [{**as_server(backend, host), **own_keys(backend)} for backend in backends]
    if url is None:
        return
    if "servers" not in given:
        servers = now.get("servers", [])
        given["servers"] = [{**as_server({"url": url}, host), "address": url}, *servers[1:]]
    elif given["servers"] and not _same(endpoint, url, full_address(given["servers"][0])):
        raise Invalid.at("backend_url", "backend_url is not the first server. Send one of the two.")


def full_address(server: Mapping[str, Any]) -> str:
    address = str(server.get("address", ""))
    return address if "://" in address else f"{server.get('scheme', 'http')}://{address}"


def must_be_of(host: VirtualHost | None, backends: Sequence[Mapping[str, Any]]) -> None:
    """An id is that of the server with this URL, or of the one at this place."""
    rows = {row.id: row for row in host.servers} if host else {}
    errors = {
        f"backends.{at}.id": FieldError("This is not the ID of this server. Leave it out, or send it as it was read.")
        for at, backend in enumerate(backends)
        if "id" in backend
        and not ((row := rows.get(backend["id"])) and (row.position == at or _same(endpoint, backend["url"], row.url)))
    }
    if errors:
        raise Invalid("Some fields need another look.", errors)


def as_server(backend: Mapping[str, Any], host: VirtualHost | None) -> dict[str, Any]:
    """What the React panel does not know of a server stays as it is: weight, backup, resolve later."""
    rows = host.servers if host else []
    same = [row for row in rows if _same(endpoint, backend["url"], row.url)]
    for row in same or [row for row in rows if row.id == backend.get("id")]:
        return {name: getattr(row, name) for name in ("weight", "backup", "enabled", "resolve_later")}
    return {}


def _same(canonical: Callable[[str], object], one: str, other: str) -> bool:
    """Whether both are the same thing, however they are written."""
    try:
        return canonical(one) == canonical(other)
    except ValueError:
        return one == other


def own_keys(backend: dict[str, Any]) -> dict[str, Any]:
    names = {
        "url": "address",
        "is_active": "enabled",
        "weight": "weight",
        "backup": "backup",
        "resolve_later": "resolve_later",
    }
    return {ours: backend[theirs] for theirs, ours in names.items() if theirs in backend}


def checks(backends: Sequence[Mapping[str, Any]], given: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The virtual host's health check from those of its backends, which must be alike, and agree with what is said of it beside
    them. As it was read it says nothing there."""
    found: dict[str, Any] = {}
    errors: dict[str, FieldError] = {}
    for at, backend in enumerate(backends):
        for theirs, ours in CHECKS.items():
            if theirs not in backend or (ours in given and backend[theirs] == now.get(ours)):
                continue
            if found.setdefault(ours, given.get(ours, backend[theirs])) != backend[theirs]:
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
    if "backends" in given:
        names["servers"] = "backends"
        for at in range(len(body.backends or ())):
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
        "ssl_enabled": WITHOUT_CERTIFICATES["ssl_enabled"],
        "ssl_provider": WITHOUT_CERTIFICATES["ssl_provider"],
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
