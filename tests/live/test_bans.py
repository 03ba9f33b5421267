"""Bans in the real HAProxy: live at once, over a reload, a restart of HAProxy and one of the panel, and gone when lifted."""

import asyncio
import os
import re
import signal
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.runtime.outside_map import OutsideMap
from guardpanel.errors import EngineUnavailable, NeedsConfirmation, NotFound
from guardpanel.models.access.address_list import AddressListInput
from guardpanel.models.access.ban import BanFields, BanLength
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.services import address_lists, policies, virtual_hosts
from guardpanel.services.access import access_checks, limit_checks
from guardpanel.services.access.bans import Bans
from guardpanel.services.access.limit_tables import limit_tables
from guardpanel.services.events import Events
from guardpanel.services.saving.changes import SaveRequest
from tests.live.origins import Origin
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.live.stack import DEADLINE, wait_until
from tests.live.wire import head

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada@example.org", client="192.0.2.200")
BANNED, OTHER = "127.9.0.1", "127.9.0.2"


@pytest.fixture
async def here(haproxy: str, server: Origin) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as made:
        host = a_virtual_host(int(server.address.rpartition(":")[2]), health_check=False)
        await virtual_hosts.create(made.changes, ADA, host)
        yield made


def bans_of(here: Installation) -> Bans:
    """As a panel has them that has just started."""
    return Bans(here.changes.database, OutsideMap(here.settings.bans_map, here.engines.cli))


async def ban(here: Installation, bans: Bans, network: str, **others: object) -> int:
    fields = BanFields.model_validate({"network": network, **others})
    outcome = await bans.add(here.changes, fields, who=ADA.who, client=ADA.client)
    assert outcome.is_live
    return outcome.ban.id or 0


def status(here: Installation, peer: str, **headers: str) -> int:
    request = head("GET", "shop.example", "/", {"user-agent": "Mozilla/5.0", "accept": "*/*", **headers})
    with socket.create_connection(here.settings.http_binds[0], DEADLINE, source_address=(peer, 0)) as connection:
        connection.sendall(request)
        return int(connection.recv(65536).split(b" ")[1])


def statuses(here: Installation) -> list[int]:
    return [status(here, BANNED), status(here, OTHER)]


async def test_a_ban_is_live_at_once_and_outlives_everything(here: Installation) -> None:
    bans = bans_of(here)
    processes = await here.engines.cli.processes()
    number = await ban(here, bans, BANNED, length="7d", reason="scans")
    assert statuses(here) == [403, 200]
    assert (await here.engines.cli.processes()).workers == processes.workers  # Without a reload.
    assert await here.look() == []  # It is no drift.

    await here.engines.reload_again()
    assert statuses(here) == [403, 200]

    os.kill(processes.master, signal.SIGKILL)
    async with asyncio.timeout(DEADLINE):
        while await _master(here) in {0, processes.master} or not _answers(here):
            await asyncio.sleep(0.02)
    assert statuses(here) == [403, 200]

    again = await Bans.opened(bans.database, bans.map)  # The panel was restarted.
    await again.look()
    assert statuses(here) == [403, 200]

    assert (await again.lift(number, who="eve")).is_live
    assert statuses(here) == [200, 200]
    assert here.settings.bans_map.read_bytes() == b""


async def test_what_the_map_lost_is_mended_and_what_others_put_there_is_taken_out(here: Installation) -> None:
    bans = bans_of(here)
    await ban(here, bans, BANNED, length=BanLength.FOREVER)
    cli = here.engines.cli
    at = (await cli.map_states())[str(here.settings.bans_map)].number
    await cli.take_out_of_map(at, BANNED)
    await cli.put_in_map(at, OTHER, "9999999999", is_there=False)
    assert statuses(here) == [200, 403]

    await bans.look()  # The count is right: what it looks up is not.
    assert statuses(here) == [403, 200]


async def test_a_ban_within_another_one_ends_for_itself_alone(here: Installation) -> None:
    bans = bans_of(here)
    soon = datetime.now(UTC) + timedelta(hours=1)
    wide = await ban(here, bans, "127.9.0.0/24", length="7d")
    inner = await ban(here, bans, BANNED, length="until", until=soon.isoformat())
    assert statuses(here) == [403, 403]

    await bans.lift(inner, who="eve")
    assert statuses(here) == [403, 403]
    inner = await ban(here, bans, BANNED, length="1h")
    await bans.lift(wide, who="eve")
    assert statuses(here) == [403, 200]
    assert await bans.lift_network(BANNED, who="eve")
    assert statuses(here) == [200, 200]


async def test_why_an_address_is_rejected_is_asked_of_haproxy(here: Installation) -> None:
    bans, database = bans_of(here), here.changes.database
    events = Events(here.settings, database)
    for name, kind, entries in (("Office", "allow", "127.9.0.8"), ("Scanners", "deny", "127.9.0.0/24  # all of it")):
        fields = AddressListInput.model_validate({"name": name, "kind": kind, "entries": entries})
        await address_lists.create(here.changes, ADA, fields)
    only = {"name": "Staff", "kind": "only", "paths": ["/staff"], "entries": "127.9.0.0/16", "save_anyway": True}
    await address_lists.create(here.changes, ADA, AddressListInput.model_validate(only))
    await ban(here, bans, "127.9.0.0/28", length="1h", reason="scans")
    await ban(here, bans, "127.9.1.1", length="forever")

    async def why(address: str) -> tuple[str, list[int]]:
        async with database.read() as session:
            answer = await access_checks.why(session, here.engines, events, address, here.settings.geo_dir)
        decision = answer.decides
        what = "nothing" if decision is None else decision.listed.name if decision.listed else "ban"
        return f"{what} {decision.network if decision else ''}", [len(answer.allow), len(answer.bans), len(answer.deny)]

    assert await why("127.9.0.1") == ("ban 127.9.0.0/28", [0, 1, 1])
    assert await why("127.9.0.8") == ("Office 127.9.0.8", [1, 1, 1])
    assert await why("127.9.0.77") == ("Scanners 127.9.0.0/24", [0, 0, 1])
    assert await why("::ffff:127.9.1.1") == ("ban 127.9.1.1", [0, 1, 0])
    assert await why("127.9.2.1") == ("nothing ", [0, 0, 0])
    assert await why("127.8.0.1") == ("nothing ", [0, 0, 1])  # Not on the list, which is for a path.
    async with database.read() as session:
        answer = await access_checks.why(session, here.engines, events, "127.8.0.1", here.settings.geo_dir)
    assert [(finding.network, finding.is_absence, answer.is_denied_in_part) for finding in answer.deny] == [
        ("127.8.0.1", True, True)
    ]
    assert [status(here, f"127.9.{end}") for end in ("0.1", "0.8", "0.77", "1.1", "2.1")] == [403, 200, 403, 403, 200]
    await events.close()


async def test_a_client_over_a_limit_is_forgiven_whatever_its_key(here: Installation) -> None:
    """Each on a key of its own kind, beside a neighbor that stays where it is."""
    cli, kinds = here.engines.cli, {"client": "", "network": "", "path": "", "header": "X-API-Key", "cookie": "session"}
    for number, (by, name) in enumerate(kinds.items()):
        again, neighbor = f"127.8.{number}.1", f"127.9.{number}.1"
        limits: dict[str, Any] = {"client_limits": True, "rate_limit_requests": 2, "rate_limit_window_seconds": 3600}
        fields = PolicyFields.model_validate(
            {"name": "Limited", "enforcement_mode": "block", "limit_by": by, "limit_by_name": name, **limits}
        )
        await policies.update(here.changes, ADA, 1, fields)
        for peer in (again, neighbor):
            assert [status(here, peer) for _ in range(3)] == [200, 200, 429], by

        async with here.changes.database.read() as session:
            (limit,) = await limit_checks.used(session, cli, again)
            assert (limit.is_over, limit.requests) == (True, 2), by
            await limit_checks.forgive(session, cli, 1, again)
            assert not any(limit.is_over for limit in await limit_checks.used(session, cli, again)), by
            with pytest.raises(NotFound):
                await limit_checks.forgive(session, cli, 1, "127.7.0.1")

        assert [status(here, again) for _ in range(3)] == [200, 200, 429], by
        assert status(here, neighbor) == 429, by
        value = {name: "abc"} if by == "header" else {"cookie": f"{name}=abc"}
        if name:
            await forgiven_by_value(here, value)
    (table,) = await limit_tables(cli)
    assert table.seconds == 3600
    assert 2 <= table.used <= 2 * len(kinds)  # After each save, what a reload kept.
    assert (table.size, table.most_mb) == (100_000, 33.0) and table.used_mb < 0.01


async def forgiven_by_value(here: Installation, value: dict[str, str]) -> None:
    """Of a header or cookie, which a client's addresses share: HAProxy's log names the count of a rejected request."""
    client, other = "127.6.0.1", {name: text.replace("abc", "xyz") for name, text in value.items()}

    def rejected() -> list[str]:
        return re.findall(
            f'"client":"{client}".*"limit_key":"(1:by-?[0-9]+)"', (here.settings.log_dir / "access.json").read_text()
        )

    before = len(rejected())
    for headers in (other, value):
        assert [status(here, client, **headers) for _ in range(3)] == [200, 200, 429]
    await asyncio.to_thread(wait_until, lambda: len(rejected()) >= before + 2, "HAProxy writes its log")
    met = limit_checks.Met(1, rejected()[-1])
    async with here.changes.database.read() as session:
        limits = await limit_checks.used(session, here.engines.cli, client, met)
        assert [(limit.key, limit.is_over) for limit in limits] == [(met.key, True)]
        await limit_checks.forgive(session, here.engines.cli, 1, client, met)
    assert [status(here, client, **headers) for headers in (value, other)] == [200, 429]


@pytest.mark.one_haproxy
async def test_while_haproxy_is_down_a_ban_waits_and_the_own_address_asks(here: Installation) -> None:
    bans = bans_of(here)
    with pytest.raises(NeedsConfirmation, match=r"192.0.2.0/24 contains 192.0.2.200, your own address."):
        await bans.add(here.changes, BanFields(network="192.0.2.0/24"), who=ADA.who, client=ADA.client)
    nobody = MasterCli(here.settings.run_dir / "nobody.sock")
    elsewhere = Bans(here.changes.database, OutsideMap(here.settings.bans_map, nobody))

    outcome = await elsewhere.add(here.changes, BanFields(network=BANNED), who=ADA.who, client=ADA.client)

    assert not outcome.is_live
    assert here.settings.bans_map.read_text().startswith(f"{BANNED} ")
    assert statuses(here) == [200, 200]
    await bans.look()
    assert statuses(here) == [403, 200]


async def _master(here: Installation) -> int:
    """Its process. 0 while there is none."""
    try:
        return (await here.engines.cli.processes()).master
    except EngineUnavailable:
        return 0


def _answers(here: Installation) -> bool:
    try:
        return status(here, OTHER) == 200
    except OSError:
        return False
