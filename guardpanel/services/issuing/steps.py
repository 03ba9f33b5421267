"""One step of an order: taken, and whatever it comes to is stored, so that a killed panel resumes the same order."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.order import Order, Phase, cleaned, step
from guardpanel.acme.renewal import UNREACHABLE_MINUTES
from guardpanel.errors import Problem
from guardpanel.models.acme import AcmeOrder, AcmeStep
from guardpanel.models.certificate import Certificate
from guardpanel.sealing import KeyLost
from guardpanel.services.issuing import delivery, orders, plans
from guardpanel.services.issuing.checks import Checks
from guardpanel.services.saving.changes import Changes

log = logging.getLogger(__name__)

ENDING = frozenset(
    {
        FaultKind.RATE_LIMITED, FaultKind.REJECTED, FaultKind.PROFILE, FaultKind.BINDING, FaultKind.CLOSED_ACCOUNT,
        FaultKind.LOST_ORDER, FaultKind.VALIDATION, FaultKind.OUTDATED, FaultKind.UNPROVEN,
    }
)  # fmt: skip
"Faults that end an order. After others the same step is tried again."

TRIED_AGAIN = frozenset({FaultKind.PROOF, FaultKind.OTHER})
"Faults that end an order which the authority does not know yet, once its tries are used up: the plan says when to try another."

VISIBLE_WITHIN = timedelta(minutes=10)
"For which name servers may take to return the records."

LONGEST_LIFE = timedelta(days=7)
"Of an order without an end of its own."

OTHER_MASTER_KEY = "The order’s private key was sealed with another secret key file. Another one is ordered."

CHANGED = "The certificate was changed or deleted meanwhile."


class Steps:
    def __init__(self, changes: Changes, checks: Checks, now: Callable[[], datetime]) -> None:
        self.changes = changes
        self.accounts = checks.accounts
        self.checks = checks
        self.proving = checks.proving
        self.now = now

    async def advance(self, row: AcmeOrder) -> None:
        """One step. Whatever it comes to is stored."""
        order = orders.read(row)
        if order.phase is not Phase.FAILED:
            order = replace(order, fault=None)  # It is over if this step succeeds.
        try:
            self._must_have_key(row)
            if order.phase is Phase.ISSUED and not row.is_issued:
                await self._deliver(row)
                return
            after = await self._patient(row, order, await self._stepped(row, order))
        except AuthorityFault as refused:
            await self._stumble(row, order, refused.fault)
        except Exception as error:  # Otherwise the worker would repeat it at once, and ask the authority again.
            log.exception("order %s: the step after %s failed", row.id, order.phase)
            words = "The step failed unexpectedly. The panel’s log says more."
            await self._stumble(row, order, Fault(FaultKind.OTHER, words, f"{type(error).__name__}: {error}"[:500]))
        else:
            await self._store(row, order, after)

    def _must_have_key(self, row: AcmeOrder) -> None:
        """Raises AuthorityFault if the order can't come to anything: whatever is issued is for a key that nobody can read. Its
        account is another master key's, too."""
        try:
            if row.sealed_key is not None:
                self.changes.seal.open(row.sealed_key, row.place)
        except KeyLost as lost:
            raise AuthorityFault(Fault(FaultKind.LOST_ORDER, OTHER_MASTER_KEY)) from lost

    async def give_up(self, order_id: int) -> None:
        """Its certificate is gone, or asks for something else."""
        async with self.changes.database.write() as session:
            row = await orders.find(session, order_id)
            fault = Fault(FaultKind.OUTDATED, CHANGED)
            session.add(_step(row, fault.message, fault))
            await self._fail(session, row, fault)

    async def _stepped(self, row: AcmeOrder, order: Order) -> Order:
        if order.phase in {Phase.ISSUED, Phase.FAILED}:
            return await asyncio.to_thread(cleaned, order, self.proving.proofs(order))
        async with self.changes.database.read() as session:
            certificate = await session.get(Certificate, row.certificate_id)
            contact = certificate.contact if certificate else ""
        if order.phase is Phase.NEW and not row.is_asked_for:
            await self.checks.must_pass(order, row.authority)
        if order.phase is Phase.PROVING:
            await self.proving.prepare(order)
        authority = await self.accounts.authority(row.authority, contact)
        return await asyncio.to_thread(step, order, authority, self.proving.proofs(order))

    async def _patient(self, row: AcmeOrder, before: Order, after: Order) -> Order:
        """While records are not visible, look less and less often, and not for ever. Raises AuthorityFault."""
        if before.phase is not Phase.PROVING or after.phase is not Phase.PROVING:
            return after
        async with self.changes.database.read() as session:
            waited = self.now() - await orders.last_step_at(session, row)
        if waited > VISIBLE_WITHIN:
            words = f"The records are not visible after {VISIBLE_WITHIN.seconds // 60} minutes."
            raise AuthorityFault(Fault(FaultKind.UNPROVEN, words, after.waits_for))
        return replace(after, wait_seconds=min(15.0, max(1.0, waited.total_seconds() / 10)))

    async def _store(self, row: AcmeOrder, before: Order, after: Order) -> None:
        async with self.changes.database.write() as session:
            stored = await orders.find(session, row.id or 0)
            words = orders.store(stored, after, self.now())
            if words:
                session.add(_step(stored, words, after.fault if after.phase is Phase.FAILED else None))
            if after.phase is Phase.FAILED and before.phase is not Phase.FAILED and after.fault is not None:
                await self._fail(session, stored, after.fault)
            if after.is_over:
                await self._end(session, stored)

    async def _stumble(self, row: AcmeOrder, order: Order, fault: Fault) -> None:
        """A step that failed: the order ends, or the step is tried again later."""
        self.accounts.drop(row.authority)
        if fault.kind is FaultKind.UNKNOWN_ACCOUNT:
            await self.accounts.forget(row.authority)
        now, is_over = self.now(), row.is_issued or order.phase is Phase.FAILED
        async with self.changes.database.write() as session:
            stored = await orders.find(session, row.id or 0)
            session.add(_step(stored, fault.message, fault))
            stored.tries += 1
            if not is_over:  # Why it failed counts, not why its records are still there.
                stored.fault = orders.stored_fault(fault)
            if fault.kind is FaultKind.REPLACED and stored.replaces:
                stored.replaces = ""
                return
            if not is_over and _is_last(stored, order, fault, now):
                await self._fail(session, stored, fault)
                return
            if is_over and stored.tries > len(UNREACHABLE_MINUTES):
                await self._end(session, stored)  # Its records can't be removed.
                return
            is_new = fault.kind is FaultKind.UNKNOWN_ACCOUNT and stored.tries == 1
            wait = now if is_new else now + _back_off(stored)
            stored.next_step_at = max(wait, fault.retry_at or now)

    async def _deliver(self, row: AcmeOrder) -> None:
        """Put what was issued into use, by a save like any other."""
        try:
            result = await delivery.deliver(self.changes, row, self.now())
        except Problem as problem:
            async with self.changes.database.write() as session:
                stored = await orders.find(session, row.id or 0)
                if isinstance(problem, delivery.Unusable):
                    fault = Fault(FaultKind.OTHER, problem.message)
                    session.add(_step(stored, fault.message, fault))
                    await self._fail(session, stored, fault)
                    return
                session.add(AcmeStep(order_id=row.id or 0, words=f"Not in use yet. {problem.message}", is_bad=True))
                stored.tries += 1
                stored.next_step_at = self.now() + _back_off(stored)
            return
        async with self.changes.database.write() as session:
            stored = await orders.find(session, row.id or 0)
            stored.is_issued, stored.sealed_key, stored.fault, stored.tries = True, None, None, 0
            session.add(AcmeStep(order_id=row.id or 0, words=result))

    async def _fail(self, session: AsyncSession, row: AcmeOrder, fault: Fault) -> None:
        """Its records are removed in its next steps. The next order does not wait for that."""
        orders.fail(row, fault, self.now())
        plan = await plans.plan_of(session, row.certificate_id)
        if plan is not None:
            plans.postpone(plan, fault, self.now())

    async def _end(self, session: AsyncSession, row: AcmeOrder) -> None:
        orders.end(row, self.now())
        plan = await plans.plan_of(session, row.certificate_id)
        if plan is not None and row.is_issued:
            plan.failures = 0


def _is_last(row: AcmeOrder, order: Order, fault: Fault, now: datetime) -> bool:
    """Whether the order ends with this failure."""
    is_used_up = order.phase is Phase.NEW and fault.kind in TRIED_AGAIN and row.tries > len(UNREACHABLE_MINUTES)
    return fault.kind in ENDING or is_used_up or (row.expires or row.started_at + LONGEST_LIFE) <= now


def _back_off(row: AcmeOrder) -> timedelta:
    return timedelta(minutes=UNREACHABLE_MINUTES[min(row.tries, len(UNREACHABLE_MINUTES)) - 1])


def _step(row: AcmeOrder, words: str, fault: Fault | None) -> AcmeStep:
    if fault is None:
        return AcmeStep(order_id=row.id or 0, words=words)
    return AcmeStep(order_id=row.id or 0, words=fault.message, detail=fault.detail, is_bad=True)
