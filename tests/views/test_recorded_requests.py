"""The ordinary requests that are recorded of a virtual host: page, JSON, and deletion by client IP."""

import hashlib
import hmac
import json
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from guardpanel.events import client_keys, schema
from guardpanel.ingest import recorded
from guardpanel.panel import Panel
from tests.corpus import CORPUS
from tests.events import a_recorded_request, as_line
from tests.factories import a_policy, a_virtual_host
from tests.html import read

pytestmark = pytest.mark.anyio

KEY = "5f" * 32
PAGE = "/virtual-hosts/1/recorded"
JSON = "/api/v1/vhosts/1/recorded"


def key_of(network: str) -> str:
    return hmac.new(bytes.fromhex(KEY), network.encode(), hashlib.sha256).hexdigest()[:32]


def a_request(network: str = "203.0.113.7/32", **others: Any) -> dict[str, Any]:
    now = f"{datetime.now(UTC) - timedelta(minutes=1):%Y-%m-%dT%H:%M:%S.%fZ}"
    return a_recorded_request(time=now, client_key=key_of(network), **others)


def keep(panel: Panel, *requests: dict[str, Any]) -> None:
    panel.settings.events_dir.mkdir(exist_ok=True)
    (panel.settings.events_dir / client_keys.FILE).write_text(KEY)
    with closing(schema.open_to_write(panel.settings.events_database)) as connection:
        recorded.add(connection, [recorded.read(as_line(request)) for request in requests])


@pytest.fixture
async def host(ada: httpx2.AsyncClient) -> None:
    answer = await ada.post("/virtual-hosts", data=a_virtual_host("shop.example\n*.shops.example"))
    assert answer.status_code == 303, answer.text[-3000:]


async def listed(client: httpx2.AsyncClient) -> list[str]:
    page = await client.get(PAGE)
    assert page.status_code == 200, page.text[-3000:]
    return re.findall(r"<b>POST</b> (\S+)</code>", page.text)


@pytest.mark.usefixtures("host")
async def test_a_virtual_hosts_requests_are_those_of_its_hostnames(ada: httpx2.AsyncClient, panel: Panel) -> None:
    hosts = ("shop.example", "a.shops.example", "other.example", "b.a.shops.example", "shops.example")
    keep(panel, *(a_request(host=name, uri=f"/{name}") for name in hosts))

    assert set(await listed(ada)) == {"/shop.example", "/a.shops.example"}
    assert "View requests" in (await ada.get("/virtual-hosts/1")).text


@pytest.mark.usefixtures("host")
async def test_without_any_the_page_says_what_the_policy_records(ada: httpx2.AsyncClient) -> None:
    assert "1 in 100 requests that fire no rule is recorded." in (await ada.get(PAGE)).text


@pytest.mark.usefixtures("host")
async def test_paths_with_another_policy_are_named_with_what_it_records(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    await ada.post("/policies", data=a_policy("Strict", record_one_in="7"))
    off, old = {"enforcement_mode": "off"}, {"policy_id": 2, "redirect": "302", "redirect_to": "/new"}
    for path, fields in (("/admin", {"policy_id": 2}), ("/off", off), ("/old", old)):
        answer = await ada_api.post("/api/v1/vhosts/1/policy-bindings", json={"path": path, **fields})
        assert answer.status_code == 201, answer.text

    text = " ".join(read((await ada.get(PAGE)).text).text.split())
    row = read((await ada.get("/virtual-hosts")).text).text

    assert "Paths with another policy /admin/… Strict 1 in 7 recorded" in text
    assert "/off" not in text
    assert "/old" not in text
    assert "on paths: Strict" in " ".join(row.split())


@pytest.mark.usefixtures("host")
async def test_they_are_read_by_cursors_and_new_ones_shift_no_page(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    keep(panel, *(a_request(uri=f"/{name}") for name in "abc"))
    first = (await ada_api.get(JSON, params={"per_page": 2})).json()
    keep(panel, a_request(uri="/new"))
    rest = (await ada_api.get(JSON, params={"per_page": 2, "cursor": first["next_cursor"]})).json()
    forged = (await ada_api.get(JSON, params={"cursor": f"before-{'9' * 19}"})).json()

    assert len(forged["items"]) == 4
    assert [item["uri"] for item in first["items"] + rest["items"]] == ["/c", "/b", "/a"]
    assert (rest["count"], rest["next_cursor"]) == (4, None)


@pytest.mark.usefixtures("host")
async def test_whatever_was_sent_is_shown_as_text(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    keep(
        panel,
        *(a_request(uri=f"/{text}", headers=[["host", "shop.example"], [text, text]], body=text) for text in CORPUS),
    )

    page = await ada.get(PAGE)
    listing = await ada_api.get(JSON, params={"per_page": 500})

    assert page.status_code == listing.status_code == 200
    assert "<script>alert" not in page.text
    assert "onerror=alert(1)>" not in page.text
    assert listing.json()["count"] == len(CORPUS)
    assert "\u202e" not in page.text + json.dumps(listing.json(), ensure_ascii=False)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("client", "left"),
    [
        ("203.0.113.7", ["/b", "/c"]),
        (" ::ffff:203.0.113.7 ", ["/b", "/c"]),
        ("2001:db8:1:2:9::1", ["/a", "/c"]),
        ("203.0.113.8", ["/a", "/b", "/c"]),
    ],
)
async def test_a_persons_requests_are_deleted_by_address(
    ada: httpx2.AsyncClient, panel: Panel, client: str, left: list[str]
) -> None:
    keep(
        panel, a_request(uri="/a"), a_request("2001:db8:1:2::/64", uri="/b"), a_request("198.51.100.1/32", uri="/c"),
        a_request(host="other.example"),
    )  # fmt: skip

    answer = await ada.post(f"{PAGE}/delete", data={"client": client})

    assert answer.status_code == 303, answer.text[-3000:]
    assert sorted(await listed(ada)) == left
    with closing(schema.open_to_read(panel.settings.events_database)) as connection:
        assert connection.execute("SELECT count(*) FROM recorded").fetchone() == (len(left) + 1,)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("client", ["", "shop.example", "203.0.113.0/24", "203.0.113.7, 203.0.113.8"])
async def test_what_is_no_address_deletes_nothing_and_says_so(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, client: str
) -> None:
    keep(panel, a_request(uri="/a"))

    page = await ada.post(f"{PAGE}/delete", data={"client": client})
    answer = await ada_api.delete(JSON, params={"client": client})

    assert (page.status_code, answer.status_code) == (422, 422)
    assert "Enter an IP address" in page.text
    assert "Enter an IP address" in answer.text
    assert await listed(ada) == ["/a"]


@pytest.mark.usefixtures("host")
async def test_all_are_deleted_and_no_other_hosts(ada: httpx2.AsyncClient, panel: Panel) -> None:
    keep(panel, a_request(), a_request(), a_request(host="other.example"))

    answer = await ada.post(f"{PAGE}/delete", data={"all": "1", "client": ""})

    assert answer.status_code == 303
    assert await listed(ada) == []
    assert await panel.events.recorded_hosts() == ["other.example"]


@pytest.mark.usefixtures("host")
async def test_json_lists_and_deletes(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    keep(panel, a_request(uri="/a"), a_request("198.51.100.1/32", uri="/b"))

    before = (await ada_api.get(JSON)).json()
    deleted = (await ada_api.delete(JSON, params={"client": "198.51.100.1"})).json()

    assert (before["count"], {item["uri"] for item in before["items"]}) == (2, {"/a", "/b"})
    assert before["items"][0]["body"] == "user=bqvh"
    assert deleted == {"deleted": 1}
    assert [item["uri"] for item in (await ada_api.get(JSON)).json()["items"]] == ["/a"]


async def test_recorded_requests_of_no_virtual_host_are_not_found(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    assert (await ada.get("/virtual-hosts/99/recorded")).status_code == 404
    assert (await ada_api.delete("/api/v1/vhosts/99/recorded")).status_code == 404
