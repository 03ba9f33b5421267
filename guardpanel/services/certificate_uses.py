"""Where certificates are used: by virtual host, by hostname, and which of them end soon."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates import choosing, contents
from guardpanel.certificates.choosing import WARNED_DAYS, State, best_for, state_of
from guardpanel.models import Certificate, CertificateContent, Hostname, VirtualHost
from guardpanel.models.certificate import Source
from guardpanel.models.types import shown

MOST = 20
"Certificates that the dashboard lists."


@dataclass(frozen=True)
class Offer:
    """A certificate that a hostname may get, with what decides between several."""

    certificate_id: int
    name: str
    source: Source
    names: Sequence[str]
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class Covered:
    """A hostname, and the certificate that it gets. None: no certificate covers it."""

    hostname: str
    offer: Offer | None
    state: State | None

    @property
    def is_valid(self) -> bool:
        """Whether browsers can accept it today."""
        return self.state is not None and self.state.key in {"valid", "expiring"}


class Offers:
    """All current contents, by the names in them."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        self._by_name: dict[str, list[Offer]] = defaultdict(list)
        for offer in offers:
            for name in offer.names:
                self._by_name[name].append(offer)

    def best(self, hostname: str, now: datetime) -> Offer | None:
        wildcard = f"*.{hostname.partition('.')[2]}"
        return best_for(hostname, (*self._by_name.get(hostname, ()), *self._by_name.get(wildcard, ())), now)


async def offers(session: AsyncSession) -> Offers:
    columns: tuple[Any, ...] = (
        Certificate.id, Certificate.name, Certificate.source, CertificateContent.names,
        CertificateContent.not_before, CertificateContent.not_after,
    )  # fmt: skip
    rows = await session.exec(
        select(*columns)
        .join(CertificateContent, contents.belongs())
        .where(col(CertificateContent.id).in_(contents.newest()))
    )
    return Offers(Offer(*row) for row in rows.all())


async def used_by(session: AsyncSession, rows: Collection[Certificate]) -> Mapping[int, list[tuple[int, str]]]:
    """The virtual hosts, as (id, name), whose hostnames get one of these certificates."""
    if not rows:
        return {}
    known, now, wanted = await offers(session), datetime.now(UTC), {row.id for row in rows}
    hostnames = await session.exec(
        select(Hostname.name, VirtualHost.id, VirtualHost.name)
        .join(VirtualHost, col(VirtualHost.id) == col(Hostname.virtual_host_id))
        .where(col(VirtualHost.enabled))
        .order_by(VirtualHost.name)
    )
    used: dict[int, dict[int, str]] = defaultdict(dict)
    for hostname, number, name in hostnames.all():
        offer = known.best(hostname, now)
        if offer is not None and offer.certificate_id in wanted:
            used[offer.certificate_id][number or 0] = name
    return {certificate_id: list(hosts.items()) for certificate_id, hosts in used.items()}


async def coverage(session: AsyncSession, host: VirtualHost) -> list[Covered]:
    """What each of its hostnames gets."""
    known, now = await offers(session), datetime.now(UTC)
    found = [(row.name, known.best(row.name, now)) for row in host.hostnames]
    states = await _states(session, {offer.certificate_id for _, offer in found if offer}, now)
    return [Covered(shown(name), offer, states.get(offer.certificate_id) if offer else None) for name, offer in found]


async def _states(session: AsyncSession, certificate_ids: Collection[int], now: datetime) -> dict[int, State]:
    current = await contents.current_of(session, list(certificate_ids))
    return {number: state_of(content, now) for number, content in current.items()}


async def announced(session: AsyncSession) -> list[tuple[Certificate, State]]:
    """Those that ended, or end soon, the most urgent first."""
    now = datetime.now(UTC)
    limit = now + timedelta(days=WARNED_DAYS[0])
    rows = await session.exec(
        select(Certificate)
        .join(CertificateContent, contents.belongs() & col(CertificateContent.id).in_(contents.newest()), isouter=True)
        .where(col(CertificateContent.id).is_(None) | (col(CertificateContent.not_after) < limit))
        .order_by(col(CertificateContent.not_after))
        .limit(MOST)
    )
    return [(row, choosing.state_of(row.content, now)) for row in rows.all()]


async def ends(session: AsyncSession) -> list[tuple[int, str, datetime]]:
    """Id, name and end of each certificate, for monitoring."""
    rows = await session.exec(
        select(Certificate.id, Certificate.name, CertificateContent.not_after)
        .join(CertificateContent, contents.belongs())
        .where(col(CertificateContent.id).in_(contents.newest()))
    )
    return [(number or 0, name, not_after) for number, name, not_after in rows.all()]
