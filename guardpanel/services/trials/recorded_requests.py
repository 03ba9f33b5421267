"""The recorded ordinary requests of a virtual host: what is kept, and its deletion."""

from dataclasses import dataclass, replace

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Invalid, StorageFailed
from guardpanel.events.client_keys import client_key
from guardpanel.models import PathBinding, Policy, VirtualHost
from guardpanel.services import policy_uses, virtual_hosts
from guardpanel.services.events.reading import Events
from guardpanel.services.events.recorded import Kept, hosts_of


@dataclass(frozen=True)
class RecordedOfHost:
    virtual_host: VirtualHost
    policy: Policy | None
    path_policies: tuple[tuple[str, Policy], ...]
    "Paths with another policy."
    kept: Kept


async def of_virtual_host(
    session: AsyncSession, events: Events, virtual_host_id: int, limit: int, before: int = 0
) -> RecordedOfHost:
    """The newest ones, or those older than the one of this id."""
    virtual_host = await virtual_hosts.find(session, virtual_host_id)
    policy = await virtual_hosts.policy_of(session, virtual_host)
    path_policies = await _of_paths(session, virtual_host)
    hosts = await hosts_of(session, virtual_host, await events.recorded_hosts())
    kept = await events.recorded(hosts, limit, before)
    displayable = tuple(request.displayable for request in kept.newest)
    return RecordedOfHost(virtual_host, policy, path_policies, replace(kept, newest=displayable))


async def _of_paths(session: AsyncSession, host: VirtualHost) -> tuple[tuple[str, Policy], ...]:
    policies = []
    for place in await policy_uses.of_host(session, host):
        policy = await policy_uses.policy_of(session, place)
        if isinstance(place.path, PathBinding) and place.is_inspected and policy and policy.id != host.policy_id:
            policies.append((place.path.name, policy))
    return tuple(policies)


async def forget(session: AsyncSession, events: Events, virtual_host_id: int, client: str | None) -> int:
    """Deletes all of the virtual host's, or those of one client; gives how many. Raises Invalid for what is no address."""
    virtual_host = await virtual_hosts.find(session, virtual_host_id)
    key = None
    if client is not None:
        try:
            key = client_key(events.settings.events_dir, client.strip())
        except ValueError as error:
            raise Invalid.at("client", "Enter an IP address, for example 203.0.113.7.") from error
        except OSError as error:
            raise StorageFailed(f"The key of client IPs can’t be read: {error}.") from error
        if key is None:
            return 0
    hosts = await hosts_of(session, virtual_host, await events.recorded_hosts())
    names = [hostname.name for hostname in virtual_host.hostnames]
    return await events.forget_recorded(hosts, names, key)
