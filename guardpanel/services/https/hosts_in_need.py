"""Virtual hosts with HTTPS whose certificate is missing, invalid, or ends soon."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates.choosing import State
from guardpanel.models import Hostname, Traffic, VirtualHost
from guardpanel.models.certificates.certificate import is_address
from guardpanel.services import certificate_uses
from guardpanel.services.certificate_uses import Covered, covered_by


@dataclass(frozen=True)
class HostInNeed:
    """A virtual host with HTTPS whose certificate visitors can't accept, or soon won't. Of its hostnames, the worst."""

    id: int
    name: str
    covered: Covered
    state: State

    @property
    def urgency(self) -> tuple[bool, float]:
        return self.state.tone != "bad", self.covered.offer.not_after.timestamp() if self.covered.offer else 0.0


async def hosts_in_need(session: AsyncSession) -> list[HostInNeed]:
    """The most urgent first."""
    hostnames = await session.exec(
        select(Hostname.name, VirtualHost.id, VirtualHost.name, VirtualHost.certificate_id)
        .join(VirtualHost, col(VirtualHost.id) == col(Hostname.virtual_host_id))
        .where(col(VirtualHost.enabled), col(VirtualHost.https))
        .order_by(func.lower(VirtualHost.name), col(Hostname.position))
    )
    rows = hostnames.all()
    if not rows:
        return []
    now = datetime.now(UTC)
    known = await certificate_uses.offers(session, now)
    awaited = await certificate_uses.awaited(session)
    gets = {hostname: known.of(hostname, chosen_id) for hostname, _, _, chosen_id in rows}
    unnamed = known.without_a_name(gets, (await session.exec(select(Traffic.default_certificate_id))).first())
    worst: dict[int, HostInNeed] = {}
    for hostname, number, name, _ in rows:
        covered = covered_by(hostname, unnamed if is_address(hostname) else gets[hostname], awaited, now)
        if (state := covered.need) is not None:
            host = HostInNeed(number or 0, name, covered, state)
            worst[host.id] = min(worst.get(host.id, host), host, key=lambda either: either.urgency)
    return sorted(worst.values(), key=lambda host: host.urgency)
