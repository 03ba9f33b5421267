"""Servers as the React panel has them: as backends, each with its health check."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from guardpanel.api.react.checks import CHECKS, Pair, checks_of, take_checks, without_disabled
from guardpanel.api.saves import Body
from guardpanel.errors import FieldError, Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models import VirtualHost
from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.server import Server, ServerFields
from guardpanel.models.types import endpoint

UNKNOWN_TO_REACT = frozenset(ServerFields.model_fields) - {"scheme", "address"}
"Fields of a server that stay as they are unless a backend says otherwise."

RENAMED = {"url": "address", "is_active": "enabled"}

SAME = UNKNOWN_TO_REACT - {*RENAMED.values(), *CHECKS.values()}
"Its keys that are called as our fields."

OURS = RENAMED | {name: name for name in ServerFields.model_fields if name in SAME}
"All of its keys but those of health checks, and the server's fields."


def _unchanged(info: FieldInfo) -> Any:
    words = f"{info.description or ''} If omitted, unchanged for this URL.".strip()
    return info.annotation, Field(default=info.default, description=words)


_FIELDS = {name: info for name, info in ServerFields.model_fields.items() if name in SAME}
_IN: Any = {name: _unchanged(info) for name, info in _FIELDS.items()}
_OUT: Any = {name: (info.annotation, ...) for name, info in _FIELDS.items()}
_KeysIn: Any = create_model("_KeysIn", __base__=Body, **_IN)
_KeysOut: Any = create_model("_KeysOut", **_OUT)


class BackendIn(_KeysIn):
    """A server as the React panel sends it."""

    url: str = Field(max_length=500)
    id: int | None = Field(default=None, description="As read for this URL, or for the URL that it replaces.")
    is_active: bool = True
    health_check_enabled: bool | None = Field(
        default=None, description="If false, a path and numbers that no check can have are ignored."
    )
    health_check_path: str | None = Field(
        default=None,
        description="The same for all that are active and checked. Others keep none of their own.",
    )
    health_check_interval_seconds: int | None = None
    health_check_fall: int | None = None
    health_check_rise: int | None = None


class BackendOut(_KeysOut):
    id: int
    url: str
    is_active: bool
    health_check_enabled: bool
    health_check_path: str
    health_check_interval_seconds: int
    health_check_fall: int
    health_check_rise: int


def backends_of(host: VirtualHost) -> list[dict[str, Any]]:
    """The keys of BackendOut."""
    return [{"id": row.id or 0, **backend_of(row), **checks_of(host, row)} for row in host.servers]


def backend_of(row: Server) -> dict[str, Any]:
    return {theirs: getattr(row, ours) for theirs, ours in OURS.items()} | {"url": row.url}


def take_servers(sent: dict[str, Any], now: Mapping[str, Any], host: VirtualHost | None) -> None:
    """`backends` or `backend_url` as servers. Fields that they do not have stay as they are."""
    url, backends = sent.pop("backend_url", None), sent.pop("backends", None)
    if backends is not None:
        backends = [without_disabled(backend) for backend in backends]
        if "servers" in sent:
            raise Invalid.at("backends", "backends and servers are aliases. Send one of them.")
        must_be_of(host, backends)
        pairs = [
            Pair(backend, {**as_it_was(row), **own_keys(backend)}, row)
            for backend, row in zip(backends, rows_of(host, backends), strict=True)
        ]
        take_checks(pairs, sent, now)
        sent["servers"] = [pair.server for pair in pairs]
    if url is None:
        return
    if "servers" not in sent:
        servers = now.get("servers", [])
        sent["servers"] = [{**(servers[0] if servers else {}), "address": url}, *servers[1:]]
    elif sent["servers"] and not is_same(endpoint, url, full_address(sent["servers"][0])):
        raise Invalid.at("backend_url", "backend_url is not the first server. Send one of the two.")


def full_address(server: Mapping[str, Any]) -> str:
    address = str(server.get("address", ""))
    return address if "://" in address else f"{server.get('scheme', 'http')}://{address}"


def must_be_of(host: VirtualHost | None, backends: Sequence[Mapping[str, Any]]) -> None:
    """The id of the server with this URL, or of the one at this position."""
    rows = {row.id: row for row in host.servers} if host else {}
    errors = {
        f"backends.{at}.id": FieldError(
            "This is not the ID of this server. Leave it out, or send it as it was read.", code=FieldCode.NOT_FOUND
        )
        for at, backend in enumerate(backends)
        if "id" in backend
        and not (
            (row := rows.get(backend["id"])) and (row.position == at or is_same(endpoint, backend["url"], row.url))
        )
    }
    if errors:
        raise Invalid.of(errors)


def rows_of(host: VirtualHost | None, backends: Sequence[Mapping[str, Any]]) -> list[Server | None]:
    """The server that each backend was: by its id, else its URL. Else the one at its position, if no backend is that: its URL
    was edited then."""
    free = list(host.servers) if host else []
    rows: list[Server | None] = [None] * len(backends)
    was: list[Callable[[int, Mapping[str, Any], Server], bool]] = [
        lambda _, backend, row: row.id == backend.get("id"),
        lambda at, backend, row: row.position == at and is_same(endpoint, backend["url"], row.url),
        lambda _, backend, row: is_same(endpoint, backend["url"], row.url),
        lambda at, _, row: row.position == at,
    ]
    for is_it in was:
        for at, backend in enumerate(backends):
            if rows[at] is None and (row := next((row for row in free if is_it(at, backend, row)), None)):
                free = [server for server in free if server is not row]
                rows[at] = row
    return rows


def as_it_was(row: Server | None) -> dict[str, Any]:
    return {name: getattr(row, name) for name in UNKNOWN_TO_REACT} if row else {}


def is_same(canonical: Callable[[str], object], left: str, right: str) -> bool:
    """Whether both are equal in canonical form."""
    try:
        return canonical(left) == canonical(right)
    except ValueError:
        return left == right


def own_keys(backend: dict[str, Any]) -> dict[str, Any]:
    return {ours: backend[theirs] for theirs, ours in OURS.items() if theirs in backend}


def has_a_server(data: Mapping[str, Any]) -> None:
    """The React panel has no maintenance page: it must not switch off all that answers."""
    if data.get("redirect", Redirect.NO) is not Redirect.NO:
        return
    if data.get("enabled", True) and not any(server.get("enabled", True) for server in data.get("servers") or [{}]):
        words = "An active virtual host needs an active backend. Activate one, or deactivate the virtual host."
        raise Invalid.at("backends.0.is_active", words)
