"""Countries and networks through the real panel below its pages: kept out and let in, by newer data, over a reload."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from guardpanel.access.geo_files import GeoKind
from guardpanel.errors import Invalid, NeedsConfirmation
from guardpanel.feed_reach import FeedReach
from guardpanel.models.access.geo_data import GeoDataFields
from guardpanel.models.policies.policy import PolicyInput
from guardpanel.services import geo_data, policies, virtual_hosts
from guardpanel.services.access import access_checks
from guardpanel.services.access.geo import Geo
from guardpanel.services.access.geo_downloads import GeoDownloads
from guardpanel.services.events import Events
from guardpanel.services.saving.changes import SaveRequest
from tests.live.origins import Origin
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.live.stack import DEADLINE, wait_until
from tests.live.wire import head
from tests.mmdb import database, network

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada@example.org", client="127.9.0.200")
GERMAN, FRENCH, UNKNOWN = "127.9.0.1", "127.10.0.1", "127.11.0.1"
DATA = {"127.9.0.0/16": "DE", "127.10.0.0/16": "FR", "2001:db8::/32": "SE"}
HOSTER = {"127.9.0.0/24": network(64500)}


@pytest.fixture
async def here(haproxy: str, server: Origin, tmp_path: Path) -> AsyncIterator[Installation]:
    files = {"geo_country_file": str(tmp_path / "country.mmdb"), "geo_asn_file": str(tmp_path / "asn.mmdb")}
    async with installation_of(haproxy, **files) as made:
        host = a_virtual_host(int(server.address.rpartition(":")[2]), health_check=False)
        await virtual_hosts.create(made.changes, ADA, host)
        yield made


async def save(here: Installation, **fields: Any) -> None:
    typed = {"name": "Default", "enforcement_mode": "block", **fields}
    await policies.update(here.changes, ADA, 1, PolicyInput.model_validate(typed))


def status(here: Installation, peer: str) -> int:
    request = head("GET", "shop.example", "/", {"user-agent": "Mozilla/5.0", "accept": "*/*"})
    with socket.create_connection(here.settings.http_binds[0], DEADLINE, source_address=(peer, 0)) as connection:
        connection.sendall(request)
        return int(connection.recv(65536).split(b" ")[1])


def statuses(here: Installation) -> list[int]:
    return [status(here, peer) for peer in (GERMAN, FRENCH, UNKNOWN)]


async def test_countries_are_kept_out_by_newer_data_without_a_reload(here: Installation, tmp_path: Path) -> None:
    cli = here.engines.cli
    with pytest.raises(Invalid) as refused:
        await save(here, country_mode="reject", countries=["FR"])
    assert "Upload it under Access › Countries" in refused.value.errors["country_mode"].message
    database(tmp_path / "country.mmdb", DATA)
    geo = await Geo.opened(here.settings, cli)
    assert statuses(here) == [200, 200, 200]

    await save(here, country_mode="reject", countries=["FR"])
    assert statuses(here) == [200, 403, 200]
    await save(here, country_mode="allow_only", countries=["DE"])
    assert statuses(here) == [200, 403, 403]
    await save(here, country_mode="allow_only", countries=["DE", "--"])
    assert statuses(here) == [200, 403, 200]
    assert await here.look() == []  # The maps are no drift.

    processes = await cli.processes()
    newer = {
        **DATA,
        "127.10.0.0/16": "DE",
        "127.11.0.0/16": "FR",
        **{f"127.12.{at}.0/24": "DE" for at in range(0, 80, 2)},
    }
    database(tmp_path / "country.mmdb", newer)
    await geo.look()
    assert statuses(here) == [200, 200, 403]
    assert (await cli.processes()).workers == processes.workers  # Without a reload.

    await here.engines.reload_again()
    assert statuses(here) == [200, 200, 403]

    (tmp_path / "country.mmdb").write_text("<html>")  # What cannot be read changes nothing.
    await geo.look()
    again = await Geo.opened(here.settings, cli)
    problem = (await again.statuses())[GeoKind.COUNTRY].problem
    assert "is not a MaxMind DB file" in problem
    assert statuses(here) == [200, 200, 403]

    at = (await cli.map_states())[str(here.settings.geo_dir / "country.map")].number
    await cli.put_in_map(at, "127.11.0.1", "DE", is_there=False)  # Somebody else changes HAProxy's map.
    assert statuses(here) == [200, 200, 200]
    await again.look()
    assert statuses(here) == [200, 200, 403]


@pytest.mark.one_haproxy
async def test_uploads_and_downloads_apply_without_a_reload(haproxy: str, server: Origin, tmp_path: Path) -> None:
    """And stay over a reload and a start of the panel."""
    async with installation_of(haproxy) as here:
        host = a_virtual_host(int(server.address.rpartition(":")[2]), health_check=False)
        await virtual_hosts.create(here.changes, ADA, host)
        geo = await Geo.opened(here.settings, here.engines.cli)
        downloads = GeoDownloads(here.changes, geo, FeedReach((), tmp_path))

        async def pieces(path: Path) -> AsyncIterator[bytes]:
            yield path.read_bytes()

        await downloads.upload(GeoKind.COUNTRY, pieces(database(tmp_path / "a.mmdb", DATA)), "ada@example.org")
        await save(here, country_mode="reject", countries=["FR"])
        assert statuses(here) == [200, 403, 200]

        processes = await here.engines.cli.processes()
        newer = database(tmp_path / "b.mmdb", {**DATA, "127.10.0.0/16": "DE", "127.11.0.0/16": "FR"})
        fields = GeoDataFields(country_url=f"file://{newer}")
        await geo_data.update(here.changes, ADA, fields)
        await downloads.download_due()
        assert statuses(here) == [200, 200, 403]
        assert (await here.engines.cli.processes()).workers == processes.workers

        await here.engines.reload_again()
        again = await Geo.opened(here.settings, here.engines.cli)
        await again.look()
        assert statuses(here) == [200, 200, 403]
        assert again.of(GeoKind.COUNTRY).state == geo.of(GeoKind.COUNTRY).state
        assert await here.look() == []


async def test_networks_are_kept_out_and_why_says_so(here: Installation, tmp_path: Path) -> None:
    database(tmp_path / "country.mmdb", DATA)
    database(tmp_path / "asn.mmdb", HOSTER)
    await Geo.opened(here.settings, here.engines.cli)
    with pytest.raises(NeedsConfirmation, match=r"Your own address, 127.9.0.200, is from AS64500"):
        await save(here, asn_mode="reject", asns=["64500"])
    await save(
        here, asn_mode="reject", asns=["64500"], country_mode="allow_only", countries=["DE", "FR"], save_anyway=True
    )
    await save(here, asn_mode="reject", asns=["64500"], country_mode="allow_only", countries=["FR", "DE"])  # As before.
    assert [*statuses(here), status(here, "127.9.1.1")] == [403, 200, 403, 200]

    database_, events = here.changes.database, Events(here.settings, here.changes.database)

    async def why(address: str) -> tuple[str, list[str]]:
        async with database_.read() as session:
            answer = await access_checks.why(session, here.engines, events, address, here.settings.geo_dir)
        assert answer.decides is None  # Another virtual host may have another policy.
        return answer.where.words, [
            f"{place.place.kind} {place.place.value} {place.network}" for place in answer.places if place.place
        ]

    assert await why(GERMAN) == ("DE, AS64500", ["network AS64500 127.9.0.0/24"])
    assert await why(FRENCH) == ("FR, unknown network", [])
    assert await why(UNKNOWN) == ("unknown country, unknown network", [f"country -- {UNKNOWN}"])
    await events.close()

    await save(here, asn_mode="reject", asns=["64500"], enforcement_mode="detect_only")
    assert statuses(here) == [200, 200, 200]

    def passed() -> list[str]:
        *lines, _ = (here.settings.log_dir / "access.json").read_text().split("\n")
        return [line for line in lines if f'"client":"{GERMAN}"' in line and '"status":200' in line]

    await asyncio.to_thread(wait_until, passed, "HAProxy writes its log")
    last = json.loads(passed()[-1])
    assert [last[name] for name in ("verdict", "country", "network", "policy")] == ["geo_passed", "-", "AS64500", "1"]


async def test_networks_follow_newer_data_without_a_reload(here: Installation, tmp_path: Path) -> None:
    """As countries do: some by single commands, many by one transaction, and both stay over a reload."""
    cli = here.engines.cli
    database(tmp_path / "asn.mmdb", HOSTER)
    geo = await Geo.opened(here.settings, cli)
    await save(here, asn_mode="reject", asns=["64500"], save_anyway=True)
    assert statuses(here) == [403, 200, 200]
    before = await cli.processes()

    database(tmp_path / "asn.mmdb", {"127.9.0.0/24": network(64501), "127.10.0.0/16": network(64500)})
    await geo.look()
    assert statuses(here) == [200, 403, 200]
    many = {f"127.12.{at}.0/24": network(64501) for at in range(0, 80, 2)}
    database(tmp_path / "asn.mmdb", {**many, "127.11.0.0/16": network(64500)})
    await geo.look()
    assert statuses(here) == [200, 200, 403]
    assert (await cli.processes()).workers == before.workers
    assert await here.look() == []

    await here.engines.reload_again()
    assert statuses(here) == [200, 200, 403]
    (tmp_path / "asn.mmdb").write_bytes(b"PK")  # What cannot be read changes nothing.
    await geo.look()
    assert statuses(here) == [200, 200, 403]
