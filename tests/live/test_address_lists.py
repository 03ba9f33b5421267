"""Address lists, saved and in the real HAProxy: live without a reload, whatever happens meanwhile."""

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event

from guardpanel.access import lines
from guardpanel.engines.haproxy.map_commands import MapCommands
from guardpanel.errors import NeedsConfirmation
from guardpanel.models.access.address_list import AddressListInput
from guardpanel.models.access.ban import BanFields
from guardpanel.services import address_lists, virtual_hosts
from guardpanel.services.access.bans import Bans
from guardpanel.services.access.list_edits import adding, removing, replacing
from guardpanel.services.history import history
from guardpanel.services.saving.changes import SaveRequest
from tests.faults import Faults
from tests.live.origins import Origin
from tests.live.saves import Installation, a_virtual_host, installation_of, until
from tests.live.stack import DEADLINE
from tests.live.wire import head

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada@example.org", client="192.0.2.200")


@pytest.fixture
async def here(haproxy: str, server: Origin) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as made:
        host = a_virtual_host(int(server.address.rpartition(":")[2]), health_check=False)
        await virtual_hosts.create(made.changes, ADA, host)
        yield made


def status(here: Installation, peer: str, target: str = "/") -> int:
    """That a visitor with this address gets."""
    request = head("GET", "shop.example", target, {"user-agent": "Mozilla/5.0", "accept": "*/*"})
    with socket.create_connection(here.settings.http_binds[0], DEADLINE, source_address=(peer, 0)) as connection:
        connection.sendall(request)
        return int(connection.recv(65536).split(b" ")[1])


async def a_list(here: Installation, entries: str, **others: object) -> int:
    fields = AddressListInput.model_validate({"name": "Scanners", "entries": entries, **others})
    return (await address_lists.create(here.changes, ADA, fields)).value.id or 0


async def worker(here: Installation) -> tuple[int, ...]:
    return (await here.engines.cli.processes()).workers


async def test_entries_go_live_without_a_reload_and_stay_over_one(here: Installation) -> None:
    number = await a_list(here, "127.9.0.1")
    before = await worker(here)
    assert [status(here, peer) for peer in ("127.9.0.1", "127.9.1.7", "127.0.0.1")] == [403, 200, 200]

    added = await address_lists.ROWS.edit(here.changes, ADA, number, adding("127.9.1.0/24  # all"))
    assert [status(here, peer) for peer in ("127.9.0.1", "127.9.1.7")] == [403, 403]
    await address_lists.ROWS.edit(here.changes, ADA, number, removing(["127.9.0.1"]))
    assert [status(here, peer) for peer in ("127.9.0.1", "127.9.1.7")] == [200, 403]
    many = "\n".join(f"127.8.{at // 250}.{at % 250}" for at in range(2000))
    last = await address_lists.ROWS.edit(here.changes, ADA, number, adding(many))
    assert [status(here, peer) for peer in ("127.8.7.9", "127.9.1.7", "127.9.0.1")] == [403, 403, 200]
    assert await worker(here) == before
    assert [step.name for step in added.steps if step.name in {"swap", "reload"}] == ["swap"]

    assert await here.look() == []
    await here.engines.reload_again()
    assert await worker(here) != before
    assert [status(here, peer) for peer in ("127.8.7.9", "127.9.1.7", "127.9.0.1")] == [403, 403, 200]

    await history.undo(here.changes, ADA, last.change_id)
    assert [status(here, peer) for peer in ("127.9.0.1", "127.9.1.7", "127.8.7.9")] == [200, 403, 200]


async def test_a_list_that_allows_only_some_rejects_all_others(here: Installation) -> None:
    office = {"name": "Office", "kind": "only", "paths": ["/office"]}
    with pytest.raises(NeedsConfirmation, match=r"Your own address, 192\.0\.2\.200, is not in this list"):
        await a_list(here, "127.9.0.0/16", **office)
    number = await a_list(here, "127.9.0.0/16", **office, save_anyway=True)

    def seen() -> list[int]:
        asked = (
            ("127.9.0.1", "/%6fffice"),
            ("127.8.0.1", "/%6fffice"),
            ("127.8.0.1", "/x/..;/office"),
            ("127.8.0.1", "/"),
        )
        return [status(here, *each) for each in asked]

    assert seen() == [200, 403, 403, 200]
    before = await worker(here)
    added = await address_lists.ROWS.edit(here.changes, ADA, number, adding("127.8.0.1"))
    assert seen()[:2] == [200, 200]
    assert await worker(here) == before
    await history.undo(here.changes, ADA, added.change_id)
    await here.engines.reload_again()
    assert seen() == [200, 403, 403, 200]

    with pytest.raises(NeedsConfirmation, match="Without entries, it rejects all requests"):
        await address_lists.ROWS.edit(here.changes, ADA, number, removing(["127.9.0.0/16"]))
    await address_lists.ROWS.edit(here.changes, ADA, number, removing(["127.9.0.0/16"]), confirmed=True)
    assert seen() == [403, 403, 403, 200]


async def test_an_address_that_the_former_and_the_new_entries_have_is_at_no_time_without_one(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = {"name": "Office", "kind": "only", "paths": ["/office"], "save_anyway": True}
    number = await a_list(here, "127.9.0.0\n127.9.0.1\n127.9.1.0/24", **office)
    change, between = MapCommands._change, []

    async def watched(cli: MapCommands, command: str) -> None:
        await change(cli, command)
        between.append([status(here, peer, "/office") for peer in ("127.9.0.0", "127.9.0.1", "127.9.1.7")])

    monkeypatch.setattr(MapCommands, "_change", watched)
    before = await worker(here)
    for entries in ("127.9.0.0/23", "127.9.0.0/23 until 2099-01-01\n127.9.0.0", "127.9.0.0/24\n127.9.1.0/25"):
        await address_lists.ROWS.edit(here.changes, ADA, number, replacing(entries), confirmed=True)

    assert between == [[200, 200, 200]] * len(between) and len(between) > 8
    assert await worker(here) == before


async def test_a_list_that_was_changed_through_the_runtime_api_is_drift_and_no_swap_builds_on_it(
    here: Installation,
) -> None:
    number = await a_list(here, "127.9.0.1\n127.9.0.2")
    at = (await here.engines.cli.map_states())["lists/1.map"].number
    await here.engines.cli.put_in_map(at, "127.7.7.7", "9999999999", is_there=False)

    assert await here.look() == [
        "HAProxy has 3 entries of lists/1.map, and the file has 2. It was probably changed through the Runtime API."
    ]

    over = SaveRequest("ada@example.org", over_drift=True)
    before = await worker(here)
    await address_lists.ROWS.edit(here.changes, over, number, adding("127.9.0.3"))
    assert [status(here, peer) for peer in ("127.7.7.7", "127.9.0.1", "127.9.0.3")] == [200, 403, 403]
    assert await worker(here) != before, "a reload overwrites all that may have been changed by hand"
    assert await here.look() == []


class Killed(BaseException):
    """Nothing of ours catches it, as nothing runs after a SIGKILL."""


@pytest.mark.one_haproxy
async def test_entries_of_a_save_that_was_interrupted_before_its_swap_are_loaded(
    here: Installation, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    faults.expect()
    number = await a_list(here, "127.9.0.1")

    async def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(here.engines.publisher.maps, "swap", killed)
        with pytest.raises(Killed):
            await address_lists.ROWS.edit(here.changes, ADA, number, adding("127.9.0.2"))
    assert [status(here, peer) for peer in ("127.9.0.1", "127.9.0.2")] == [403, 200]

    await here.changes.settle()

    assert [status(here, peer) for peer in ("127.9.0.1", "127.9.0.2")] == [403, 403]
    assert await here.look() == []


async def test_an_ipv6_network_goes_without_a_reload_though_haproxy_finds_the_ipv4_one_within(
    here: Installation,
) -> None:
    number = await a_list(here, "198.51.100.0/24\n2002:c633:6400::/40\n0.0.0.0/8\n::1:0/112", save_anyway=True)
    before = await worker(here)

    await address_lists.ROWS.edit(here.changes, ADA, number, removing(["2002:c633:6400::/40", "::1:0/112"]))

    assert await worker(here) == before
    at = (await here.engines.cli.map_states())["lists/1.map"].number
    content = (here.settings.data_dir / "current" / "lists" / "1.map").read_bytes()
    for address in ("::1", "::1:1", "2002:c633:6407::1", "::c633:6407", "64:ff9b::c633:6407", "2002:c633:6307::1"):
        assert await here.engines.cli.look_up(at, address) == lines.deciding(content, address)


@pytest.mark.one_haproxy
async def test_nobody_locks_himself_out_by_accident(here: Installation) -> None:
    fields = AddressListInput(name="All", entries="192.0.2.0/24\n127.0.0.0/8")
    with pytest.raises(NeedsConfirmation) as question:
        await address_lists.create(here.changes, ADA, fields)

    assert "192.0.2.0/24 contains 192.0.2.200, your own address." in question.value.message
    assert "127.0.0.0/8 contains 127.0.0.1, this machine (loopback)." in question.value.message
    confirmed = fields.model_copy(update={"save_anyway": True})
    assert (await address_lists.create(here.changes, ADA, confirmed)).value.reference.total == 2
    assert status(here, "127.0.0.1") == 403
    assert await here.look() == []


class Work:
    """What is written to the database, and what HAProxy is told, in bytes."""

    def __init__(self, here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements, self.parameters, self.commands = 0, 0, 0
        once = here.engines.cli._once

        async def counted(command: str) -> str:
            answer = await once(command)
            self.commands += len(command) * (" map " in command)  # One without an answer is sent again.
            return answer

        monkeypatch.setattr(here.engines.cli, "_once", counted)
        for engine in (here.changes.database.reading, here.changes.database.writing):
            event.listen(engine.sync_engine, "before_cursor_execute", self._count)

    def _count(self, _connection: object, _cursor: object, _statement: str, parameters: Any, *_: object) -> None:
        self.statements += 1
        self.parameters += sum(len(value) for value in parameters if isinstance(value, memoryview | str))

    def take(self) -> tuple[int, int, int]:
        taken = self.statements, self.parameters, self.commands
        self.statements = self.parameters = self.commands = 0
        return taken


@pytest.mark.one_haproxy
async def test_one_entry_more_and_a_ban_take_as_much_beside_twenty_times_as_many(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def has_no_old_worker() -> bool:
        return not (await here.engines.cli.processes()).old_workers

    taken, bans = [], Bans(here.changes.database, here.engines.bans)
    for total in (1_000, 20_000):
        many = "\n".join(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}" for at in range(0, 2 * total, 2))
        number = await a_list(here, many, name=f"Of {total}")
        await address_lists.ROWS.edit(here.changes, ADA, number, adding("192.0.2.1"))
        await until(has_no_old_worker, "no old worker to be left, whose maps are looked at, too")
        with monkeypatch.context() as patched:
            work = Work(here, patched)
            await address_lists.ROWS.edit(here.changes, ADA, number, adding("192.0.2.2"))
            an_entry = work.take()
            assert (
                await bans.add(here.changes, BanFields(network=f"192.0.2.{total // 1_000}"), who="ada", client="")
            ).is_live
            taken.append((an_entry, work.take()))

    for short, long in zip(*taken, strict=True):
        assert long[0] == short[0]
        assert long[1:] == pytest.approx(short[1:], rel=0.2)
    assert await here.look() == []
