"""An installation that orders certificates from pebble."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.dns_updates import only_itself
from guardpanel.acme.preflight import Caa, Network
from guardpanel.certificates import contents
from guardpanel.models import AcmePlan, Certificate, CertificateContent
from guardpanel.models.certificates.certificate import CertificateFields
from guardpanel.services.issuing import orders, plans
from guardpanel.services.issuing.accounts import Accounts
from guardpanel.services.issuing.checks import Checks
from guardpanel.services.issuing.issuer import Issuer
from guardpanel.services.issuing.orders import OrderLog
from guardpanel.services.issuing.proofs import Proving
from guardpanel.services.saving.change import Change
from guardpanel.services.saving.changes import SaveRequest
from tests.acme.authority import Knot, Pebble
from tests.live.saves import Installation


class Clock:
    """The time of day, and what a test adds to it."""

    ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Issuing:
    """An installation with its worker, which a test drives."""

    def __init__(self, installation: Installation, pebble: Pebble, knot: Knot) -> None:
        self.installation, self.pebble, self.knot, self.clock = installation, pebble, knot, Clock()
        self.changes = installation.changes
        self.unknown: set[str] = set()
        self.caa: dict[str, list[Caa]] = {}
        self.restart()

    def restart(self) -> None:
        """A new worker: what the last one knew is in the database."""
        settings, thumbprint_for = self.installation.settings, self.changes.renderer.thumbprint_for
        accounts = Accounts(self.changes.database, self.changes.seal, str(self.pebble.ca_file))
        proving = Proving(settings, self.installation.engines, thumbprint_for, only_itself)
        port = self.installation.settings.http_binds[0][1]
        network = Network(self.addresses, lambda name: self.caa.get(name, []), port)
        self.issuer = Issuer(self.changes, Checks(accounts, proving, network), self.clock)

    def addresses(self, name: str) -> list[str]:
        return [] if name in self.unknown else ["127.0.0.1"]

    async def add(self, *names: str, **others: Any) -> int:
        fields = CertificateFields.model_validate(
            {
                "name": names[0],
                "source": "acme",
                "names": list(names),
                "authority": self.pebble.url,
                "profile": "default",
            }
            | others
        )

        async def mutate(session: AsyncSession) -> int:
            row = Certificate().replace(fields)
            session.add(row)
            await session.flush()
            return row.id or 0

        return (await self.changes.save(Change(SaveRequest("ada"), "Added", "certificate"), mutate)).value

    async def edit(self, number: int, **changes: Any) -> None:
        async def mutate(session: AsyncSession) -> None:
            row = await session.get_one(Certificate, number)
            for name, value in changes.items():
                setattr(row, name, value)
            row.version += 1

        await self.changes.save(Change(SaveRequest("ada"), "Edited", "certificate", number), mutate)

    async def remove(self, number: int) -> None:
        async def mutate(session: AsyncSession) -> None:
            await session.delete(await session.get_one(Certificate, number))

        await self.changes.save(Change(SaveRequest("ada"), "Deleted", "certificate", number), mutate)

    async def content(self, number: int) -> CertificateContent | None:
        async with self.changes.database.read() as session:
            return await contents.current(session, number)

    async def logs(self, number: int) -> list[OrderLog]:
        async with self.changes.database.read() as session:
            return await orders.logs(session, number)

    async def words(self, number: int) -> list[str]:
        """The steps of the newest order."""
        return [step.words for step in (await self.logs(number))[0].steps]

    async def look_in(self, ahead: timedelta) -> None:
        """As if this time had passed."""
        self.clock.ahead = ahead
        await self.issuer.look()
        self.clock.ahead = timedelta(0)

    async def plan(self, number: int) -> AcmePlan:
        async with self.changes.database.read() as session:
            plan = await plans.plan_of(session, number)
        assert plan is not None
        return plan
