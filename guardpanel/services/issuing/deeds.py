"""What an operator does about a certificate's orders: order now, cancel, revoke, look beforehand."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.limits import Reached
from guardpanel.acme.order import Order, Phase
from guardpanel.acme.preflight import Finding
from guardpanel.certificates import contents
from guardpanel.errors import Conflict, Invalid, NotFound, Problem
from guardpanel.models.certificates.acme import AcmeOrder, AcmePlan
from guardpanel.models.certificates.certificate import Certificate, Source
from guardpanel.models.certificates.certificate_content import CertificateContent
from guardpanel.models.certificates.issuing import RevocationReason, directory
from guardpanel.models.hostname import known_hostnames
from guardpanel.services import certificate_choices
from guardpanel.services.issuing import choices, orders, plans
from guardpanel.services.issuing.accounts import replace_account, was_replaced
from guardpanel.services.issuing.issuer import Issuer
from guardpanel.services.issuing.orders import OrderLog
from guardpanel.services.issuing.outcomes import has_result
from guardpanel.services.issuing.plans import ASKED_FOR
from guardpanel.services.issuing.steps import end_early

log = logging.getLogger(__name__)

REPLACED_ACCOUNT = "Another account took the place of the one that this order belongs to."


AT_FIELDS = {FaultKind.PROFILE: "profile", FaultKind.PROOF: "challenge"}
"Where a certificate asks for what the authority does not offer, or this installation cannot prove."


class AuthorityRefused(Problem):
    """An authority did not do what was asked of it."""

    status = 502
    code = "authority_refused"


@dataclass(frozen=True)
class Issuing:
    """How it stands with a certificate from an authority."""

    plan: AcmePlan | None
    logs: list[OrderLog]
    closed_at: str = ""
    "The authority that closed the account."

    @property
    def is_ordering(self) -> bool:
        return any(log.state == "open" for log in self.logs)

    def is_soon(self, now: datetime) -> bool:
        """An order is in progress, begins within seconds, or has ended and the next one is not planned yet."""
        if self.plan is None or any(log.is_open for log in self.logs):
            return True
        return self.due_at <= now if self.due_at else not self.plan.why

    @property
    def due_at(self) -> datetime | None:
        return self.plan.due_at if self.plan else None


async def issuing_of(session: AsyncSession, certificate_id: int) -> Issuing:
    plan, logs = await plans.plan_of(session, certificate_id), await orders.logs(session, certificate_id)
    return Issuing(plan, logs, await closed_account(session, next(iter(logs), None)))


async def issued_here(session: AsyncSession, certificate_id: int) -> Certificate:
    """Raises NotFound, or Conflict (409) if no authority issues it."""
    certificate = await session.get(Certificate, certificate_id)
    if certificate is None:
        raise NotFound("Certificate not found. It may have been deleted.")
    if certificate.source is not Source.ACME:
        raise Conflict("This certificate is not issued by an ACME authority.")
    return certificate


async def revocable(session: AsyncSession, certificate_id: int) -> Certificate:
    """Raises NotFound, or Conflict (409) with what to do instead."""
    certificate = await session.get(Certificate, certificate_id)
    if certificate is not None and certificate.source is Source.UPLOAD:
        raise Conflict("Only the CA that issued this certificate can revoke it. Ask there, then replace it.")
    if certificate is not None and certificate.source.is_made_here:
        raise Conflict(
            "No browser asks whether a certificate that is made here was revoked. Renew it to have a new key."
        )
    return await issued_here(session, certificate_id)


async def order_now(issuer: Issuer, certificate_id: int, who: str) -> None:
    """Without preflight, and whatever the plan was. An order that waits goes on at once. Raises Conflict (409) if no authority
    would take another one yet."""
    async with issuer.changes.database.write() as session:
        certificate = await issued_here(session, certificate_id)
        plan = await _ask_for(session, certificate, who, issuer.now())
        choice = await choices.choose(session, plan, certificate, issuer.now()) if plan else None
        if isinstance(choice, Reached):
            raise Conflict(_until(choice))
    issuer.wake.set()


async def _ask_for(session: AsyncSession, certificate: Certificate, who: str, now: datetime) -> AcmePlan | None:
    """The plan of the next order. None if one that waits goes on instead."""
    waiting = [row for row in await orders.open_orders(session) if _goes_on(row, certificate)]
    for row in waiting:
        row.next_step_at, row.is_asked_for = now, True
    if waiting:
        return None
    number = certificate.id or 0
    plan = await session.merge(await plans.plan_of(session, number) or AcmePlan(certificate_id=number))
    plan.due_at, plan.why, plan.is_rehearsal = now, f"{ASKED_FOR} {who}.", False
    return plan


def _goes_on(row: AcmeOrder, certificate: Certificate) -> bool:
    """Not one that only removes its records, or is for something that nobody wants any more."""
    is_its = row.certificate_id == certificate.id
    return is_its and row.phase != Phase.FAILED and not orders.is_outdated(row, certificate)


async def closed_account(session: AsyncSession, last: OrderLog | None) -> str:
    """The authority that closed or rejected the account with a certificate's last order, if no other account took its place.
    Empty: none."""
    row = last.order if last else None
    fault = orders.fault_in(row) if row else None
    if row is None or fault is None or not fault.is_about_the_account:
        return ""
    return "" if await was_replaced(session, row.authority, row.started_at) else row.authority


async def _closed_of(session: AsyncSession, certificate_id: int) -> str:
    return await closed_account(session, next(iter(await orders.logs(session, certificate_id, 1)), None))


async def register_anew(issuer: Issuer, certificate_id: int, who: str) -> None:
    """Have another account, with a key of its own, at the authority that closed the one before, and order what failed by it.
    Raises Conflict (409) if none did."""
    async with issuer.changes.database.write() as session:
        await issued_here(session, certificate_id)
        url = await _closed_of(session, certificate_id)
        if not url:
            raise Conflict("No authority has closed the account of the last order.")
        failed = [row for row in await plans.certificates(session) if await _closed_of(session, row.id or 0) == url]
        await replace_account(session, issuer.changes.seal, url, issuer.now())
        for row in await orders.open_orders(session):
            if row.authority == url and not has_result(row):  # It went with its account.
                await end_early(session, row, Fault(FaultKind.LOST_ORDER, REPLACED_ACCOUNT), issuer.now())
        for certificate in failed:
            await _ask_for(session, certificate, who, issuer.now())
    log.info("%s has another account registered at %s", who, url)
    issuer.wake.set()


async def cancel(issuer: Issuer, certificate_id: int, order_id: int, who: str) -> None:
    """Give an order up. Raises NotFound, or Conflict (409) if it is over, or issued already."""
    async with issuer.changes.database.write() as session:
        await issued_here(session, certificate_id)
        row = await orders.find(session, order_id)
        if row.certificate_id != certificate_id:
            raise NotFound("Order not found. It may have been deleted.")
        log = OrderLog(row, ())
        if not log.can_be_canceled:
            raise Conflict("It is issued already." if log.state in {"open", "issued"} else "The order is over already.")
        await end_early(session, row, Fault(FaultKind.CANCELED, f"Canceled by {who}."), issuer.now())
    issuer.wake.set()


async def revoke(
    issuer: Issuer, certificate_id: int, who: str, reason: RevocationReason = RevocationReason.SUPERSEDED
) -> None:
    """Revoke the current one, serve another that covers its hostnames, and order a new one, unless it is no longer used. Raises
    AuthorityRefused (502)."""
    await issuer.changes.settled()  # What a running save brought may be rolled back.
    async with issuer.changes.database.read() as session:
        certificate = await revocable(session, certificate_id)
        content, plan = await contents.current(session, certificate_id), await plans.plan_of(session, certificate_id)
    if content is None:
        raise Conflict("There is no certificate to revoke yet.")
    url = choices.issued_by(plan, certificate)
    try:
        client = await issuer.accounts.another(url, certificate.contact)
        await asyncio.to_thread(client.revoke, content.chain.encode(), reason.code)
    except AuthorityFault as refused:
        raise AuthorityRefused(str(refused)) from refused
    async with issuer.changes.database.write() as session:
        revoked = update(CertificateContent).where(col(CertificateContent.fingerprint) == content.fingerprint)
        await session.exec(revoked.values(revoked_at=issuer.now()))
        if reason is not RevocationReason.NO_LONGER_USED:
            await _ask_for(session, certificate, who, issuer.now())
        elif (planned := await plans.plan_of(session, certificate_id)) is not None:
            plans.end(planned)
    issuer.wake.set()
    try:
        await certificate_choices.choose_again(issuer.changes, issuer.now())
    except Problem as problem:  # It is revoked all the same, and the next look chooses again.
        log.warning("cannot choose certificates after a revocation yet: %s", problem.message)


async def first_look(issuer: Issuer, names: Sequence[str], authority: str) -> list[Finding]:
    """What would go wrong with an order for names that HAProxy does not serve yet. Raises Invalid (422) for what is no name or
    authority, and AuthorityRefused (502) if the authority does not answer."""
    try:
        wanted = known_hostnames(list(names))
        url = directory(authority)
    except ValueError as error:
        raise Invalid(str(error)) from error
    by_dns = any(name.startswith("*.") for name in wanted)
    limits = await _limits(issuer, Certificate(names=list(wanted), authority=url, source=Source.ACME))
    try:
        async with issuer.checking:
            return [*limits, *await issuer.checks.first_look(wanted, url, by_dns=by_dns)]
    except AuthorityFault as refused:
        raise AuthorityRefused(str(refused)) from refused


async def preflight(issuer: Issuer, certificate_id: int) -> list[Finding]:
    """What would go wrong with an order. Raises Invalid (422) at the field to change, AuthorityRefused (502) without answer."""
    async with issuer.changes.database.read() as session:
        certificate = await issued_here(session, certificate_id)
    order = Order(tuple(certificate.names), certificate.challenge.value, b"", certificate.profile)
    limits = await _limits(issuer, certificate)
    try:
        async with issuer.checking:
            return [*limits, *await issuer.checks.findings(order, certificate.authority)]
    except AuthorityFault as refused:
        field = AT_FIELDS.get(refused.fault.kind)
        raise Invalid.at(field, str(refused)) if field else AuthorityRefused(str(refused)) from refused


async def _limits(issuer: Issuer, certificate: Certificate) -> list[Finding]:
    """The limit that the first authority has told, or that our orders reach, until it ends."""
    async with issuer.changes.database.read() as session:
        plan = await plans.plan_of(session, certificate.id) if certificate.id else None
        authority = certificate.authority
        is_exempt = plan is not None and plan.has_window and authority == choices.issued_by(plan, certificate)
        limit = await choices.limit_at(session, authority, certificate, issuer.now(), is_exempt=is_exempt)
    return [Finding(certificate.names[0], _until(limit), is_certain=True)] if limit else []


def _until(limit: Reached) -> str:
    return f"{limit.words} The next order is possible from {limit.until:%Y-%m-%d %H:%M} UTC."
