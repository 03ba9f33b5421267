"""What HAProxy says of one server: its state, its checks, and what it does for which paths."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines import Engines, ServerStatus
from guardpanel.engines.haproxy.server_states import ServerLoad
from guardpanel.errors import NotFound
from guardpanel.models import PathBinding, Server, VirtualHost
from guardpanel.services import virtual_hosts

EVERYWHERE = "All other paths"


@dataclass(frozen=True)
class PlaceLoad:
    """`path`: with delivery of its own, whose connections HAProxy counts apart. None: all other paths."""

    path: PathBinding | None
    load: ServerLoad

    @property
    def name(self) -> str:
        return self.path.name if self.path else EVERYWHERE


@dataclass(frozen=True)
class ServerFacts:
    host: VirtualHost
    row: Server
    status: ServerStatus | None
    "None if HAProxy does not respond, or does not have it, as while the virtual host is disabled."
    loads: Sequence[PlaceLoad]


async def load(session: AsyncSession, engines: Engines, virtual_host_id: int, server_id: int) -> ServerFacts:
    """Raises NotFound."""
    host = await virtual_hosts.find(session, virtual_host_id)
    row = next((server for server in host.servers if server.id == server_id), None)
    if row is None:
        raise NotFound("This virtual host does not have this server.")
    name, loads, status = f"s{row.position + 1}", [], None
    for path in (None, *await _paths(session, virtual_host_id)):
        section = f"be_{host.id}.{path.id}" if path else f"be_{host.id}"
        there = next((server for server in await engines.servers_of(section) if server.name == name), None)
        status = there if path is None else status
        if there is not None and there.load is not None:
            loads.append(PlaceLoad(path, there.load))
    return ServerFacts(host, row, status, loads)


async def _paths(session: AsyncSession, virtual_host_id: int) -> list[PathBinding]:
    """Those that have the virtual host's servers in a section of their own."""
    query = select(PathBinding).where(PathBinding.virtual_host_id == virtual_host_id).order_by(col(PathBinding.path))
    rows = (await session.exec(query)).all()
    return [row for row in rows if row.has_section and not row.own_servers]
