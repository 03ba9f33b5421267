"""When each certificate is ordered: at once while it is missing or has other names, else before it expires."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.client import RenewalWindow
from guardpanel.acme.faults import Fault, FaultKind
from guardpanel.acme.limits import Reached
from guardpanel.acme.renewal import NOT_RETRIED, moment_within, renewal_moment, retry_moment
from guardpanel.models.certificates.acme import AcmeOrder, AcmePlan
from guardpanel.models.certificates.certificate import Certificate, Source
from guardpanel.models.certificates.certificate_content import CertificateContent
from guardpanel.models.certificates.issuing import authority_name
from guardpanel.services.issuing import choices
from guardpanel.services.issuing.orders import History, difference, fault_in

ASKED_FOR = "Asked for by"

REVOKED = "Revoked, since it is no longer used. Order it to have another."

DAILY = timedelta(days=1)
"Between attempts that will hardly succeed, for a certificate that is in use."

FLOOR = timedelta(hours=1)
"Between orders of a certificate that nobody asked for."

LEAST_PAUSE = timedelta(minutes=5)
"Between questions about the renewal of a certificate, whatever the authority says."


async def certificates(session: AsyncSession) -> list[Certificate]:
    query = select(Certificate).where(Certificate.source == Source.ACME).order_by(col(Certificate.id))
    return list((await session.exec(query)).all())


async def plan_of(session: AsyncSession, certificate_id: int) -> AcmePlan | None:
    return (await session.exec(select(AcmePlan).where(AcmePlan.certificate_id == certificate_id))).first()


async def by_certificate(session: AsyncSession) -> dict[int, AcmePlan]:
    return {plan.certificate_id: plan for plan in (await session.exec(select(AcmePlan))).all()}


def is_current(plan: AcmePlan, certificate: Certificate, content: CertificateContent | None) -> bool:
    """Whether it was made after the certificate's last edit, and with the content that it has."""
    return (plan.certificate_version, plan.fingerprint) == (certificate.version, content.fingerprint if content else "")


def update(
    plan: AcmePlan, certificate: Certificate, content: CertificateContent | None, history: History, now: datetime
) -> None:
    """After an edit of the certificate, or with another content."""
    fingerprint = content.fingerprint if content else ""
    plan.issued_by = history.delivered.authority if history.delivered else ""
    is_kept = plan.fingerprint == fingerprint and _is_kept(plan, certificate, history)
    if is_kept and (added := _added_to_a_limit(plan, certificate, history, now)):
        plan.authority, plan.authority_failures, plan.is_rehearsal = added, 0, False
        plan.due_at, plan.why = now, f"{authority_name(added)} was added."
    plan.certificate_version, plan.fingerprint = certificate.version, fingerprint
    if is_kept:
        return
    plan.failures, plan.has_window, plan.explanation, plan.ask_again_at = 0, False, "", None
    plan.authority, plan.authority_failures, plan.is_rehearsal = "", 0, False
    if plan.due_at is not None and plan.why.startswith(ASKED_FOR):
        return
    if content is None:
        plan.due_at, plan.why = now, "It was not issued yet."
    elif why := _difference(certificate, content, history):
        plan.due_at, plan.why = now, why
    elif plan.why == REVOKED and content.revoked_at is not None:
        end(plan)
    else:
        moment = renewal_moment(content.not_before, content.not_after, fingerprint)
        plan.due_at, plan.why, plan.ask_again_at = not_at_once(moment, content), "Most of its life will be over.", now


def end(plan: AcmePlan) -> None:
    """No other one is ordered for a certificate that is no longer used, nor is the authority asked when: its answer for a revoked
    one is "now" (RFC 9773 §4.1)."""
    plan.due_at, plan.why, plan.ask_again_at = None, REVOKED, None


def _is_kept(plan: AcmePlan, certificate: Certificate, history: History) -> bool:
    """Whether nothing changed that an order depends on. What the authority refused for good is tried again after any edit, since
    it may have been the account; a rate limit holds for all that the authority is asked for."""
    last = history.last
    if not plan.certificate_version or last is None:
        return False
    fault = fault_in(last)
    if plan.failures and fault is not None:
        if fault.kind is FaultKind.RATE_LIMITED:
            return last.authority in certificate.authorities
        if fault.kind in NOT_RETRIED:
            return False
    return not difference(last, certificate)


def _added_to_a_limit(plan: AcmePlan, certificate: Certificate, history: History, now: datetime) -> str:
    """An authority that was never asked, while a limit of another one is waited for. Empty: none."""
    fault = fault_in(history.last) if plan.failures and history.last is not None else None
    is_told = fault is not None and fault.kind is FaultKind.RATE_LIMITED
    if plan.due_at is None or plan.due_at <= now or not (is_told or choices.waits_for_own_limit(plan)):
        return ""
    return next((authority for authority in certificate.authorities if authority not in history.authorities), "")


def _difference(certificate: Certificate, content: CertificateContent, history: History) -> str:
    """What was ordered counts, not what the authority made of it: it may add a name each time."""
    if content.source != Source.ACME.value:
        return "The authority did not issue it yet."
    if history.delivered is not None:
        return difference(history.delivered, certificate)
    return "" if {*content.names} == {*certificate.names} else "Its names were changed."


def not_at_once(moment: datetime, content: CertificateContent) -> datetime:
    """A clock that is ahead, or a short life, must not order without end."""
    return max(moment, content.added_at + FLOOR)


def suggest(plan: AcmePlan, window: RenewalWindow | None, content: CertificateContent, now: datetime) -> None:
    """What the authority says of the renewal (RFC 9773). A moment that is drawn stays while the window does."""
    if plan.why == REVOKED and plan.due_at is None:
        return  # It was while the authority was asked.
    if window is None:
        plan.ask_again_at = now + DAILY
        return
    seed = f"{plan.fingerprint} {window.start.isoformat()} {window.end.isoformat()}"
    plan.has_window, plan.explanation = True, window.explanation
    plan.ask_again_at = max(window.ask_again_at, now + LEAST_PAUSE)
    is_asked_for = plan.due_at is not None and plan.why.startswith(ASKED_FOR)
    if not plan.failures and not is_asked_for:
        moment = moment_within(window.start, window.end, seed)
        plan.due_at, plan.why = not_at_once(moment, content), "The authority suggests it."


def postpone(plan: AcmePlan, certificate: Certificate | None, row: AcmeOrder, fault: Fault, now: datetime) -> None:
    """After a failed order. One that nobody wanted any more did not fail: what is wanted now is planned anew."""
    if fault.kind is FaultKind.OUTDATED or certificate is None:
        plan.certificate_version, plan.failures = 0, 0
        return
    if fault.kind is FaultKind.CANCELED:
        plan.due_at, plan.why = (now + DAILY if plan.fingerprint else None), f"{fault.message} Order it to try again."
        return
    plan.failures += 1
    is_at_once = choices.after_failure(plan, certificate, row, fault)
    plan.due_at = now if is_at_once else _retry(plan, certificate, row, fault, now)
    words = choices.words_after(plan, certificate, row)
    plan.why = words if plan.due_at else f"{words} Change it, or renew now."


def _retry(plan: AcmePlan, certificate: Certificate, row: AcmeOrder, fault: Fault, now: datetime) -> datetime | None:
    """None: not before somebody asks for it, unless there is a certificate to lose, or somebody else to ask."""
    if fault.kind is FaultKind.RATE_LIMITED and row.authority != choices.current(plan, certificate):
        fault = replace(fault, kind=FaultKind.VALIDATION, retry_at=None)
    if row.is_rehearsal and not plan.is_rehearsal:
        fault = replace(fault, kind=FaultKind.VALIDATION, retry_at=None)  # Of staging: production is asked next.
    end = certificate.content.not_after if certificate.content else None
    moment = retry_moment(fault, plan.failures, now, f"{plan.certificate_id}", end)
    if moment is None and (plan.fingerprint or certificate.other_authorities):
        return now + DAILY
    return moment


def note_passed(plan: AcmePlan, now: datetime) -> None:
    """Staging issued it, so the authority is asked."""
    plan.is_rehearsal, plan.due_at, plan.why = False, now, "Staging issued it."


def limit(plan: AcmePlan, reached: Reached, now: datetime) -> None:
    """Not before the limit ends."""
    plan.due_at, plan.why = max(reached.until, now + LEAST_PAUSE), reached.words


async def drop_orphans(session: AsyncSession) -> None:
    """Plans of certificates that are gone, or are not issued by an authority any more."""
    kept = select(Certificate.id).where(Certificate.source == Source.ACME)
    await session.exec(delete(AcmePlan).where(col(AcmePlan.certificate_id).not_in(kept)))
