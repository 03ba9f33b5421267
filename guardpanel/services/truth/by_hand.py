"""Settings made through HAProxy's Runtime API, which the next reload would reset."""

from sqlmodel import col, select

from guardpanel.engines import Drift, Place
from guardpanel.engines.haproxy.server_states import is_of_path
from guardpanel.engines.haproxy.status import LONGEST
from guardpanel.models import Server, VirtualHost
from guardpanel.services.saving.changes import Changes


async def servers(changes: Changes) -> list[Drift]:
    """Servers that were disabled."""
    out = {
        (backend, name): state
        for backend, states in (await changes.engines.servers(patience=LONGEST)).states.items()
        for name, state in states
        if state in {"MAINT", "DRAIN"} and not is_of_path(backend)
    }
    if not out:
        return []
    async with changes.database.read() as session:
        numbers = {int(name.removeprefix("be_")) for name, _ in out}
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
        return [
            Drift(Place.HAPROXY, f"{server.address} of {host.name} was set to {state} through HAProxy’s Runtime API.")
            for server, host in rows.all()
            if (state := out.get((f"be_{host.id}", f"s{server.position + 1}")))
        ]
