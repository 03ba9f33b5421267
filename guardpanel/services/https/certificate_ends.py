"""When the certificates that hostnames get end, by virtual host."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import VirtualHost
from guardpanel.models.certificates.certificate import is_address
from guardpanel.services import certificate_uses


async def ends_of(session: AsyncSession, hosts: Sequence[VirtualHost]) -> dict[int | None, datetime]:
    """The earliest end of the certificates that each one's hostnames get, by id. Without those that get none."""
    if not hosts:
        return {}
    names = [row.name for host in hosts for row in host.hostnames]
    known = await certificate_uses.offers(session, datetime.now(UTC), names, [host.certificate_id for host in hosts])
    ends: dict[int | None, datetime] = {}
    for host in hosts:
        gets = [known.of(row.name, host.certificate_id) for row in host.hostnames]
        if any(is_address(row.name) for row in host.hostnames):  # What others have decides, too.
            gets = [covered.offer for covered in await certificate_uses.coverage(session, host)]
        if its_ends := [offer.not_after for offer in gets if offer is not None]:
            ends[host.id] = min(its_ends)
    return ends
