"""Settings made through HAProxy's Runtime API, which the next reload would reset."""

from collections.abc import Iterable

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines import Drift, Place
from guardpanel.engines.haproxy.server_states import is_of_path, is_of_row
from guardpanel.engines.haproxy.status import LONGEST
from guardpanel.models import PathBinding, Server, VirtualHost
from guardpanel.models.delivery.own_server import own_server
from guardpanel.services.saving.changes import Changes
from guardpanel.services.serving import takes_requests

Key = tuple[str, str]
"HAProxy’s section, and its server."


async def servers(changes: Changes) -> list[Drift]:
    """Servers that should take requests and were taken out. Of others, `server_swapping.py` says what differs."""
    out = {
        (backend, name): state
        for backend, states in (await changes.engines.servers(patience=LONGEST)).states.items()
        for name, state in states
        if state in {"MAINT", "DRAIN"} and is_of_row(backend, name)
    }
    if not out:
        return []
    async with changes.database.read() as session:
        known = {**await _of_hosts(session, out), **await _of_paths(session, out)}
    return [
        Drift(Place.HAPROXY, f"{known[place]} was set to {state} through HAProxy’s Runtime API.")
        for place, state in out.items()
        if place in known
    ]


async def _of_hosts(session: AsyncSession, out: Iterable[Key]) -> dict[Key, str]:
    """What those are called that should take requests."""
    numbers = {int(backend.removeprefix("be_")) for backend, _ in out if not is_of_path(backend)}
    rows = await session.exec(
        select(Server, VirtualHost)
        .join(VirtualHost, col(VirtualHost.id) == col(Server.virtual_host_id))
        .where(
            col(Server.virtual_host_id).in_(numbers),
            col(Server.enabled),
            ~col(Server.draining),
            col(Server.weight) > 0,
        )
    )
    return {
        (f"be_{host.id}", f"s{server.position + 1}"): f"{server.address} of {host.name}" for server, host in rows.all()
    }


async def _of_paths(session: AsyncSession, out: Iterable[Key]) -> dict[Key, str]:
    """The same of paths' own servers."""
    numbers = {int(backend.partition(".")[2]) for backend, _ in out if is_of_path(backend)}
    rows = await session.exec(
        select(PathBinding, VirtualHost)
        .join(VirtualHost, col(VirtualHost.id) == col(PathBinding.virtual_host_id))
        .where(col(PathBinding.id).in_(numbers))
    )
    return {
        (f"be_{host.id}.{path.id}", f"p{at}"): f"{line.partition(' ')[0]} of {host.name}, {path.name},"
        for path, host in rows.all()
        for at, line in enumerate(path.own_servers, start=1)
        if takes_requests(own_server(line))
    }
