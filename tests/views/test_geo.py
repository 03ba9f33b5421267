"""Countries and networks in pages and JSON: without data, with it, and with too old, broken or no files."""

import os
from pathlib import Path
from typing import Any

import httpx2
import pytest

from guardpanel.access.geo_files import GeoKind
from guardpanel.panel import Panel
from tests.factories import a_path_binding, a_policy, a_react_policy, a_virtual_host
from tests.html import read
from tests.mmdb import database, network

pytestmark = pytest.mark.anyio

PLACE, API = "/access/countries", "/api/v1/policies"
DATA = {"127.0.0.0/8": "DE", "203.0.113.0/24": "FR"}


async def take_over(panel: Panel, kind: GeoKind, path: Path) -> None:
    """As if the panel had been started with this file."""
    source = next(source for source in panel.geo.sources if source.kind is kind)
    source.source = path
    await panel.geo.look()


@pytest.fixture
async def countries(panel: Panel, tmp_path: Path) -> Path:
    path = database(tmp_path / "country.mmdb", DATA)
    await take_over(panel, GeoKind.COUNTRY, path)
    return path


async def test_without_data_pages_say_what_to_set_and_nothing_is_saved(ada: httpx2.AsyncClient) -> None:
    page = read((await ada.get(PLACE)).text).text
    assert page.count("No data. Upload a file with") == 2
    assert "There is no data for this yet" in read((await ada.get("/policies/new")).text).text

    for field, named in (("country_mode", {"countries": "FR"}), ("asn_mode", {"asns": "64500"})):
        refused = await ada.post("/policies", data=a_policy(**{field: "reject", **named}))
        assert refused.status_code == 422
        assert f'id="f-{field}-error"' in refused.text
        assert "guardpanel has no data for this." in read(refused.text).text
    off = await ada.post("/policies", data=a_policy(countries="FR", asns="64500"))
    assert off.status_code == 303  # Lists without a choice need none.


@pytest.mark.changes_nothing
@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"country_mode": "reject"}, "country_mode", "Enter at least one country below, or choose Off."),
        ({"asn_mode": "allow_only"}, "asn_mode", "Enter at least one network below, or choose Off."),
        ({"countries": "DE\nGermany"}, "countries", "GERMANY is not a country code."),
        ({"countries": "UK"}, "countries", "Enter GB for UK."),
        ({"countries": "EU"}, "countries", "EU is not a country code."),
        ({"asns": "AS64500 x"}, "asns", "AS64500 X is not the number of a network."),
        ({"asns": "0"}, "asns", "0 is not the number of a network."),
        ({"asns": "4294967296"}, "asns", "4294967296 is not the number of a network."),
    ],
)
async def test_what_is_no_place_is_refused_at_its_field(
    ada: httpx2.AsyncClient, typed: dict[str, str], field: str, words: str
) -> None:
    refused = await ada.post("/policies", data=a_policy(**typed))

    assert refused.status_code == 422
    assert f'id="f-{field}-error"' in refused.text
    assert words in read(refused.text).text


async def test_a_policy_names_countries_and_asks_about_the_own_address(
    ada: httpx2.AsyncClient, panel: Panel, countries: Path
) -> None:
    typed = a_policy(country_mode="allow_only", countries="fr, at\nFR\n--")
    question = await ada.post("/policies", data=typed)
    assert question.status_code == 409
    assert "Your own address, 127.0.0.1, is from DE: in mode Block, this would reject it." in read(question.text).text
    assert 'name="save_anyway"' in question.text

    saved = await ada.post("/policies", data=typed | {"save_anyway": "on"})
    assert saved.status_code == 303
    page = read((await ada.get("/policies/2")).text).text
    assert "only FR AT --" in page
    assert (await ada.post("/policies/2", data=typed)).status_code == 303  # As it is: nothing to ask.

    listed = read((await ada.get(PLACE)).text).text
    assert "Test-Country" in listed
    assert "Used by Strict" in listed
    assert str(countries) in listed


async def test_whoever_assigns_a_policy_is_asked_about_the_own_address(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, countries: Path
) -> None:
    """To a virtual host, or to one of its paths. What was so before asks nothing."""
    strict = a_policy(country_mode="reject", countries="DE", enforcement_mode="detect_only")
    assert (await ada.post("/policies", data=strict | {"save_anyway": "on"})).status_code == 303
    words = "Your own address, 127.0.0.1, is from DE: policy Strict would reject it in mode Block."
    host, paths = a_virtual_host("a.example", policy_id="2", enforcement_mode="block"), "/virtual-hosts/1/paths"

    async def asked(place: str, typed: dict[str, str], field: str) -> bool:
        answer = await ada.post(place, data=typed)
        shown = f'id="f-{field}-error"' in answer.text and words in read(answer.text).text
        assert (answer.status_code, shown) in {(409, True), (303, False)}
        return shown

    assert await asked("/virtual-hosts", host, "policy_id")
    assert not await asked("/virtual-hosts", host | {"enforcement_mode": ""}, "policy_id")  # It only detects.
    assert await asked("/virtual-hosts/1", host | {"version": "1"}, "enforcement_mode")
    assert await asked(paths, a_path_binding(enforcement_mode="block"), "enforcement_mode")
    assert not await asked(paths, a_path_binding(enforcement_mode="block", save_anyway="on"), "enforcement_mode")
    assert not await asked(f"{paths}/1", a_path_binding(enforcement_mode="block", version="1", notes="x"), "policy_id")

    assert not await asked("/virtual-hosts/1", host | {"version": "1", "policy_id": ""}, "policy_id")
    assert await asked("/virtual-hosts/1", host | {"version": "2", "enforcement_mode": ""}, "policy_id")  # For /api.
    body = {"path": "/login", "policy_id": 2, "enforcement_mode": "block"}
    answer = await ada_api.post("/api/v1/vhosts/1/policy-bindings", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "needs_confirmation")
    made = await ada_api.post("/api/v1/vhosts/1/policy-bindings", json=body | {"save_anyway": True})
    assert made.status_code == 201

    block = strict | {"enforcement_mode": "block", "version": "1"}
    again = await ada.post("/policies/2", data=block)  # It did not matter before.
    assert again.status_code == 409
    assert "in mode Block, this would reject it." in read(again.text).text


async def test_a_broken_file_leaves_the_data_and_a_newer_one_replaces_it(
    ada: httpx2.AsyncClient, panel: Panel, countries: Path
) -> None:
    map_file = panel.settings.geo_dir / "country.map"
    before = map_file.read_bytes()
    assert before == b"127.0.0.0/8 DE\n203.0.113.0/24 FR\n"

    countries.write_text("<!DOCTYPE html>")
    await panel.geo.look()
    page = read((await ada.get(PLACE)).text).text
    assert f"{countries} can’t be used. It is not a MaxMind DB file (.mmdb). The last good data still applies." in page
    assert map_file.read_bytes() == before

    countries.unlink()
    await panel.geo.look()
    assert "can’t be read: No such file or directory." in read((await ada.get(PLACE)).text).text

    database(countries, {"127.0.0.0/8": "SE"})
    os.utime(countries, (1, 1))
    await panel.geo.look()
    assert "can’t be" not in read((await ada.get(PLACE)).text).text
    assert map_file.read_bytes() == b"127.0.0.0/8 SE\n"
    assert sorted(path.name for path in panel.settings.geo_dir.iterdir()) == [
        "asn.map", "country.json", "country.map", "country.mmdb"
    ]  # fmt: skip


async def test_one_file_may_have_both(panel: Panel, tmp_path: Path, ada_api: httpx2.AsyncClient) -> None:
    both = {
        "203.0.113.0/24": {"country_code": "FR", "asn": "AS64500"},
        "127.0.0.0/8": {"country": "DE", **network(64501)},
    }
    path = database(tmp_path / "both.mmdb", both)
    await take_over(panel, GeoKind.COUNTRY, path)
    await take_over(panel, GeoKind.NETWORK, path)

    body: dict[str, Any] = {"name": "Strict", "asn_mode": "reject", "asns": ["64501"]}
    question = await ada_api.post(API, json=body)
    assert (question.status_code, question.json()["code"]) == (409, "needs_confirmation")
    assert "127.0.0.1, is from AS64501" in question.json()["detail"]
    saved = await ada_api.post(API, json=body | {"save_anyway": True})
    assert (saved.status_code, saved.json()["asns"]) == (201, ["AS64501"])


async def test_the_react_panel_chooses_countries_under_its_names(ada_api: httpx2.AsyncClient, countries: Path) -> None:
    made = await ada_api.post(API, json=a_react_policy(geoip_mode="blocklist", geoip_countries=["FR", "AT"]))
    assert made.status_code == 201, made.text
    row = made.json()
    assert (row["geoip_mode"], row["geoip_countries"], row["country_mode"], row["countries"]) == (
        "blocklist", ["FR", "AT"], "reject", ["FR", "AT"],
    )  # fmt: skip
    url = f"{API}/{row['id']}"
    await ada_api.patch(url, json={"countries": ["FR", "--"]})
    row = (await ada_api.patch(url, json={"geoip_mode": "blocklist", "geoip_countries": ["FR"]})).json()
    assert (row["geoip_countries"], row["countries"]) == (
        ["FR"],
        ["FR", "--"],
    )  # It does not know unknown ones, and keeps them.
    row = (await ada_api.patch(url, json={"geoip_mode": "off", "geoip_countries": []})).json()
    assert (row["geoip_mode"], row["country_mode"], row["countries"]) == ("off", "off", [])

    refused = (await ada_api.patch(url, json={"geoip_countries": ["Atlantis"]})).json()
    assert [error["field"] for error in refused["errors"]] == ["geoip_countries"]
    both = (await ada_api.patch(url, json={"geoip_mode": "allowlist", "country_mode": "reject"})).json()
    assert [error["field"] for error in both["errors"]] == ["geoip_mode"]
