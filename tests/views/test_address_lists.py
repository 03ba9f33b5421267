"""Address lists as pages and JSON."""

import asyncio

import httpx2
import pytest
from sqlmodel import select

from guardpanel.models import AddressListContent
from guardpanel.panel import Panel
from guardpanel.services import retention
from tests.factories import a_vhost, a_virtual_host, an_address_list
from tests.fakes import FakeEngines
from tests.html import read

pytestmark = pytest.mark.anyio

PLACE, API = "/access/lists", "/api/v1/address-lists"


def files(engines: FakeEngines) -> dict[str, bytes]:
    assert engines.running is not None
    return dict(engines.running.data)


async def test_one_is_pasted_shown_extended_and_deleted(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    made = await ada.post(PLACE, data=an_address_list(entries="203.0.113.0/24 # scans\n203.0.113.7\n2001:db8::/32"))
    assert made.headers["location"] == f"{PLACE}/1"
    assert files(engines) == {"lists/1.map": b"203.0.113.0/24 9999999999\n2001:db8::/32 9999999999\n"}
    configuration = engines.running.checksum if engines.running else ""

    added = await ada.post(f"{PLACE}/1/entries", data={"entries": "198.51.100.7 until 2097-01-01"})
    assert added.headers["location"] == f"{PLACE}/1"
    removed = await ada.post(f"{PLACE}/1/entries", data={"remove": "203.0.113.0/24"})
    assert removed.headers["location"] == f"{PLACE}/1"
    assert files(engines) == {"lists/1.map": b"198.51.100.7 4007836800\n2001:db8::/32 9999999999\n"}
    assert engines.running is not None
    assert engines.running.checksum == configuration  # Entries are no configuration.

    page = (await ada.get(f"{PLACE}/1")).text
    assert "2097-01-01 00:00:00 UTC" in page
    assert (await ada.get(f"{PLACE}/1/entries.txt")).text == "198.51.100.7 until 2097-01-01T00:00:00Z\n2001:db8::/32\n"
    assert "network,ends,comment\n" in (await ada.get(f"{PLACE}/1/entries.csv")).text
    assert f'href="{PLACE}/1"' in (await ada.get("/search?q=scanners")).text
    changes = read((await ada.get("/changes")).text).text
    assert "Scanners: entry 198.51.100.7 added" in changes
    assert "Scanners: entry 203.0.113.0/24 removed" in changes

    await ada.post(f"{PLACE}/1/delete", data={"version": "3"})
    assert files(engines) == {}


async def test_programs_add_entries_to_one_list_at_once(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    assert (await ada_api.post(API, json={"name": "Seen", "entries": "203.0.113.0/24"})).status_code == 201
    networks = [f"198.51.100.{number}" for number in range(8)]

    added = [ada_api.post(f"{API}/1/entries", json={"entries": [network]}) for network in networks]
    assert [answer.status_code for answer in await asyncio.gather(*added)] == [200] * len(networks)

    assert files(engines)["lists/1.map"].split()[::2] == [text.encode() for text in [*networks, "203.0.113.0/24"]]


async def test_what_has_ended_is_not_entered_but_an_export_can_be_sent_back(
    ada: httpx2.AsyncClient, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "198.51.100.7 until 2097-01-01T00:00:00Z\n2001:db8::/32\n"
    await ada.post(PLACE, data=an_address_list(entries=text))
    before = files(engines)

    refused = await ada.post(f"{PLACE}/1/entries", data={"entries": "192.0.2.1\n192.0.2.7 until 2001-01-01"})
    assert refused.status_code == 422
    page = read(refused.text).text
    assert "Line 2: 192.0.2.7 would have ended 2001-01-01T00:00:00Z. Enter a later end, or remove the line." in page
    monkeypatch.setattr("guardpanel.services.access.list_texts.time.time", lambda: 4_100_000_000.0)
    late = await ada.post(f"{PLACE}/1/entries", data={"entries": "192.0.2.7 until 2097-01-01"})
    assert late.status_code == 422
    assert files(engines) == before

    exported = (await ada.get(f"{PLACE}/1/entries.txt")).text
    assert exported == text
    again = await ada.post(f"{PLACE}/1/entries", data={"entries": exported, "replace": "on"})
    assert again.status_code == 303


async def test_two_bad_lines_are_named_and_nothing_is_taken(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    typed = "203.0.113.0/24\n203.0.113.7/24\n198.51.100.1\nshop.example"
    refused = await ada.post(PLACE, data=an_address_list(entries=typed))

    page = read(refused.text)
    assert refused.status_code == 422
    assert "Line 2: 203.0.113.7/24 has host bits set. Enter 203.0.113.0/24." in page.text
    assert "Line 4: shop.example is not an IP address" in page.text
    assert page.value("entries") == typed
    assert files(engines) == {}


async def test_bad_lines_are_named_next_to_other_errors(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient) -> None:
    refused = await ada.post(PLACE, data=an_address_list("", entries="shop.example"))
    assert 'id="f-name-error"' in refused.text and "Line 1: shop.example is not" in read(refused.text).text

    refused = await ada_api.post("/api/v1/address-lists", json={"name": "", "entries": "shop.example"})
    assert {error["field"] for error in refused.json()["errors"]} == {"name", "entries"}


async def test_of_several_paths_the_bad_one_is_named(ada_api: httpx2.AsyncClient) -> None:
    for path, words, code in (
        ("admin", "admin: Start the path with /.", "invalid"),
        ("/" + "a" * 600, "/" + "a" * 59 + ": At most 500 characters.", "too_long"),
    ):
        refused = await ada_api.post(API, json={"name": "Office", "paths": ["/shop", path]})
        (error,) = refused.json()["errors"]
        assert (error["field"], error["message"], error["code"]) == ("paths", words, code)


async def test_a_file_counts_as_pasted(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    long = "\n".join(f"10.{at // 250}.{at % 250}.0/24" for at in range(30_000)).encode()
    form = an_address_list(entries="192.0.2.1")
    made = await ada.post(PLACE, data=form, files={"file": ("drop.netset", b"# a\r\n" + long, "text/plain")})

    assert made.headers["location"] == f"{PLACE}/1"
    assert files(engines)["lists/1.map"].count(b"\n") == 30_001
    assert "30,001" in (await ada.get(f"{PLACE}/1")).text


async def test_the_own_address_is_denied_only_on_purpose(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    typed = an_address_list(entries="127.0.0.0/8")
    question = await ada.post(PLACE, data=typed)
    assert question.status_code == 409
    assert "127.0.0.0/8 contains 127.0.0.1, your own address." in read(question.text).text
    assert files(engines) == {}

    assert (await ada.post(PLACE, data=typed | {"save_anyway": "on"})).status_code == 303
    again = await ada.post(f"{PLACE}/1/entries", data={"entries": "::1"})
    assert again.status_code == 409


async def test_a_list_that_denies_more_sites_than_before_asks_again(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost())
    some = {"applies_to": "virtual_hosts", "virtual_host_ids": [1]}
    made = await ada_api.post(API, json={"name": "Own", **some, "entries": "127.0.0.1", "save_anyway": True})
    assert made.status_code == 201

    assert (await ada_api.patch(f"{API}/1", json={"notes": "Same sites"})).status_code == 200
    question = await ada_api.patch(f"{API}/1", json={"applies_to": "everywhere"})

    assert (question.status_code, question.json()["code"]) == (409, "needs_confirmation")
    assert (await ada_api.patch(f"{API}/1", json={"applies_to": "everywhere", "save_anyway": True})).status_code == 200
    for paths, status in (["/admin"], 200), (["/admin", "/x"], 409), ([], 409), (["/admin"], 200):
        assert (await ada_api.patch(f"{API}/1", json={"paths": paths})).status_code == status, paths
    assert "All virtual hosts, 1 path " in read((await ada.get(PLACE)).text).text


async def test_a_list_that_allows_only_some_asks_whom_it_shuts_out(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    """When it is added, applies to more or to itself alone, or loses the operator's address: never when it stays as it is."""
    office = {"name": "Office", "kind": "only", "paths": ["/admin"], "entries": "192.0.2.0/24"}
    question = await ada_api.post(API, json=office)
    assert (question.status_code, question.json()["errors"][0]["field"]) == (409, "entries")
    assert "Your own address, 127.0.0.1, is not in this list" in question.json()["errors"][0]["message"]
    empty = await ada_api.post(API, json=office | {"entries": ""})
    assert (empty.status_code, "Without entries, it rejects all requests." in empty.text) == (409, True)
    assert (await ada_api.post(API, json=office | {"save_anyway": True})).status_code == 201

    assert (await ada_api.patch(f"{API}/1", json={"notes": "x"})).status_code == 200
    assert (await ada_api.patch(f"{API}/1", json={"paths": []})).status_code == 409
    assert (await ada_api.post(f"{API}/1/entries", json={"entries": ["127.0.0.1"]})).status_code == 200
    assert (await ada_api.patch(f"{API}/1", json={"paths": []})).status_code == 200
    assert (await ada_api.delete(f"{API}/1/entries/127.0.0.1")).status_code == 409
    assert (await ada_api.delete(f"{API}/1/entries/127.0.0.1?confirm=true")).status_code == 200
    assert (await ada_api.put(f"{API}/1/entries", content="127.0.0.0/8")).status_code == 200
    assert (await ada_api.patch(f"{API}/1", json={"kind": "allow"})).status_code == 200

    followed = {"name": "Bans", "kind": "only", "filled_from": "crowdsec", "feed_url": "http://127.0.0.1:8080/"}
    refused = await ada_api.post(API, json=followed | {"feed_key": "x"})
    assert (refused.status_code, "Choose Deny above." in refused.text) == (422, True)
    denied = await ada_api.post(API, json={"name": "All", "paths": ["/admin"], "entries": "0.0.0.0/0"})
    assert "To reject all but some addresses, such as on a path, choose Allow only" in denied.text
    page = read((await ada.get(f"{PLACE}/1")).text).text
    assert "never banned or denied" in page


async def test_entries_over_json(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost())
    body = {"name": "Blog", "applies_to": "virtual_hosts", "virtual_host_ids": [1], "entries": "192.0.2.0/24"}
    made = (await ada_api.post(API, json=body)).json()
    assert (made["entry_count"], made["virtual_host_ids"]) == (1, [1])

    added = await ada_api.post(f"{API}/1/entries", json={"entries": ["198.51.100.7 # x", "192.0.2.9"]})
    assert (added.json()["entry_count"], added.headers["etag"]) == (2, '"2"')
    listed = (await ada_api.get(f"{API}/1/entries", params={"per_page": 1, "page": 2})).json()
    assert listed["items"] == [{"network": "198.51.100.7", "ends_at": None, "comment": "x"}]
    assert (await ada_api.get(f"{API}/1/entries", params={"q": "x"})).json()["total"] == 1
    assert (await ada_api.delete(f"{API}/1/entries/192.0.2.0/24")).json()["entry_count"] == 1
    assert (await ada_api.delete(f"{API}/1/entries/192.0.2.0/24")).status_code == 404

    question = await ada_api.post(f"{API}/1/entries", json={"entries": ["::1"]})
    assert (question.status_code, question.json()["code"]) == (409, "needs_confirmation")
    assert (await ada_api.post(f"{API}/1/entries?confirm=true", json={"entries": ["::1"]})).json()["entry_count"] == 2
    replaced = await ada_api.put(
        f"{API}/1/entries", content="9.9.9.9\n9.9.9.9\n", headers={"content-type": "text/plain"}
    )
    assert replaced.json()["entry_count"] == 1
    missing = await ada_api.put(f"{API}/1/entries")
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (422, "body")
    bad = await ada_api.put(f"{API}/1/entries", content="9.9.9.9/8")
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "entries")
    assert files(engines)["lists/1.map"] == b"9.9.9.9 9999999999\n"

    lost = await ada_api.delete("/api/v1/vhosts/1")
    assert (lost.status_code, "used by Blog" in lost.json()["detail"]) == (409, True)


async def test_undo_brings_the_entries_back_and_what_no_change_names_is_deleted(
    ada: httpx2.AsyncClient, panel: Panel, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AFTER_A_SAVE", 3600.0)
    await ada.post(PLACE, data=an_address_list(entries="192.0.2.1"))
    await ada.post(f"{PLACE}/1/entries", data={"entries": "192.0.2.9"})
    last = (await ada.get("/changes")).text.split("/changes/")[1].split('"')[0].split("/")[0].split("?")[0]
    assert (await ada.post(f"/changes/{last}/undo")).status_code == 303
    assert files(engines) == {"lists/1.map": b"192.0.2.1 9999999999\n"}
    assert await contents(panel) == 2

    await panel.retention.tidy()
    assert await contents(panel) == 2  # A change that can be restored has them.
    panel.retention.settings = panel.settings.model_copy(update={"keep_revisions": 2})
    for name in ("Other", "Another", "Third"):
        await ada.post(PLACE, data=an_address_list(name, entries="192.0.2.1"))
    await panel.retention.tidy()
    assert await contents(panel) == 1


async def contents(panel: Panel) -> int:
    async with panel.database.read() as session:
        return len((await session.exec(select(AddressListContent.digest))).all())


async def test_chosen_virtual_hosts_stay_chosen_where_not_all_are_listed(
    ada: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that lets only some in would let all in there, once it was saved for another reason."""
    monkeypatch.setattr("guardpanel.views.address_lists.MOST_HOSTS", 1)
    for name in ("a.example", "b.example", "c.example"):
        await ada.post("/virtual-hosts", data=a_virtual_host(name))
    some = {"applies_to": "virtual_hosts", "virtual_host_ids": ["3"]}
    chosen = an_address_list("Office", kind="only", entries="192.0.2.1", save_anyway="on", **some)
    assert (await ada.post("/access/lists", data=chosen)).status_code == 303

    page = read((await ada.get("/access/lists/1/edit")).text)

    assert page.values["virtual_host_ids"] == ["", "3"]
    assert "1 more virtual host is not listed here" in page.text
