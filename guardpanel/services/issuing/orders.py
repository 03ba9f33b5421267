"""Orders in the database: begun, stored after each step, and listed with their steps."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.faults import Fault, FaultKind
from guardpanel.acme.keys import fingerprint_of, is_rsa_request, new_key, new_rsa_key, signing_request
from guardpanel.acme.limits import LONGEST
from guardpanel.acme.order import Order, Phase, Record
from guardpanel.errors import NotFound
from guardpanel.models.certificates.acme import AcmeOrder, AcmeStep
from guardpanel.models.certificates.certificate import Certificate, KeyType, Source
from guardpanel.models.certificates.certificate_content import CertificateContent
from guardpanel.sealing import Seal

KEPT = 20
"Orders per certificate whose steps are kept."

ORDERING = "Ordering: "
"Begins the first line of an order, which has the reason for it."

WORDS = {
    Phase.ORDERED: "The authority took the order.",
    Phase.PROVING: "Proving the names.",
    Phase.PROVEN: "The proofs are in place.",
    Phase.ANSWERED: "The authority is checking the proofs.",
    Phase.FINALIZED: "The names are proved. The authority is issuing.",
    Phase.ISSUED: "Issued. Putting it into use.",
    Phase.FAILED: "The authority did not issue it.",
    Phase.CLEAN: "",
}


@dataclass(frozen=True)
class OrderLog:
    """An order with its steps, oldest first."""

    order: AcmeOrder
    steps: tuple[AcmeStep, ...]

    @property
    def is_open(self) -> bool:
        """Perhaps only its records are left to be removed."""
        return self.order.ended_at is None

    @property
    def state(self) -> str:
        """`open`, `issued`, `passed` (at staging), `failed` or `canceled`."""
        if self.order.is_issued:
            return "issued"
        if has_passed(self.order):
            return "passed"
        if self.is_open and self.order.phase != Phase.FAILED:
            return "open"
        fault = fault_in(self.order)
        return "canceled" if fault is not None and fault.kind is FaultKind.CANCELED else "failed"

    @property
    def can_be_canceled(self) -> bool:
        return self.state == "open" and self.order.phase != Phase.ISSUED


def has_passed(row: AcmeOrder) -> bool:
    """Whether staging issued it."""
    return row.is_rehearsal and row.phase in {Phase.ISSUED, Phase.CLEAN} and row.fault is None


async def begin(
    session: AsyncSession, seal: Seal, certificate: Certificate, authority: str, now: datetime
) -> AcmeOrder:
    """With a new key, which is stored before the authority is asked."""
    key = await asyncio.to_thread(new_rsa_key if certificate.key_type is KeyType.RSA else new_key)
    row = AcmeOrder(
        certificate_id=certificate.id or 0,
        authority=authority,
        names=list(certificate.names),
        challenge=str(certificate.challenge.value),
        profile=certificate.profile,
        preferred_chain=certificate.preferred_chain,
        csr=signing_request(key, certificate.names),
        next_step_at=now,
        started_at=now,
    )
    session.add(row)
    await session.flush()
    row.sealed_key = seal.seal(key, row.place)
    return row


def read(row: AcmeOrder) -> Order:
    return Order(
        names=tuple(row.names), challenge=row.challenge, csr=row.csr, profile=row.profile, replaces=row.replaces,
        phase=Phase(row.phase), url=row.url, expires=row.expires, preferred_chain=row.preferred_chain,
        records=tuple(Record(**record) for record in row.records), chain=row.chain, fault=fault_in(row),
    )  # fmt: skip


def store(row: AcmeOrder, order: Order, now: datetime) -> str:
    """Take the order's new state into its row. Returns the step in words, or nothing if it only waited."""
    words = f"{WORDS.get(order.phase, '')} {order.note}".strip() if order.phase != row.phase else ""
    if row.is_rehearsal and order.phase is Phase.ISSUED:
        words = "Staging issued it. It is not put into use."
    row.phase, row.url, row.expires, row.chain = order.phase.value, order.url, order.expires, order.chain
    row.replaces = order.replaces
    row.records = [asdict(record) for record in order.records]
    row.fault = stored_fault(order.fault) if order.fault else None
    row.tries = 0
    row.next_step_at = now + timedelta(seconds=order.wait_seconds)
    return words


def bad_step(row: AcmeOrder, fault: Fault) -> AcmeStep:
    return AcmeStep(order_id=row.id or 0, words=fault.message, detail=fault.detail, is_bad=True)


def fail(row: AcmeOrder, fault: Fault, now: datetime) -> None:
    """Given up. Its records are removed in its next step."""
    row.phase, row.fault = Phase.FAILED.value, stored_fault(fault)
    row.tries, row.next_step_at, row.sealed_key = 0, now, None


def is_outdated(row: AcmeOrder, certificate: Certificate | None) -> bool:
    """Whether nobody wants any more what an open order is for: its certificate is gone, or asks for something else."""
    if row.phase == Phase.FAILED or row.is_issued:
        return False
    return certificate is None or bool(difference(row, certificate))


def difference(row: AcmeOrder, certificate: Certificate) -> str:
    """What the certificate asks for that the order does not, as a sentence. Empty: the same."""
    if certificate.source is not Source.ACME:
        return "Its source was changed."
    if not row.is_rehearsal and row.authority not in certificate.authorities:
        return "Its authority was changed."
    if {*row.names} != {*certificate.names}:
        return "Its names were changed."
    if row.profile != certificate.profile:
        return "Its profile was changed."
    if row.preferred_chain != certificate.preferred_chain:
        return "Its preferred chain was changed."
    if row.challenge != certificate.challenge.value and not row.is_issued:
        return "Its challenge was changed."
    if is_rsa_request(row.csr) is not (certificate.key_type is KeyType.RSA):
        return "Its key type was changed."
    return ""


@dataclass(frozen=True)
class History:
    """`last`: the newest order. `delivered`: the one that the content came with. None: there was none, or it is not known.
    `authorities`: those of all orders."""

    last: AcmeOrder | None = None
    delivered: AcmeOrder | None = None
    authorities: frozenset[str] = frozenset()


async def history(session: AsyncSession, certificate_id: int, content: CertificateContent | None) -> History:
    query = select(AcmeOrder).where(AcmeOrder.certificate_id == certificate_id).order_by(col(AcmeOrder.id).desc())
    rows = (await session.exec(query)).all()
    fingerprint = content.fingerprint if content else ""
    issued = (row for row in rows if row.is_issued and fingerprint_of(row.chain.encode()) == fingerprint)
    return History(rows[0] if rows else None, next(issued, None), frozenset(row.authority for row in rows))


async def last_step_at(session: AsyncSession, row: AcmeOrder) -> datetime:
    """When the order came to where it is."""
    query = select(AcmeStep).where(AcmeStep.order_id == row.id).order_by(col(AcmeStep.id).desc()).limit(1)
    last = (await session.exec(query)).first()
    return last.at if last else row.started_at


def end(row: AcmeOrder, now: datetime) -> None:
    row.ended_at, row.sealed_key = now, None


def stored_fault(fault: Fault) -> dict[str, Any]:
    return {**asdict(fault), "retry_at": fault.retry_at.isoformat() if fault.retry_at else None}


def fault_in(row: AcmeOrder) -> Fault | None:
    if row.fault is None:
        return None
    fault = Fault(**{**row.fault, "kind": FaultKind(row.fault["kind"]), "retry_at": None})
    retry_at = row.fault["retry_at"]
    return replace(fault, retry_at=datetime.fromisoformat(retry_at)) if retry_at else fault


async def find(session: AsyncSession, order_id: int) -> AcmeOrder:
    """Raises NotFound."""
    row = await session.get(AcmeOrder, order_id)
    if row is None:
        raise NotFound("Order not found. It may have been deleted.")
    return row


async def open_orders(session: AsyncSession) -> Sequence[AcmeOrder]:
    """Oldest first."""
    query = select(AcmeOrder).where(col(AcmeOrder.ended_at).is_(None)).order_by(col(AcmeOrder.id))
    return (await session.exec(query)).all()


async def logs(session: AsyncSession, certificate_id: int, limit: int = 5) -> list[OrderLog]:
    """The newest orders of a certificate, with their steps."""
    query = select(AcmeOrder).where(AcmeOrder.certificate_id == certificate_id)
    rows = (await session.exec(query.order_by(col(AcmeOrder.id).desc()).limit(limit))).all()
    ids = [row.id for row in rows]
    entries = (
        await session.exec(select(AcmeStep).where(col(AcmeStep.order_id).in_(ids)).order_by(col(AcmeStep.id)))
    ).all()
    return [OrderLog(row, tuple(step for step in entries if step.order_id == row.id)) for row in rows]


async def drop_old(session: AsyncSession, certificate_id: int, now: datetime) -> None:
    """All but the newest, and those that still count against an authority's limits."""
    is_old = (col(AcmeOrder.ended_at).is_not(None), AcmeOrder.started_at < now - LONGEST)
    query = select(AcmeOrder).where(AcmeOrder.certificate_id == certificate_id, *is_old)
    for row in (await session.exec(query.order_by(col(AcmeOrder.id).desc()).offset(KEPT))).all():
        await session.delete(row)
