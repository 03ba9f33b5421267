"""The worker without engines, and an authority that issues at once unless it is told to fail. What the worker makes of
failures is tested with it; what authorities really answer, with pebble."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from acme import messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.client import RenewalWindow, Terms
from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.order import Order, Record
from guardpanel.acme.preflight import Finding
from guardpanel.certificates import contents
from guardpanel.models import AcmePlan, Certificate, CertificateContent
from guardpanel.models.certificates.certificate import CertificateFields
from guardpanel.panel import Panel
from guardpanel.services.issuing import orders, plans
from guardpanel.services.issuing.checks import Checks
from guardpanel.services.issuing.issuer import Issuer
from guardpanel.services.issuing.orders import OrderLog
from guardpanel.services.saving.change import Change
from guardpanel.services.saving.changes import SaveRequest
from tests.certificates.made import DAY, intermediate

FIRST = "https://first.test/dir"


def refusal(kind: FaultKind, message: str = "No.", **others: Any) -> AuthorityFault:
    return AuthorityFault(Fault(kind, message, **others))


@dataclass
class Scripted:
    """Each method raises what `faults` has for it, once each."""

    url: str
    now: Callable[[], datetime]
    faults: dict[str, deque[Exception]] = field(default_factory=lambda: defaultdict(deque))
    calls: Counter[str] = field(default_factory=Counter)
    orders: dict[str, messages.Order] = field(default_factory=dict)
    issued: dict[str, str] = field(default_factory=dict)
    names: Sequence[str] | None = None
    "In the certificate, in place of those that were ordered."

    def fail(self, method: str, *faults: Exception) -> None:
        self.faults[method].extend(faults)

    def _note(self, method: str) -> None:
        self.calls[method] += 1
        if self.faults[method]:
            raise self.faults[method].popleft()

    def terms(self) -> Terms:
        return Terms({"default": ""}, False, "", (), False)

    def new_order(self, names: Sequence[str], profile: str = "", replaces: str = "") -> str:
        self._note("new_order")
        url = f"{self.url}/order/{self.calls['new_order']}"
        self.orders[url] = messages.Order(status=messages.STATUS_READY, authorizations=(), finalize=url)
        return url

    def order(self, url: str) -> messages.Order:
        self._note("order")
        return self.orders[url]

    def finalize(self, order: messages.Order, csr: bytes) -> None:
        self._note("finalize")
        self.issued[order.finalize] = issued(csr, self.names)
        self.orders[order.finalize] = order.update(status=messages.STATUS_VALID, certificate=order.finalize)

    def chains(self, url: str, *, with_others: bool = False) -> list[str]:
        self._note("chains")
        return [self.issued[url]]

    def relinquish(self, order_url: str) -> None:
        self._note("relinquish")

    def revoke(self, pem: bytes, reason: int) -> None:
        self._note("revoke")

    def renewal_window(self, pem: bytes) -> RenewalWindow | None:
        self._note("renewal_window")
        return None

    def seconds_to_wait(self) -> float:
        return 0.0


def issued(csr: bytes, names: Sequence[str] | None) -> str:
    """By the tests' intermediate."""
    request, by = x509.load_pem_x509_csr(csr), intermediate()
    requested = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    alternative = requested if names is None else x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    moment = datetime.now(UTC)
    builder = x509.CertificateBuilder(by.certificate.subject, x509.Name([]), request.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(alternative, critical=False)
    builder = builder.not_valid_before(moment - DAY).not_valid_after(moment + 89 * DAY)
    return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode() + by.pem


@dataclass
class Records:
    """A name server that has every record at once."""

    present: set[Record] = field(default_factory=set)

    def add(self, records: Sequence[Record]) -> None:
        self.present |= {*records}

    def lagging(self, records: Sequence[Record]) -> str:
        return ""

    def remove(self, records: Sequence[Record]) -> None:
        self.present -= {*records}


class Worker:
    """The issuer of a panel, with a clock, and with authorities by their URL."""

    def __init__(self, panel: Panel) -> None:
        self.panel, self.ahead, self.records = panel, timedelta(0), Records()
        self.authorities: dict[str, Scripted] = {}
        self.findings: list[Finding] = []
        self.contact_words = ""
        "What becomes of the account's email addresses."
        accounts = SimpleNamespace(
            authority=self._authority,
            another=self._another,
            drop=lambda url: None,
            forget=self._forget,
            update_contacts=self._update_contacts,
            thumbprint_at=self._thumbprint_at,
        )
        proving = SimpleNamespace(
            proofs=lambda order: self.records, prepare=self._prepare, thumbprint_for=lambda name: ""
        )
        checks: Any = _Checks(accounts, proving)  # type: ignore[arg-type]
        object.__setattr__(checks, "worker", self)
        self.issuer = Issuer(panel.changes, checks, self.now)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def at(self, url: str = FIRST) -> Scripted:
        return self.authorities.setdefault(url, Scripted(url, self.now))

    async def _authority(self, url: str, contact: str = "") -> Scripted:
        self.at(url)._note("authority")
        return self.at(url)

    async def _another(self, url: str, contact: str = "") -> Scripted:
        self.at(url)._note("another")
        return self.at(url)

    async def _update_contacts(self, url: str, client: Scripted) -> str:
        client._note("update_contacts")
        return self.contact_words

    async def _forget(self, url: str) -> None:
        self.at(url).calls["forget"] += 1

    async def _thumbprint_at(self, url: str) -> str:
        return ""

    async def _prepare(self, order: Order, thumbprint: str) -> None:
        pass

    async def add(self, *names: str, **others: Any) -> int:
        given = {"name": "Shop", "source": "acme", "names": list(names or ("shop.example",)), "authority": FIRST}
        fields = CertificateFields.model_validate(given | others)

        async def mutate(session: AsyncSession) -> int:
            row = Certificate().replace(fields)
            session.add(row)
            await session.flush()
            return row.id or 0

        return (await self.panel.changes.save(Change(SaveRequest("ada"), "Added", "certificate"), mutate)).value

    async def edit(self, number: int, **fields: Any) -> None:
        """By a save. What is changed in the database alone is drift: once that is seen, no certificate is put into use."""

        async def mutate(session: AsyncSession) -> None:
            row = await session.get_one(Certificate, number)
            for name, value in fields.items():
                setattr(row, name, value)
            row.version += 1

        await self.panel.changes.save(Change(SaveRequest("ada"), "Edited", "certificate", number), mutate)

    async def look(self, ahead: timedelta = timedelta(0)) -> None:
        """After this time has passed, too."""
        self.ahead += ahead
        await self.issuer.look()

    async def until_due(self, number: int) -> None:
        """To the moment of the next order."""
        plan = await self.plan(number)
        assert plan.due_at is not None, plan.why
        self.ahead += max(timedelta(0), plan.due_at - self.now()) + timedelta(seconds=1)
        await self.issuer.look()

    async def plan(self, number: int) -> AcmePlan:
        async with self.panel.database.read() as session:
            plan = await plans.plan_of(session, number)
        assert plan is not None
        return plan

    async def logs(self, number: int) -> list[OrderLog]:
        async with self.panel.database.read() as session:
            return await orders.logs(session, number, 20)

    async def log(self, number: int) -> OrderLog:
        return (await self.logs(number))[0]

    async def words(self, number: int) -> list[str]:
        return [step.words for step in (await self.log(number)).steps]

    async def content(self, number: int) -> CertificateContent | None:
        async with self.panel.database.read() as session:
            return await contents.current(session, number)


class _Checks(Checks):
    worker: Worker

    async def findings(self, order: Order, authority: str) -> list[Finding]:
        return self.worker.findings

    async def first_look(self, names: Sequence[str], authority: str, *, by_dns: bool) -> list[Finding]:
        return self.worker.findings
