"""What a save asks the database: nothing that the previous save has left, as long as nothing else wrote."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NoReturn

import pytest
from sqlalchemy import event

from guardpanel.errors import RolledBack, Stale, StorageFailed
from guardpanel.models import VirtualHost
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services import virtual_hosts
from guardpanel.services.saving import revisions, snapshots
from guardpanel.services.saving.change import ReadRow
from guardpanel.services.saving.changes import SaveRequest, SaveResult
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")


@pytest.fixture
async def shop(panel: Panel) -> VirtualHost:
    """In a panel that does nothing else: what runs in the background asks the database, and writes, at any time."""
    await panel.background.close()
    fields = {"hostnames": ["shop.test"], "servers": [{"address": "127.0.0.1:3000"}]}
    saved = await virtual_hosts.create(panel.changes, ADA, VirtualHostFields.model_validate(fields))
    return await move(panel, saved.value, 3001)


async def move(panel: Panel, shop: VirtualHost, port: int, request: SaveRequest = ADA) -> VirtualHost:
    fields = virtual_hosts.fields_of(shop)
    servers = [fields.servers[0].model_copy(update={"address": f"127.0.0.1:{port}"})]
    changed = fields.model_copy(update={"servers": servers})
    return (await virtual_hosts.update(panel.changes, request, shop.id or 0, changed)).value


TABLE = re.compile(r"""'"(\w+)":\{"columns":""")


def taken(sent: Sequence[str]) -> list[set[str]]:
    """The tables of which all rows were read, by statement."""
    return [set(TABLE.findall(statement)) for statement in sent if TABLE.search(statement)]


@contextmanager
def statements(panel: Panel) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(" ".join(statement.split()))

    engines = [panel.database.reading.sync_engine, panel.database.writing.sync_engine]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield sent
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


async def test_a_save_after_another_one_reads_neither_the_former_rows_nor_what_is_live(
    panel: Panel, shop: VirtualHost
) -> None:
    with statements(panel) as sent:
        await move(panel, shop, 3002)

    asked_for_attempts = [statement for statement in sent if "deployment.outcome = ?" in statement]
    written = [statement.split()[:3] for statement in sent if statement.startswith(("INSERT", "UPDATE revision"))]
    assert taken(sent) == [{"virtualhost", "server"}] and not asked_for_attempts
    assert written == [["INSERT", "INTO", "revision"], ["INSERT", "INTO", "deployment"]]
    assert len(sent) <= MOST, "\n".join(sent)


MOST = 12
"Of a virtual host with a server that moves."


async def test_notes_are_written_once_after_other_notes_without_reading_what_is_live(
    panel: Panel, shop: VirtualHost
) -> None:
    await note(panel, shop, "Ask Ada")
    with statements(panel) as sent:
        saved = await note(panel, shop, "Ask Bob")

    written = [statement.split()[:2] for statement in sent if statement.startswith(("INSERT", "UPDATE"))]
    assert not saved.is_new and written == [["UPDATE", "virtualhost"], ["INSERT", "INTO"]]
    assert taken(sent) == [{"virtualhost"}]
    assert not [statement for statement in sent if "deployment.outcome" in statement.partition("WHERE")[2]]


async def note(panel: Panel, shop: VirtualHost, notes: str) -> SaveResult[VirtualHost]:
    changed = virtual_hosts.fields_of(shop).model_copy(update={"notes": notes})
    return await virtual_hosts.update(panel.changes, ADA, shop.id or 0, changed)


async def test_a_save_reads_the_former_rows_if_something_else_wrote(panel: Panel, shop: VirtualHost) -> None:
    async with panel.database.reading.begin() as other:
        await other.exec_driver_sql("UPDATE virtualhost SET notes = 'by hand'")
    with statements(panel) as sent:
        await move(panel, shop, 3002)

    assert taken(sent) == [set(snapshots.NAMES), {"virtualhost", "server"}]


async def test_a_save_after_one_that_failed_is_rolled_back_to_what_was_live_before(
    panel: Panel, shop: VirtualHost, engines: FakeEngines
) -> None:
    live = engines.running
    for port in (3002, 3003):
        engines.fail("verify")
        with pytest.raises(RolledBack):
            await move(panel, shop, port)

        assert engines.running == live


async def test_a_save_ends_one_that_could_not_be_recorded_after_others_were(
    panel: Panel, shop: VirtualHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> NoReturn:
        raise StorageFailed("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(panel.changes.deployments, "_conclude", full)
        with pytest.raises(StorageFailed):
            await move(panel, shop, 3002)
    await move(panel, shop, 3003)

    async with panel.database.read() as session:
        assert not await revisions.open_deployments(session)


async def as_read(panel: Panel, shop: VirtualHost) -> tuple[SaveRequest, int]:
    """And the row's version."""
    before = panel.database.version()
    async with panel.database.read() as session:
        row = await virtual_hosts.find(session, shop.id or 0)
    return replace(ADA, read=ReadRow(row, before)), row.version


async def test_a_row_that_was_read_for_a_change_is_not_read_again(panel: Panel, shop: VirtualHost) -> None:
    request, version = await as_read(panel, shop)
    with statements(panel) as sent:
        saved = await move(panel, shop, 3002, request)

    assert not [statement for statement in sent if "FROM virtualhost" in statement and not taken([statement])]
    assert len(sent) <= MOST - 3, "\n".join(sent)
    async with panel.database.read() as session:
        stored = await virtual_hosts.find(session, shop.id or 0)
    for row in (saved, stored):
        assert (row.version, row.servers[0].address) == (version + 1, "127.0.0.1:3002")


async def test_a_row_is_read_again_if_anything_was_written_since(panel: Panel, shop: VirtualHost) -> None:
    request, version = await as_read(panel, shop)
    await move(panel, shop, 3002)
    assert (await move(panel, shop, 3003, request)).version == version + 2

    with pytest.raises(Stale):
        await virtual_hosts.update(panel.changes, request, shop.id or 0, virtual_hosts.fields_of(shop), version)


async def beside(panel: Panel, statement: str) -> None:
    async with panel.database.write() as session:
        await (await session.connection()).exec_driver_sql(statement)


async def test_rows_written_beside_saves_are_read_by_the_next_one(panel: Panel, shop: VirtualHost) -> None:
    await beside(panel, "UPDATE policy SET description = 'by another task'")
    with statements(panel) as sent:
        await move(panel, shop, 3002)

    assert taken(sent) == [set(snapshots.NAMES), {"virtualhost", "server"}]


async def test_facts_written_beside_saves_are_those_of_the_next_one(panel: Panel, shop: VirtualHost) -> None:
    await note(panel, shop, "Ask Ada")
    with statements(panel) as sent:
        await note(panel, shop, "Ask Bob")
    assert not [statement for statement in sent if "FROM installation" in statement]

    await beside(panel, "UPDATE installation SET value = 'another' WHERE name = 'probe_secret'")
    await note(panel, shop, "Ask Ada")

    assert panel.changes.renderer.facts.secret == "another"


async def test_notes_are_not_questioned_as_what_visitors_meet_is(panel: Panel, shop: VirtualHost) -> None:
    ready = await virtual_hosts.ROWS.read(virtual_hosts.ROWS.values_of(shop) | {"notes": "Ask Ada"})
    with statements(panel) as sent:
        await virtual_hosts.update(panel.changes, ADA, shop.id or 0, ready)

    assert not [statement for statement in sent if "FROM pathbinding" in statement and not taken([statement])]
