"""Saves to go back from, and what history says of them."""

from guardpanel.models import Deployment, Policy, VirtualHost
from guardpanel.services import virtual_hosts
from guardpanel.services.history import history
from guardpanel.services.saving import revisions
from guardpanel.services.saving.change import SaveRequest, SaveResult
from guardpanel.services.saving.changes import Changes
from tests.services.saved import host_fields

ADA, VERA = SaveRequest("ada"), SaveRequest("vera")


async def add_host(changes: Changes, *names: str, **others: object) -> SaveResult[VirtualHost]:
    return await virtual_hosts.create(changes, ADA, host_fields(*names, **others))


def number_of(saved: SaveResult[VirtualHost | Policy]) -> int:
    assert saved.value.id is not None
    return saved.value.id


async def newest(changes: Changes) -> int:
    async with changes.database.read() as session:
        return await history.newest(session) or 0


async def page(changes: Changes, **conditions: object) -> list[Deployment]:
    async with changes.database.read() as session:
        return (await revisions.page(session, **conditions)).items  # type: ignore[arg-type]


async def summaries(changes: Changes) -> list[str]:
    return [change.summary for change in await page(changes)]


async def version(changes: Changes, number: int) -> int:
    async with changes.database.read() as session:
        return (await virtual_hosts.find(session, number)).version
