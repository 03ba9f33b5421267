"""A list that a feed fills, in the real HAProxy: live without a reload, over a reload, and mended."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from guardpanel.background import Background
from guardpanel.feed_reach import FeedReach
from guardpanel.models.access.address_list import AddressListInput
from guardpanel.services import address_lists, virtual_hosts
from guardpanel.services.access import access_checks
from guardpanel.services.access.feeds import Feeds
from guardpanel.services.events import Events
from guardpanel.services.saving.changes import SaveRequest
from tests.lapi import KEY, lapi
from tests.live.origins import Origin
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.live.stack import DEADLINE
from tests.live.wire import head

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada@example.org", client="192.0.2.200")
LISTED, OTHER = "127.9.0.1", "127.9.1.7"


@pytest.fixture
async def here(haproxy: str, server: Origin) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as made:
        host = a_virtual_host(int(server.address.rpartition(":")[2]), health_check=False)
        await virtual_hosts.create(made.changes, ADA, host)
        yield made


def statuses(here: Installation) -> list[int]:
    request = head("GET", "shop.example", "/", {"user-agent": "Mozilla/5.0", "accept": "*/*"})
    answered = []
    for peer in (LISTED, OTHER):
        with socket.create_connection(here.settings.http_binds[0], DEADLINE, source_address=(peer, 0)) as connection:
            connection.sendall(request)
            answered.append(int(connection.recv(65536).split(b" ")[1]))
    return answered


async def test_a_feed_fills_a_list_without_a_reload_and_is_mended(here: Installation, tmp_path: Path) -> None:
    source = tmp_path / "drop.txt"
    source.write_text(f"{LISTED}\n")
    feeds = Feeds(here.changes, here.engines.feeds, FeedReach((), tmp_path))
    fields = AddressListInput.model_validate({"name": "Feed", "filled_from": "url", "feed_url": f"file://{source}"})
    number = (await address_lists.create(here.changes, ADA, fields)).value.id or 0
    workers = (await here.engines.cli.processes()).workers
    assert statuses(here) == [200, 200]

    await asyncio.gather(*await feeds.begin_due(Background()))
    assert statuses(here) == [200, 200]  # Nobody has accepted it.
    assert await feeds.accept(number, who="ada@example.org")
    assert statuses(here) == [403, 200]
    source.write_text(f"{LISTED}\n127.9.1.0/24\n" + "".join(f"127.8.{at}.1\n" for at in range(100)))
    await feeds.download(number)
    assert statuses(here) == [403, 403]
    assert (await here.engines.cli.processes()).workers == workers  # Without a reload.
    assert await here.look() == []  # It is no drift.

    await here.engines.reload_again()
    assert statuses(here) == [403, 403]
    again = await Feeds.opened(here.changes, here.engines.feeds, FeedReach())  # The panel was restarted.

    cli, file = here.engines.cli, str(here.settings.feeds_dir / f"{number}.map")
    at = (await cli.map_states())[file].number
    await cli.take_out_of_map(at, LISTED)
    assert statuses(here) == [200, 403]
    await again.mend()
    assert statuses(here) == [403, 403]

    events = Events(here.settings, here.changes.database)
    async with here.changes.database.read() as session:
        answer = await access_checks.why(session, here.engines, events, OTHER, here.settings.geo_dir)
    await events.close()
    assert answer.decides is not None
    assert answer.decides.network == "127.9.1.0/24"


@pytest.mark.one_haproxy
async def test_bans_of_a_crowdsec_are_live_as_they_begin_and_end(here: Installation) -> None:
    feeds = Feeds(here.changes, here.engines.feeds, FeedReach())

    async def ask() -> None:
        for stream in feeds.crowdsec._streams.values():
            stream.due_at = 0.0
        await asyncio.gather(*await feeds.crowdsec.begin_due(feeds.reach, Background()))

    with lapi() as crowdsec:
        crowdsec.ban(LISTED)
        fields = {"name": "CrowdSec", "filled_from": "crowdsec", "feed_url": crowdsec.url, "feed_key": KEY}
        await address_lists.create(here.changes, ADA, AddressListInput.model_validate(fields))
        workers = (await here.engines.cli.processes()).workers
        assert statuses(here) == [200, 200]
        await ask()
        assert statuses(here) == [403, 200]
        crowdsec.ban("127.9.1.0/24")
        await ask()
        assert statuses(here) == [403, 403]
        crowdsec.lift(LISTED)
        await ask()
        await feeds.mend()
        assert statuses(here) == [200, 403]
        assert (await here.engines.cli.processes()).workers == workers
        await here.engines.reload_again()
        assert statuses(here) == [200, 403]
