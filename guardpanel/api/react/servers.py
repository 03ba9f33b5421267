"""Servers as the React panel has them: as backends, each with the virtual host's health check."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from guardpanel.api.saves import Body
from guardpanel.errors import FieldError, Invalid
from guardpanel.models import VirtualHost
from guardpanel.models.types import endpoint

CHECKS = {
    "health_check_enabled": "health_check",
    "health_check_path": "health_check_path",
    "health_check_interval_seconds": "health_check_interval",
    "health_check_rise": "health_check_rise",
    "health_check_fall": "health_check_fall",
}
"The health check's fields, which are repeated in each backend."


class BackendIn(Body):
    """A server as the React panel sends it. The health check is the virtual host's: all backends must have the same."""

    url: str = Field(max_length=500)
    id: int | None = Field(default=None, description="As read for this URL, or for the URL that it replaces.")
    is_active: bool = True
    weight: int = Field(default=100, description="If omitted, unchanged for this URL.")
    backup: bool = Field(default=False, description="If omitted, unchanged for this URL.")
    resolve_later: bool = Field(default=False, description="If omitted, unchanged for this URL.")
    health_check_enabled: bool | None = None
    health_check_path: str | None = None
    health_check_interval_seconds: int | None = None
    health_check_fall: int | None = None
    health_check_rise: int | None = None


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


def backends_of(host: VirtualHost) -> list[dict[str, Any]]:
    """The keys of BackendOut."""
    check = {theirs: getattr(host, ours) for theirs, ours in CHECKS.items()}
    return [
        {
            "id": row.id or 0,
            "url": row.url,
            "is_active": row.enabled,
            "weight": row.weight,
            "backup": row.backup,
            "resolve_later": row.resolve_later,
            **check,
        }
        for row in host.servers
    ]


def take_servers(sent: dict[str, Any], now: Mapping[str, Any], host: VirtualHost | None) -> None:
    """`backends` or `backend_url` as servers. Fields that they do not have stay as they are."""
    url, backends = sent.pop("backend_url", None), sent.pop("backends", None)
    if backends is not None:
        if "servers" in sent:
            raise Invalid.at("backends", "backends and servers are aliases. Send one of them.")
        must_be_of(host, backends)
        sent.update(checks(backends, sent, now))
        sent["servers"] = [{**as_server(backend, host), **own_keys(backend)} for backend in backends]
    if url is None:
        return
    if "servers" not in sent:
        servers = now.get("servers", [])
        sent["servers"] = [{**as_server({"url": url}, host), "address": url}, *servers[1:]]
    elif sent["servers"] and not is_same(endpoint, url, full_address(sent["servers"][0])):
        raise Invalid.at("backend_url", "backend_url is not the first server. Send one of the two.")


def full_address(server: Mapping[str, Any]) -> str:
    address = str(server.get("address", ""))
    return address if "://" in address else f"{server.get('scheme', 'http')}://{address}"


def must_be_of(host: VirtualHost | None, backends: Sequence[Mapping[str, Any]]) -> None:
    """The id of the server with this URL, or of the one at this position."""
    rows = {row.id: row for row in host.servers} if host else {}
    errors = {
        f"backends.{at}.id": FieldError("This is not the ID of this server. Leave it out, or send it as it was read.")
        for at, backend in enumerate(backends)
        if "id" in backend
        and not (
            (row := rows.get(backend["id"])) and (row.position == at or is_same(endpoint, backend["url"], row.url))
        )
    }
    if errors:
        raise Invalid("Check the fields below.", errors)


def as_server(backend: Mapping[str, Any], host: VirtualHost | None) -> dict[str, Any]:
    """Fields of a server that the React panel does not know stay as they are: weight, backup, resolve later."""
    rows = host.servers if host else []
    same = [row for row in rows if is_same(endpoint, backend["url"], row.url)]
    for row in same or [row for row in rows if row.id == backend.get("id")]:
        return {name: getattr(row, name) for name in ("weight", "backup", "enabled", "resolve_later")}
    return {}


def is_same(canonical: Callable[[str], object], left: str, right: str) -> bool:
    """Whether both are equal in canonical form."""
    try:
        return canonical(left) == canonical(right)
    except ValueError:
        return left == right


def own_keys(backend: dict[str, Any]) -> dict[str, Any]:
    names = {
        "url": "address",
        "is_active": "enabled",
        "weight": "weight",
        "backup": "backup",
        "resolve_later": "resolve_later",
    }
    return {ours: backend[theirs] for theirs, ours in names.items() if theirs in backend}


def checks(backends: Sequence[Mapping[str, Any]], sent: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The virtual host's health check from its backends, which must be equal and agree with the body's other keys. Values that
    are as they were read are ignored."""
    check: dict[str, Any] = {}
    errors: dict[str, FieldError] = {}
    for at, backend in enumerate(backends):
        for theirs, ours in CHECKS.items():
            if theirs not in backend or (ours in sent and backend[theirs] == now.get(ours)):
                continue
            if check.setdefault(ours, sent.get(ours, backend[theirs])) != backend[theirs]:
                errors[f"backends.{at}.{theirs}"] = FieldError("All servers of a virtual host share one health check.")
    if errors:
        raise Invalid("Give all backends the same health check.", errors)
    return check


def has_a_server(data: Mapping[str, Any]) -> None:
    """The React panel has no maintenance page: it must not switch off all that answers."""
    if data.get("enabled", True) and not any(server.get("enabled", True) for server in data.get("servers") or [{}]):
        raise Invalid.at(
            "backends.0.is_active", "An active virtual host needs an active backend. Set is_active to true for one."
        )
