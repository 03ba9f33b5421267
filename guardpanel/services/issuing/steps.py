"""One step of an order: taken, and whatever it comes to is stored, so that a killed panel resumes the same order."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.client import Authority
from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.order import HTTP_01, Order, Phase, cleaned, step
from guardpanel.errors import Problem
from guardpanel.models.certificates.acme import AcmeOrder, AcmeStep
from guardpanel.models.certificates.certificate import Certificate
from guardpanel.models.certificates.issuing import authority_name
from guardpanel.sealing import KeyLost
from guardpanel.services.issuing import delivery, orders, plans
from guardpanel.services.issuing.checks import Checks
from guardpanel.services.issuing.outcomes import Outcome, has_result, outcome_of, wait_after
from guardpanel.services.saving.change import Change, SaveRequest
from guardpanel.services.saving.changes import Changes

log = logging.getLogger(__name__)

VISIBLE_WITHIN = timedelta(minutes=10)
"For which name servers may take to return the records."

OTHER_MASTER_KEY = "The order’s private key was sealed with another secret key file. Another one is ordered."

CHANGED = "The certificate was changed or deleted meanwhile."

GIVEN_UP = frozenset({FaultKind.OUTDATED, FaultKind.CANCELED, FaultKind.UNPROVEN})
"Faults that end an order while the authority waits for its proofs."


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
            if order.phase is Phase.ISSUED and not row.is_issued and not row.is_rehearsal:
                await self._note_delivery(row, await self._deliver(row))
                return
            after = await self._patient(row, order, await self._stepped(row, order))
        except AuthorityFault as refused:
            await self._stumble(row, refused.fault)
        except Problem as problem:  # Of this machine, such as a full disk.
            await self._stumble(row, Fault(FaultKind.OTHER, problem.message))
        except Exception as error:  # Otherwise the worker would repeat it at once, and ask the authority again.
            log.exception("order %s: the step after %s failed", row.id, order.phase)
            words = f"The step failed unexpectedly ({type(error).__name__}). The panel’s log has the details."
            await self._stumble(row, Fault(FaultKind.OTHER, words))
        else:
            await self._store(row, after)

    async def give_up(self, order_id: int) -> None:
        """Its certificate is gone, or asks for something else."""
        async with self.changes.database.write() as session:
            row = await orders.find(session, order_id)
            await end_early(session, row, Fault(FaultKind.OUTDATED, CHANGED), self.now())

    def _must_have_key(self, row: AcmeOrder) -> None:
        """Raises AuthorityFault if the order can't come to anything: whatever is issued is for a key that nobody can read. Its
        account is another master key's, too."""
        try:
            if row.sealed_key is not None:
                self.changes.seal.open(row.sealed_key, row.place)
        except KeyLost as lost:
            raise AuthorityFault(Fault(FaultKind.LOST_ORDER, OTHER_MASTER_KEY)) from lost

    async def _stepped(self, row: AcmeOrder, order: Order) -> Order:
        if order.phase in {Phase.ISSUED, Phase.FAILED}:
            certificate = await self._certificate(row)
            await self._relinquish(row, order, certificate.contact if certificate else "")
            return await asyncio.to_thread(cleaned, order, self.proving.proofs(order))
        await self.changes.settled()  # HAProxy answers challenges once the certificate's own save is live.
        certificate = await self._certificate(row)
        if certificate is None or orders.difference(row, certificate):  # That save was rolled back.
            raise AuthorityFault(Fault(FaultKind.OUTDATED, CHANGED))
        if order.phase is Phase.NEW and not row.is_asked_for:
            await self.checks.must_pass(order, row.authority)
        if order.phase is Phase.PROVING:
            await self.proving.prepare(order, await self._answering(row))
        authority = await self.accounts.authority(row.authority, certificate.contact)
        if order.phase is Phase.NEW:
            await self._must_be_stored(row)
            await self._update_contacts(row, authority)
        return await asyncio.to_thread(step, order, authority, self.proving.proofs(order))

    async def _answering(self, row: AcmeOrder) -> str:
        """Have HAProxy answer challenges with the key of the authority's account. Returns its thumbprint. Raises
        Problem."""
        thumbprint = await self.accounts.thumbprint_at(row.authority)
        if row.challenge == HTTP_01 and {*map(self.proving.thumbprint_for, row.names)} != {thumbprint}:
            words = f"Challenges of {authority_name(row.authority)} are answered with its account’s key"
            await self.changes.save(Change(SaveRequest(delivery.AUTHOR), words, quiet=True), _nothing)
        return thumbprint

    async def _update_contacts(self, row: AcmeOrder, authority: Authority) -> None:
        if words := await self.accounts.update_contacts(row.authority, authority):
            async with self.changes.database.write() as session:
                session.add(AcmeStep(order_id=row.id or 0, words=words))

    async def _must_be_stored(self, row: AcmeOrder) -> None:
        """Raises StorageFailed while nothing can be stored: the authority would be asked for another order with each try, since
        the answer with the last one's address was lost."""
        async with self.changes.database.write() as session:
            (await orders.find(session, row.id or 0)).next_step_at = self.now()

    async def _certificate(self, row: AcmeOrder) -> Certificate | None:
        async with self.changes.database.read() as session:
            return await session.get(Certificate, row.certificate_id)

    async def _relinquish(self, row: AcmeOrder, order: Order, contact: str) -> None:
        """The authority need not wait for the proofs of an order that was given up: it counts those that are open. Tried once."""
        if order.fault is None or order.fault.kind not in GIVEN_UP or not order.url or row.tries:
            return
        with suppress(AuthorityFault):
            authority = await self.accounts.authority(row.authority, contact)
            await asyncio.to_thread(authority.relinquish, order.url)

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

    async def _store(self, row: AcmeOrder, after: Order) -> None:
        async with self.changes.database.write() as session:
            stored = await orders.find(session, row.id or 0)
            if has_result(stored) and not has_result(row):  # It was canceled meanwhile.
                stored.url = stored.url or after.url  # The authority is told.
                return
            is_new_failure = after.phase is Phase.FAILED and stored.phase != Phase.FAILED
            words = orders.store(stored, after, self.now())
            if is_new_failure and after.fault is not None:
                await end_early(session, stored, after.fault, self.now())
            elif words:
                session.add(AcmeStep(order_id=stored.id or 0, words=words))
            if after.is_over:
                await self._end(session, stored)

    async def _stumble(self, row: AcmeOrder, fault: Fault) -> None:
        """A step that failed: the order ends, or the step is tried again."""
        self.accounts.drop(row.authority)
        if fault.kind is FaultKind.UNKNOWN_ACCOUNT:
            await self.accounts.forget(row.authority)
        async with self.changes.database.write() as session:
            stored = await orders.find(session, row.id or 0)
            if has_result(stored) and not has_result(row):
                return  # It was canceled meanwhile.
            stored.tries += 1
            certificate = await session.get(Certificate, row.certificate_id)
            has_others = certificate is not None and bool(certificate.other_authorities)
            outcome = outcome_of(stored, fault, self.now(), others_can_issue=has_others)
            if outcome is Outcome.FAILED:
                await end_early(session, stored, fault, self.now())
                return
            session.add(orders.bad_step(stored, fault))
            self._go_on(stored, fault, outcome)
            if outcome is Outcome.ENDED:
                await self._end(session, stored)

    def _go_on(self, row: AcmeOrder, fault: Fault, outcome: Outcome) -> None:
        if not has_result(row):  # Why it failed counts, not why its records are still there.
            row.fault = orders.stored_fault(fault)
        if outcome is Outcome.AT_ONCE:
            row.replaces = ""
        if outcome is Outcome.LATER:
            row.next_step_at = max(self.now() + wait_after(row), fault.retry_at or self.now())

    async def _deliver(self, row: AcmeOrder) -> str:
        """Put what was issued into use, by a save like any other. Raises AuthorityFault."""
        try:
            return await delivery.deliver(self.changes, row, self.now())
        except delivery.Unusable as problem:
            raise AuthorityFault(Fault(FaultKind.UNUSABLE, problem.message)) from problem
        except Problem as problem:
            raise AuthorityFault(Fault(FaultKind.NOT_IN_USE, f"Not in use yet. {problem.message}")) from problem

    async def _note_delivery(self, row: AcmeOrder, words: str) -> None:
        async with self.changes.database.write() as session:
            stored = await orders.find(session, row.id or 0)
            stored.is_issued, stored.sealed_key, stored.fault, stored.tries = True, None, None, 0
            session.add(AcmeStep(order_id=row.id or 0, words=words))

    async def _end(self, session: AsyncSession, row: AcmeOrder) -> None:
        orders.end(row, self.now())
        plan = await plans.plan_of(session, row.certificate_id)
        if plan is not None and row.is_issued:
            plan.failures = 0
        if plan is not None and orders.has_passed(row):
            plans.note_passed(plan, self.now())


async def _nothing(_: AsyncSession) -> None:
    """The rows stay as they are."""


async def end_early(session: AsyncSession, row: AcmeOrder, fault: Fault, now: datetime) -> None:
    """No certificate comes of it. Its records are removed in its next steps, for which the next order does not wait."""
    session.add(orders.bad_step(row, fault))
    orders.fail(row, fault, now)
    plan, certificate = (
        await plans.plan_of(session, row.certificate_id),
        await session.get(Certificate, row.certificate_id),
    )
    if plan is not None:
        plans.postpone(plan, certificate, row, fault, now)
