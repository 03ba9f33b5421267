"""When each certificate is ordered: at once while it is missing or has other names, else before it expires."""

from datetime import datetime, timedelta

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.client import RenewalWindow
from guardpanel.acme.faults import Fault
from guardpanel.acme.renewal import moment_within, renewal_moment, retry_moment
from guardpanel.models.acme import AcmePlan
from guardpanel.models.certificate import Certificate, Source
from guardpanel.models.certificate_content import CertificateContent

ASKED_FOR = "Asked for by"

DAILY = timedelta(days=1)
"Between attempts that will hardly succeed, for a certificate that is in use."


async def certificates(session: AsyncSession) -> list[Certificate]:
    query = select(Certificate).where(Certificate.source == Source.ACME).order_by(col(Certificate.id))
    return list((await session.exec(query)).all())


async def plan_of(session: AsyncSession, certificate_id: int) -> AcmePlan | None:
    return (await session.exec(select(AcmePlan).where(AcmePlan.certificate_id == certificate_id))).first()


def update(plan: AcmePlan, certificate: Certificate, content: CertificateContent | None, now: datetime) -> None:
    """After an edit of the certificate, or with a new content. Otherwise the plan stays."""
    fingerprint = content.fingerprint if content else ""
    if plan.certificate_version == certificate.version and plan.fingerprint == fingerprint:
        return
    plan.certificate_version, plan.fingerprint = certificate.version, fingerprint
    plan.failures, plan.has_window, plan.explanation, plan.ask_again_at = 0, False, "", None
    if plan.due_at is not None and plan.why.startswith(ASKED_FOR):
        return
    if content is None:
        plan.due_at, plan.why = now, "It was not issued yet."
    elif set(content.names) != set(certificate.names):
        plan.due_at, plan.why = now, "Its names were changed."
    else:
        plan.due_at = renewal_moment(content.not_before, content.not_after, fingerprint)
        plan.why, plan.ask_again_at = "Most of its life will be over.", now


def suggest(plan: AcmePlan, window: RenewalWindow | None, now: datetime) -> None:
    """What the authority says of the renewal (RFC 9773). A moment that is drawn stays while the window does."""
    if window is None:
        plan.ask_again_at = now + DAILY
        return
    seed = f"{plan.fingerprint} {window.start.isoformat()} {window.end.isoformat()}"
    plan.has_window, plan.explanation, plan.ask_again_at = True, window.explanation, window.ask_again_at
    if not plan.failures:
        plan.due_at, plan.why = moment_within(window.start, window.end, seed), "The authority suggests it."


def postpone(plan: AcmePlan, fault: Fault, now: datetime) -> None:
    """After a failed order."""
    plan.failures += 1
    moment = retry_moment(fault, plan.failures, now, f"{plan.certificate_id}")
    if moment is None and plan.fingerprint:
        moment = now + DAILY
    plan.due_at, plan.why = (
        moment,
        "The last order failed." if moment else "The last order failed. Change it, or renew now.",
    )


async def drop_orphans(session: AsyncSession) -> None:
    """Plans of certificates that are gone, or are not issued by an authority any more."""
    kept = select(Certificate.id).where(Certificate.source == Source.ACME)
    await session.exec(delete(AcmePlan).where(col(AcmePlan.certificate_id).not_in(kept)))
