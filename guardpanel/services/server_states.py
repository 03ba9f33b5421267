"""A server taken out of its virtual host, or back: a save like any other, which HAProxy gets at run time."""

from enum import StrEnum

from guardpanel.errors import Invalid, NotFound
from guardpanel.field_codes import FieldCode
from guardpanel.models import PathBinding, VirtualHost
from guardpanel.models.delivery.own_server import line_of, own_server
from guardpanel.models.server import ServerFields
from guardpanel.services import path_bindings, virtual_hosts
from guardpanel.services.saving.changes import Changes, SaveRequest, SaveResult


class State(StrEnum):
    READY = "ready"
    DRAINING = "draining"
    "No new requests."
    DISABLED = "disabled"
    "No requests and no checks."


def state_of(text: str) -> State:
    """Raises Invalid."""
    if text not in set(State):
        raise Invalid.at("state", "Choose ready, draining or disabled.", FieldCode.NOT_A_CHOICE)
    return State(text)


async def choose(
    changes: Changes, request: SaveRequest, virtual_host_id: int, server_id: int, state: State
) -> SaveResult[VirtualHost]:
    """All else of the virtual host stays as it is. Raises NotFound for a server that it no longer has."""
    async with changes.database.read() as session:
        row = await virtual_hosts.find(session, virtual_host_id)
        at = next((at for at, server in enumerate(row.servers) if server.id == server_id), None)
        fields = virtual_hosts.fields_of(row)
        version = row.version
    if at is None:
        raise NotFound("This virtual host no longer has this server.")
    servers = [_in_state(server, state) if number == at else server for number, server in enumerate(fields.servers)]
    changed = fields.model_copy(update={"servers": servers})
    return await virtual_hosts.update(changes, request, virtual_host_id, changed, version)


async def choose_of_path(
    changes: Changes, request: SaveRequest, virtual_host_id: int, path_binding_id: int, url: str, state: State
) -> SaveResult[PathBinding]:
    """The same of a path's own server, which its URL names. Raises NotFound for one that the path no longer has."""
    rows = path_bindings.ROWS.under(virtual_host_id)
    async with changes.database.read() as session:
        row = await rows.find(session, path_binding_id)
        fields, version = rows.fields_of(row), row.version
    servers = {server.url: server for server in map(own_server, fields.own_servers)}
    if url not in servers:
        raise NotFound("This path no longer has this server.")
    servers[url] = _in_state(servers[url], state)
    changed = fields.model_copy(update={"own_servers": [line_of(server) for server in servers.values()]})
    return await rows.update(changes, request, path_binding_id, changed, version)


def _in_state(server: ServerFields, state: State) -> ServerFields:
    chosen = {"draining": state is State.DRAINING, "enabled": state is not State.DISABLED}
    return server.model_copy(update=chosen)
