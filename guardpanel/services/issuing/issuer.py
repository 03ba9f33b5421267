"""The worker: orders certificates that are due, one step after the other, and puts what was issued into use.

There is one worker, since the panel's lock admits one panel. Each step's outcome is committed before the next one, so that a
killed panel resumes the same orders (`guardpanel/acme/order.py`). Authorities are asked side by side, each for one order at a
time.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.keys import renewal_id
from guardpanel.acme.order import Order, Phase, step
from guardpanel.acme.renewal import UNREACHABLE_MINUTES
from guardpanel.certificates import contents
from guardpanel.errors import Problem
from guardpanel.models.acme import AcmeOrder, AcmePlan, AcmeStep
from guardpanel.models.certificate import Certificate
from guardpanel.models.certificate_content import CertificateContent
from guardpanel.services.issuing import delivery, orders, plans
from guardpanel.services.issuing.accounts import Accounts
from guardpanel.services.issuing.checks import Checks
from guardpanel.services.saving.changes import Changes

log = logging.getLogger(__name__)

IDLE_SECONDS = 2.0
"Until certificates are looked at again, unless an order goes on before."

LOOK_AGAIN_SECONDS = 0.2

ENDING = frozenset(
    {
        FaultKind.RATE_LIMITED, FaultKind.REJECTED, FaultKind.PROFILE, FaultKind.BINDING, FaultKind.CLOSED_ACCOUNT,
        FaultKind.LOST_ORDER, FaultKind.VALIDATION,
    }
)  # fmt: skip
"Faults that end an order. After others the same step is tried again."


class Issuer:
    def __init__(
        self,
        changes: Changes,
        checks: Checks,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.changes = changes
        self.accounts: Accounts = checks.accounts
        self.checks = checks
        self.proving = checks.proving
        self.now = now
        self.wake = asyncio.Event()
        "Set when somebody asks for a renewal."

    def follow(self) -> None:
        """Runs as long as the panel."""
        self.changes.background.keep("certificate orders", self.look, self._pause)

    async def _pause(self) -> None:
        self.wake.clear()
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self.wake.wait()
        except TimeoutError:
            return

    async def look(self) -> None:
        """Begin what is due, and go on with orders until all of them have to wait."""
        await self._plan()
        while ready := await self._ready():
            await asyncio.gather(*(self._advance(row) for row in ready.values()))

    async def _ready(self) -> Mapping[str, AcmeOrder]:
        """The oldest open order of each authority, if its next step is due or nearly so."""
        async with self.changes.database.read() as session:
            oldest: dict[str, AcmeOrder] = {}
            for row in await orders.open_orders(session):
                oldest.setdefault(row.authority, row)
        ready = {authority: row for authority, row in oldest.items() if row.next_step_at <= self.now()}
        soon = min((row.next_step_at for row in oldest.values()), default=None)
        if not ready and soon and soon - self.now() < timedelta(seconds=IDLE_SECONDS):
            await asyncio.sleep(max(0.0, (soon - self.now()).total_seconds()))
            return await self._ready()
        return ready

    # What is due

    async def _plan(self) -> None:
        async with self.changes.database.read() as session:
            certificates = await plans.certificates(session)
            known = await contents.current_of(session, [row.id or 0 for row in certificates])
            busy = {row.certificate_id for row in await orders.open_orders(session)}
        for certificate in certificates:
            if certificate.id not in busy:
                await self._plan_one(certificate, known.get(certificate.id or 0))

    async def _plan_one(self, certificate: Certificate, content: CertificateContent | None) -> None:
        now, number = self.now(), certificate.id or 0
        async with self.changes.database.read() as session:
            plan = await plans.plan_of(session, number) or AcmePlan(certificate_id=number)
        before = plan.model_dump()
        plans.update(plan, certificate, content, now)
        if content and plan.ask_again_at and plan.ask_again_at <= now:
            await self._ask(plan, certificate, content)
        is_due = plan.due_at is not None and plan.due_at <= now
        if plan.model_dump() == before and not is_due:
            return
        async with self.changes.database.write() as session:
            await plans.drop_orphans(session)
            if is_due:
                replaces = renewal_id(content.chain.encode()) if content and plan.has_window else ""
                order = await orders.begin(session, self.changes.seal, certificate, replaces, now)
                # A renewal is asked for whatever this machine sees: it saw the names as it does now when they were proved.
                order.is_asked_for = content is not None or plan.why.startswith(plans.ASKED_FOR)
                session.add(AcmeStep(order_id=order.id or 0, words=f"Ordering: {plan.why}"))
                await orders.drop_old(session, number)
                plan.due_at = None
            await session.merge(plan)

    async def _ask(self, plan: AcmePlan, certificate: Certificate, content: CertificateContent) -> None:
        """When the authority suggests to renew."""
        try:
            authority = await self.accounts.authority(certificate.authority, certificate.contact)
            window = await asyncio.to_thread(authority.renewal_window, content.chain.encode())
        except AuthorityFault as refused:
            log.warning("no renewal information for certificate %s: %s", certificate.name, refused)
            plan.ask_again_at = self.now() + timedelta(hours=1)
            self.accounts.drop(certificate.authority)
        else:
            plans.suggest(plan, window, self.now())

    # The steps of an order

    async def _advance(self, row: AcmeOrder) -> None:
        """One step. Whatever it comes to is stored."""
        order = orders.read(row)
        if order.phase is not Phase.FAILED:
            order = replace(order, fault=None)  # It is over if this step succeeds.
        if order.phase is Phase.ISSUED and not row.is_issued:
            await self._deliver(row)
            return
        try:
            after = await self._stepped(row, order)
        except AuthorityFault as refused:
            await self._stumble(row, order, refused.fault)
            return
        async with self.changes.database.write() as session:
            stored = await orders.find(session, row.id or 0)
            words = orders.store(stored, after, self.now())
            if words:
                session.add(_step(stored, words, after.fault if after.phase is Phase.FAILED else None))
            if after.is_over:
                await self._end(session, stored, after.fault)

    async def _stepped(self, row: AcmeOrder, order: Order) -> Order:
        contact = ""
        async with self.changes.database.read() as session:
            certificate = await session.get(Certificate, row.certificate_id)
            contact = certificate.contact if certificate else ""
        if order.phase is Phase.NEW and not row.is_asked_for:
            await self.checks.must_pass(order, row.authority)
        if order.phase is Phase.PROVING:
            await self.proving.prepare(order)
        authority = await self.accounts.authority(row.authority, contact)
        return await asyncio.to_thread(step, order, authority, self.proving.proofs(order))

    async def _stumble(self, row: AcmeOrder, order: Order, fault: Fault) -> None:
        """A step that failed: the order ends, or the step is tried again later."""
        self.accounts.drop(row.authority)
        if fault.kind is FaultKind.UNKNOWN_ACCOUNT:
            await self.accounts.forget(row.authority)
        now = self.now()
        async with self.changes.database.write() as session:
            stored = await orders.find(session, row.id or 0)
            session.add(_step(stored, fault.message, fault))
            stored.fault, stored.tries = orders.stored_fault(fault), stored.tries + 1
            if fault.kind is FaultKind.REPLACED and stored.replaces:
                stored.replaces = ""
                return
            is_over = order.phase in {Phase.ISSUED, Phase.FAILED}
            if not is_over and (fault.kind in ENDING or _is_expired(stored, now)):
                orders.fail(stored, fault)
                return
            if is_over and stored.tries > len(UNREACHABLE_MINUTES):
                await self._end(session, stored, orders.fault_in(stored))  # Its records can't be removed.
                return
            minutes = UNREACHABLE_MINUTES[min(stored.tries, len(UNREACHABLE_MINUTES)) - 1]
            is_new = fault.kind is FaultKind.UNKNOWN_ACCOUNT and stored.tries == 1
            wait = now if is_new else now + timedelta(minutes=minutes)
            stored.next_step_at = max(wait, fault.retry_at or now)

    async def _deliver(self, row: AcmeOrder) -> None:
        """Put what was issued into use, by a save like any other."""
        try:
            result = await delivery.deliver(self.changes, row, self.now())
        except Problem as problem:
            async with self.changes.database.write() as session:
                stored = await orders.find(session, row.id or 0)
                session.add(AcmeStep(order_id=row.id or 0, words=f"Not in use yet. {problem.message}", is_bad=True))
                stored.tries += 1
                minutes = UNREACHABLE_MINUTES[min(stored.tries, len(UNREACHABLE_MINUTES)) - 1]
                stored.next_step_at = self.now() + timedelta(minutes=minutes)
            return
        async with self.changes.database.write() as session:
            stored = await orders.find(session, row.id or 0)
            stored.is_issued, stored.sealed_key, stored.fault = True, None, None
            session.add(AcmeStep(order_id=row.id or 0, words=result))

    async def _end(self, session: AsyncSession, row: AcmeOrder, fault: Fault | None) -> None:
        now = self.now()
        orders.end(row, now)
        plan = await plans.plan_of(session, row.certificate_id)
        if plan is None:
            return
        if row.is_issued:
            plan.failures = 0
        else:
            plans.postpone(plan, fault or Fault(FaultKind.OTHER, "The order failed."), now)


def _step(row: AcmeOrder, words: str, fault: Fault | None) -> AcmeStep:
    if fault is None:
        return AcmeStep(order_id=row.id or 0, words=words)
    return AcmeStep(order_id=row.id or 0, words=fault.message, detail=fault.detail, is_bad=True)


def _is_expired(row: AcmeOrder, now: datetime) -> bool:
    return row.expires is not None and row.expires <= now
