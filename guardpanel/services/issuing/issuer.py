"""The worker: orders certificates that are due, and goes on with open orders.

There is one worker, since the panel's lock admits one panel. Authorities are asked side by side, each for one thing at a time:
none waits for another one, nor does planning. An order that has to wait holds up no other.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.faults import AuthorityFault
from guardpanel.acme.keys import renewal_id
from guardpanel.acme.order import Phase
from guardpanel.certificates import contents
from guardpanel.models.certificates.acme import AcmeOrder, AcmePlan, AcmeStep
from guardpanel.models.certificates.certificate import Certificate, Source
from guardpanel.models.certificates.certificate_content import CertificateContent
from guardpanel.services.issuing import choices, orders, plans
from guardpanel.services.issuing.accounts import was_replaced
from guardpanel.services.issuing.checks import Checks
from guardpanel.services.issuing.steps import Steps
from guardpanel.services.saving.changes import Changes

log = logging.getLogger(__name__)

IDLE_SECONDS = 2.0
"Until certificates are looked at again, unless an order goes on before."

CHECKS_AT_ONCE = 2
"Preflights that operators ask for. Each has a thread for up to a minute, and saves need threads, too."


class Issuer:
    def __init__(
        self,
        changes: Changes,
        checks: Checks,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.changes = changes
        self.accounts = checks.accounts
        self.checks = checks
        self.now = now
        self.steps = Steps(changes, checks, now)
        self.turns: dict[str, asyncio.Task[None]] = {}
        "What each authority is asked for at the moment, by its URL."
        self.wake = asyncio.Event()
        "Set when somebody asks for a renewal."
        self.checking = asyncio.Semaphore(CHECKS_AT_ONCE)

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
        try:
            while await self._turn():
                pass
        except asyncio.CancelledError:
            for task in self.turns.values():
                task.cancel()
            raise
        finally:  # What still runs must not be begun a second time.
            await asyncio.gather(*self.turns.values(), return_exceptions=True)
            self.turns.clear()

    async def _turn(self) -> bool:
        """Plan, and give each authority that is free its next thing to do. Returns whether to go on at once."""
        questions = await self._plan()
        ready = {authority: self.steps.advance(row) for authority, row in (await self._ready()).items()}
        for authority, deed in self._chosen(ready, questions).items():
            self.turns[authority] = asyncio.create_task(deed)
        if not self.turns:
            return await self._rest()
        done, _ = await asyncio.wait(self.turns.values(), timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        self.turns = {authority: task for authority, task in self.turns.items() if task not in done}
        for task in done:
            task.result()
        return True

    def _chosen(
        self, ready: Mapping[str, Coroutine[Any, Any, None]], questions: Mapping[str, list[int]]
    ) -> dict[str, Coroutine[Any, Any, None]]:
        """Orders come before questions."""
        others = {url: self._ask(url, numbers) for url, numbers in questions.items() if url not in ready}
        return {**ready, **others}

    async def _ready(self) -> dict[str, AcmeOrder]:
        """The oldest open order of each free authority whose next step is due."""
        async with self.changes.database.read() as session:
            oldest: dict[str, AcmeOrder] = {}
            for row in await orders.open_orders(session):
                if row.next_step_at <= self.now() and row.authority not in self.turns:
                    oldest.setdefault(row.authority, row)
        return oldest

    async def _rest(self) -> bool:
        """Until the next step, if that is soon. Returns whether it is."""
        async with self.changes.database.read() as session:
            soon = min((row.next_step_at for row in await orders.open_orders(session)), default=None)
        if soon is None or soon - self.now() >= timedelta(seconds=IDLE_SECONDS):
            return False
        await asyncio.sleep(max(0.0, (soon - self.now()).total_seconds()))
        return True

    # What is due

    async def _plan(self) -> dict[str, list[int]]:
        """End orders that nobody wants any more, and begin those that are due. Returns the certificates whose authority is to be
        asked when to renew, by authority."""
        async with self.changes.database.read() as session:
            certificates = await plans.certificates(session)
            known = await contents.current_of(session, [row.id or 0 for row in certificates])
            planned = await plans.by_certificate(session)
            rows = await orders.open_orders(session)
        wanted = {row.id: row for row in certificates}
        for row in rows:
            if row.authority not in self.turns and orders.is_outdated(row, wanted.get(row.certificate_id)):
                await self.steps.give_up(row.id or 0)
        busy = {row.certificate_id for row in rows if row.phase != Phase.FAILED}
        questions: dict[str, list[int]] = {}
        for certificate in certificates:
            number = certificate.id or 0
            plan, content = planned.get(number), known.get(number)
            if number in busy:
                continue
            if plan is None or not plans.is_current(plan, certificate, content) or _is_due(plan, content, self.now()):
                await self._plan_one(number)
            elif _is_question(plan, content, self.now()) and choices.issued_by(plan, certificate) not in self.turns:
                questions.setdefault(choices.issued_by(plan, certificate), []).append(number)
        return questions

    async def _plan_one(self, number: int) -> None:
        now = self.now()
        async with self.changes.database.write() as session:
            await plans.drop_orphans(session)
            certificate = await session.get(Certificate, number)
            if certificate is None or certificate.source is not Source.ACME:
                return
            content = await contents.current(session, number)
            plan = await plans.plan_of(session, number) or AcmePlan(certificate_id=number)
            if not plans.is_current(plan, certificate, content):
                plans.update(plan, certificate, content, await orders.history(session, number, content), now)
            if _is_due(plan, content, now):
                choice = await choices.choose(session, plan, certificate, now)
                if isinstance(choice, choices.Choice):
                    await self._begin(session, plan, certificate, content, choice)
                else:
                    plans.limit(plan, choice, now)
            await session.merge(plan)

    async def _begin(
        self,
        session: AsyncSession,
        plan: AcmePlan,
        certificate: Certificate,
        content: CertificateContent | None,
        choice: choices.Choice,
    ) -> None:
        order = await orders.begin(session, self.changes.seal, certificate, choice.authority, self.now())
        order.is_rehearsal = choice.is_rehearsal
        is_its_own = choice.authority == choices.issued_by(plan, certificate)
        if content is not None and plan.has_window and content.source == Source.ACME and is_its_own:
            # It belongs to the account that it was issued to (RFC 9773 §5).
            is_others = await was_replaced(session, choice.authority, content.added_at)
            order.replaces = "" if is_others else renewal_id(content.chain.encode())
        # A renewal is asked for whatever this machine sees: it saw the names as it does now when they were proved.
        order.is_asked_for = content is not None or plan.why.startswith(plans.ASKED_FOR)
        session.add(AcmeStep(order_id=order.id or 0, words=f"{orders.ORDERING}{plan.why}"))
        await orders.drop_old(session, certificate.id or 0, self.now())
        plan.due_at, plan.why, plan.authority = None, "", plan.authority if choice.is_rehearsal else choice.authority

    async def _ask(self, url: str, numbers: list[int]) -> None:
        """When the authority suggests to renew these. A failure is one of the authority: the others are asked later, too."""
        for at, number in enumerate(numbers):
            async with self.changes.database.read() as session:
                certificate = await session.get(Certificate, number)
                content = await contents.current(session, number)
            if certificate is None or content is None:
                continue
            try:
                authority = await self.accounts.authority(url, certificate.contact)
                if words := await self.accounts.update_contacts(url, authority):
                    log.info("%s: %s", url, words)
                window = await asyncio.to_thread(authority.renewal_window, content.chain.encode())
            except AuthorityFault as refused:
                log.warning("no renewal information from %s: %s", url, refused)
                self.accounts.drop(url)
                await self._ask_later(numbers[at:])
                return
            async with self.changes.database.write() as session:
                plan = await plans.plan_of(session, number)
                if plan is not None and plan.fingerprint == content.fingerprint:
                    plans.suggest(plan, window, content, self.now())

    async def _ask_later(self, numbers: list[int]) -> None:
        async with self.changes.database.write() as session:
            for plan in (await plans.by_certificate(session)).values():
                if plan.certificate_id in numbers:
                    plan.ask_again_at = self.now() + timedelta(hours=1)


def _is_question(plan: AcmePlan, content: CertificateContent | None, now: datetime) -> bool:
    return content is not None and plan.ask_again_at is not None and plan.ask_again_at <= now


def _is_due(plan: AcmePlan, content: CertificateContent | None, now: datetime) -> bool:
    """The authority is asked first whether it still suggests that, unless somebody asked for it."""
    if plan.due_at is None or plan.due_at > now:
        return False
    return plan.why.startswith(plans.ASKED_FOR) or not _is_question(plan, content, now)
