"""Where certificates are used: by virtual host, by hostname, and which of them end soon."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlmodel import col, exists, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates import choosing, contents
from guardpanel.certificates.choosing import USUAL_LIFETIME, WARNED_DAYS, Choice, State, state_of
from guardpanel.certificates.names import accepted_names, covers
from guardpanel.models import Certificate, CertificateContent, Hostname, Traffic, VirtualHost
from guardpanel.models.certificates.certificate import Source, is_address
from guardpanel.models.types import display_name

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
    revoked_at: datetime | None
    sealed_key: bytes | None
    "Its first byte: whether there is one."


@dataclass(frozen=True)
class Covered:
    """A hostname, and the certificate that it gets. None: the default one of the installation."""

    hostname: str
    offer: Offer | None
    state: State | None
    fits: bool = True
    "Of an IP address: whether what is served without a name covers it."
    awaited_id: int | None = None
    "Of its first certificate, which is being ordered: redirect and HSTS wait for it."

    @property
    def is_awaited(self) -> bool:
        return self.awaited_id is not None

    @property
    def certificate_id(self) -> int | None:
        """Of the certificate that it gets, or waits for."""
        return self.offer.certificate_id if self.offer else self.awaited_id

    @property
    def is_valid(self) -> bool:
        """Whether browsers can accept it today."""
        return self.fits and self.state is not None and self.state.key in {"valid", "expiring"}

    @property
    def need(self) -> State | None:
        """What visitors lack, or will soon. None: nothing."""
        if self.is_awaited:
            return State("awaited", "warn", "No certificate yet")
        if self.state is None or not self.fits:
            return State("missing", "bad", "No certificate")
        return None if self.state.tone == "ok" else self.state


async def offers(
    session: AsyncSession, now: datetime, hostnames: Iterable[str] | None = None, chosen_ids: Sequence[int | None] = ()
) -> Choice[Offer]:
    """Of all certificates, or of those that cover one of these hostnames, or are chosen: few of thousands."""
    columns: tuple[Any, ...] = (
        Certificate.id, Certificate.name, Certificate.source, CertificateContent.names,
        CertificateContent.not_before, CertificateContent.not_after, CertificateContent.revoked_at,
        func.substr(CertificateContent.sealed_key, 1, 1),
    )  # fmt: skip
    query = (
        select(*columns)
        .join(CertificateContent, contents.belongs())
        .where(col(CertificateContent.id).in_(contents.newest()))
    )
    if hostnames is not None:
        query = query.where(or_(col(Certificate.id).in_(chosen_ids), _cover(hostnames)))
    return Choice((Offer(*row) for row in (await session.exec(query)).all()), now)


def _cover(hostnames: Iterable[str]) -> Any:
    """Whether a content covers one of them. They are one parameter: SQLite limits how many a query may have."""
    accepted = json.dumps([name for hostname in hostnames for name in accepted_names(hostname)])
    own, wanted = (
        func.json_each(names).table_valued("value").c.value for names in (CertificateContent.names, accepted)
    )
    return exists().where(own.in_(select(wanted)))


async def as_options(session: AsyncSession) -> list[tuple[str, str]]:
    """Id and name of each certificate, for a select."""
    rows = await session.exec(select(Certificate.id, Certificate.name).order_by(func.lower(Certificate.name)))
    return [(str(number), name) for number, name in rows.all()]


async def named(session: AsyncSession, certificate_id: int | None) -> str:
    """Empty if there is none."""
    row = await session.get(Certificate, certificate_id) if certificate_id is not None else None
    return row.name if row else ""


async def chosen_for(session: AsyncSession, certificate_id: int) -> list[tuple[str, str]]:
    """URL and name of each row that names it, without which it can't be deleted."""
    hosts = await session.exec(
        select(VirtualHost.id, VirtualHost.name)
        .where(VirtualHost.certificate_id == certificate_id)
        .order_by(func.lower(VirtualHost.name))
    )
    places = [(f"/virtual-hosts/{number}/edit#f-certificate_id", name) for number, name in hosts.all()]
    default = await session.exec(select(Traffic.id).where(Traffic.default_certificate_id == certificate_id))
    if default.first() is not None:
        places.append(("/system/traffic/edit#f-default_certificate_id", "Traffic settings"))
    return places


async def used_by(session: AsyncSession, rows: Collection[Certificate]) -> Mapping[int, list[tuple[int, str]]]:
    """The virtual hosts with HTTPS, as (id, name), whose hostnames get one of these certificates."""
    if not rows:
        return {}
    known, wanted = await offers(session, datetime.now(UTC)), {row.id for row in rows}
    hostnames = await session.exec(
        select(Hostname.name, VirtualHost.id, VirtualHost.name, VirtualHost.certificate_id)
        .join(VirtualHost, col(VirtualHost.id) == col(Hostname.virtual_host_id))
        .where(col(VirtualHost.enabled), col(VirtualHost.https))
        .order_by(VirtualHost.name)
    )
    used: dict[int, dict[int, str]] = defaultdict(dict)
    for hostname, number, name, chosen_id in hostnames.all():
        offer = known.of(hostname, chosen_id)
        if offer is not None and offer.certificate_id in wanted:
            used[offer.certificate_id][number or 0] = name
    return {certificate_id: list(hosts.items()) for certificate_id, hosts in used.items()}


async def used_by_it_alone(session: AsyncSession, host: VirtualHost) -> list[Certificate]:
    """Those from an authority that no other virtual host gets or names: they are renewed for none, once this one is gone."""
    known = await offers(session, datetime.now(UTC))
    rows = await session.exec(
        select(Hostname.name, VirtualHost.id, VirtualHost.certificate_id)
        .join(VirtualHost, col(VirtualHost.id) == col(Hostname.virtual_host_id))
        .where(col(VirtualHost.https) | col(VirtualHost.certificate_id).is_not(None))
    )
    own, others = set[int | None](), {(await session.exec(select(Traffic.default_certificate_id))).first()}
    for hostname, number, chosen_id in rows.all():
        offer = known.of(hostname, chosen_id)
        (own if number == host.id else others).update((chosen_id, offer.certificate_id if offer else None))
    alone = select(Certificate).where(col(Certificate.id).in_(own - others), Certificate.source == Source.ACME)
    return list((await session.exec(alone.order_by(func.lower(Certificate.name)))).all())


async def coverage(session: AsyncSession, host: VirtualHost) -> list[Covered]:
    """What each of its hostnames gets."""
    names = [row.name for row in host.hostnames]
    return await coverage_of(session, names, host.certificate_id, host.id)


async def coverage_of(
    session: AsyncSession, hostnames: Sequence[str], chosen_id: int | None, host_id: int | None = None
) -> list[Covered]:
    """What hostnames of a virtual host would get over HTTPS."""
    now, addresses = datetime.now(UTC), [name for name in hostnames if is_address(name)]
    others = await _other_addresses(session, host_id) if addresses else {}
    default_id = (await session.exec(select(Traffic.default_certificate_id))).first() if addresses else None
    known = await offers(session, now, (*hostnames, *others), (chosen_id, default_id, *others.values()))
    gets = {name: known.of(name, chosen_id) for name in hostnames}
    if addresses:  # Clients name none of them: all get the same certificate.
        all_of_them = {name: known.of(name, its_id) for name, its_id in others.items()}
        unnamed = known.without_a_name(all_of_them | {name: gets[name] for name in addresses}, default_id)
        gets |= dict.fromkeys(addresses, unnamed)
    coming = await awaited(session)
    return [covered_by(name, offer, coming, now) for name, offer in gets.items()]


def covered_by(name: str, offer: Offer | None, awaited: Mapping[str, int], now: datetime) -> Covered:
    """`awaited`: the names of certificates that are not issued yet, with their ids."""
    return Covered(
        display_name(name),
        offer,
        state_of(offer, now) if offer else None,
        offer is not None and covers(offer.names, name),
        next((awaited[own] for own in accepted_names(name) if own in awaited), None) if offer is None else None,
    )


async def awaited(session: AsyncSession) -> dict[str, int]:
    """Names of certificates that an authority has not issued yet, with the certificate's id."""
    issued = exists().where(contents.belongs(), col(CertificateContent.retired_at).is_(None))
    waiting = select(Certificate.id, Certificate.names).where(Certificate.source == Source.ACME, ~issued)
    return {
        name: number for number, names in (await session.exec(waiting)).all() if number is not None for name in names
    }


async def _other_addresses(session: AsyncSession, host_id: int | None) -> dict[str, int | None]:
    """Those of other virtual hosts with HTTPS, with the certificates that these choose."""
    rows = await session.exec(
        select(Hostname.name, VirtualHost.certificate_id)
        .join(VirtualHost, col(VirtualHost.id) == col(Hostname.virtual_host_id))
        .where(col(VirtualHost.enabled), col(VirtualHost.https), VirtualHost.id != host_id)
    )
    return {name: chosen_id for name, chosen_id in rows.all() if is_address(name)}


async def announced(session: AsyncSession) -> list[tuple[Certificate, State]]:
    """Those that ended, or end soon, the most urgent first."""
    now = datetime.now(UTC)
    begins, ends = (func.julianday(getattr(CertificateContent, name)) for name in ("not_before", "not_after"))
    share = func.min(1.0, (ends - begins) / USUAL_LIFETIME.days)
    is_soon = ends - func.julianday(now.isoformat()) < WARNED_DAYS[0] * share
    rows = await session.exec(
        select(Certificate)
        .join(CertificateContent, contents.belongs() & col(CertificateContent.id).in_(contents.newest()), isouter=True)
        .where(col(CertificateContent.id).is_(None) | is_soon)
        .order_by(col(CertificateContent.not_after))
        .limit(MOST)
    )
    return [(row, choosing.state_of(row.content, now)) for row in rows.all()]


async def lives(session: AsyncSession) -> list[tuple[str, str, datetime, datetime]]:
    """Id, name, beginning and end of each certificate, for monitoring."""
    rows = await session.exec(
        select(Certificate.id, Certificate.name, CertificateContent.not_before, CertificateContent.not_after)
        .join(CertificateContent, contents.belongs())
        .where(col(CertificateContent.id).in_(contents.newest()))
    )
    return [(str(number), name, begins, ends) for number, name, begins, ends in rows.all()]
