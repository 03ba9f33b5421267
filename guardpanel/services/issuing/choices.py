"""Which authority is asked next: staging after failures, the next one after more of them or an outage, none over its limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import String, cast
from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.faults import Fault, FaultKind
from guardpanel.acme.limits import LIMITS, LONGEST, Past, Reached, reached
from guardpanel.acme.renewal import NOT_RETRIED
from guardpanel.models.certificates.acme import AcmeOrder, AcmePlan
from guardpanel.models.certificates.certificate import Certificate
from guardpanel.models.certificates.issuing import LETS_ENCRYPT, STAGING, authority_name
from guardpanel.services.issuing.orders import fault_in

REHEARSED_AFTER = 2
"Failed orders, before staging is tried: authorities count failures, and staging allows many more."

NEXT_AFTER = 3
"Failed orders at an authority, before the next one is asked."

OTHERS_HELP = (NOT_RETRIED - {FaultKind.CANCELED}) | {FaultKind.UNREACHABLE, FaultKind.RATE_LIMITED}
"Faults after which the next authority is asked at once: the names may be fine."

NO_REHEARSAL = frozenset({FaultKind.UNREACHABLE, FaultKind.RATE_LIMITED}) | (NOT_RETRIED - {FaultKind.REJECTED})
"Faults of staging that say nothing about the names."

CROWDED = 50
"Certificates in 7 days, from which on the names of all of them are looked at: Let's Encrypt's least limit across certificates."


@dataclass(frozen=True)
class Choice:
    authority: str
    is_rehearsal: bool = False


def staging_of(certificate: Certificate, authority: str) -> str:
    """Where an order can be tried before this authority is asked. Empty: nowhere."""
    if authority == certificate.authority and certificate.staging_authority:
        return certificate.staging_authority
    return STAGING if authority == LETS_ENCRYPT else ""


def current(plan: AcmePlan, certificate: Certificate) -> str:
    return plan.authority if plan.authority in certificate.authorities else certificate.authority


def after_failure(plan: AcmePlan, certificate: Certificate, row: AcmeOrder, fault: Fault) -> bool:
    """Choose who is asked next. Returns whether at once."""
    if row.is_rehearsal and fault.kind in NO_REHEARSAL:
        plan.is_rehearsal = False
        return False
    plan.authority_failures += 1
    is_over = fault.kind in OTHERS_HELP and not row.is_rehearsal
    if len(certificate.authorities) > 1 and (is_over or plan.authority_failures >= NEXT_AFTER):
        return _go_to_next(plan, certificate, row) and is_over
    if row.is_rehearsal:
        return False
    is_about_names = fault.kind in {FaultKind.VALIDATION, FaultKind.OTHER}
    plan.is_rehearsal = bool(
        is_about_names and plan.failures >= REHEARSED_AFTER and staging_of(certificate, current(plan, certificate))
    )
    return False


def _go_to_next(plan: AcmePlan, certificate: Certificate, row: AcmeOrder) -> bool:
    """Returns whether there is one that was not asked in this round."""
    authority = current(plan, certificate) if row.is_rehearsal else row.authority
    others = certificate.authorities
    index = (others.index(authority) + 1) % len(others) if authority in others else 0
    plan.authority, plan.authority_failures, plan.is_rehearsal = others[index], 0, False
    return index > 0


def words_after(plan: AcmePlan, certificate: Certificate, row: AcmeOrder) -> str:
    """What is tried next, as a sentence."""
    chosen = current(plan, certificate)
    if plan.is_rehearsal:
        return f"The last order failed. {authority_name(staging_of(certificate, chosen))} is tried first."
    if row.authority != (staging_of(certificate, chosen) if row.is_rehearsal else chosen):
        return f"{authority_name(row.authority)} did not issue it. {authority_name(chosen)} is next."
    return "The last order failed."


def issued_by(plan: AcmePlan | None, certificate: Certificate) -> str:
    """The authority that issued the content, and that knows when to renew it."""
    return (plan.issued_by if plan else "") or certificate.authority


async def choose(session: AsyncSession, plan: AcmePlan, certificate: Certificate, now: datetime) -> Choice | Reached:
    """The authority to order from now, or the limit that ends first."""
    first = current(plan, certificate)
    staging = staging_of(certificate, first)
    if plan.is_rehearsal and staging:
        return Choice(staging, is_rehearsal=True)
    index = certificate.authorities.index(first)
    limits = []
    for authority in (*certificate.authorities[index:], *certificate.authorities[:index]):
        limit = await limit_at(
            session,
            authority,
            certificate,
            now,
            is_exempt=plan.has_window and authority == issued_by(plan, certificate),
        )
        if limit is None:
            return Choice(authority)
        limits.append(limit)
    return min(limits, key=lambda limit: limit.until)


async def limit_at(
    session: AsyncSession, authority: str, certificate: Certificate, now: datetime, *, is_exempt: bool
) -> Reached | None:
    """The one that the authority told, or that our own orders reach."""
    announced = await _told(session, authority, certificate, now)
    if announced is not None or authority not in LIMITS or is_exempt:
        return announced
    limit = reached(authority, certificate.names, await _past(session, authority, certificate.names, now), now)
    return limit and Reached(f"{authority_name(authority)} {limit.words}.", limit.until)


def waits_for_own_limit(plan: AcmePlan) -> bool:
    """Whether it was postponed by a limit that our own orders reached."""
    return any(
        plan.why == f"{authority_name(url)} {limit.words}." for url, limits in LIMITS.items() for limit in limits
    )


async def _told(session: AsyncSession, authority: str, certificate: Certificate, now: datetime) -> Reached | None:
    own = (AcmeOrder.certificate_id == certificate.id, AcmeOrder.authority == authority)
    row = (await session.exec(select(AcmeOrder).where(*own).order_by(col(AcmeOrder.id).desc()).limit(1))).first()
    fault = fault_in(row) if row is not None else None
    if fault is None or fault.kind is not FaultKind.RATE_LIMITED or fault.retry_at is None or fault.retry_at <= now:
        return None
    return Reached(f"{authority_name(authority)} allows no order before.", fault.retry_at)


async def _past(session: AsyncSession, authority: str, names: Sequence[str], now: datetime) -> list[Past]:
    """Those that can matter: of the same names, and all of the last hours or, when there are many, of the last days."""
    own = (AcmeOrder.authority == authority, AcmeOrder.started_at > now - LONGEST)
    count = (await session.exec(select(func.count()).select_from(AcmeOrder).where(*own))).one()
    # Without keys and chains: there may be hundreds.
    columns: tuple[Any, ...] = (
        AcmeOrder.names, AcmeOrder.fault, AcmeOrder.started_at, AcmeOrder.ended_at, AcmeOrder.is_issued, AcmeOrder.replaces,
    )  # fmt: skip
    query = select(*columns).where(*own)
    if count < CROWDED:
        text = cast(AcmeOrder.names, String)
        query = query.where(or_(*(text.contains(f'"{name}"', autoescape=True) for name in names)))
    return [_past_of(*row) for row in (await session.exec(query)).all()]


def _past_of(
    names: Sequence[str],
    fault: Mapping[str, Any] | None,
    started_at: datetime,
    ended_at: datetime | None,
    is_issued: bool,
    replaces: str,
) -> Past:
    is_refused = fault is not None and fault["kind"] == FaultKind.VALIDATION
    at = ended_at or started_at if is_issued or is_refused else started_at
    return Past(at, frozenset(names), is_issued, is_refused, bool(replaces))
