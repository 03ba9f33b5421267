"""*Why?* and its buttons, with what HAProxy would say. tests/live/test_bans.py asks it."""

from typing import Any

import httpx2
import pytest
from sqlmodel import select

from guardpanel.models import AddressList
from guardpanel.panel import Panel
from guardpanel.services.access import access_checks
from guardpanel.services.access.access_checks import Answer, Finding
from tests.html import read

pytestmark = pytest.mark.anyio

ADDRESS = "203.0.113.7"


async def test_an_address_is_added_to_a_list_that_allows_only_others(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = {"name": "Office", "kind": "only", "entries": "192.0.2.0/24", "save_anyway": True}
    assert (await ada_api.post("/api/v1/address-lists", json=office)).status_code == 201
    async with panel.changes.database.read() as session:
        row = (await session.exec(select(AddressList))).one()

    async def why(*_: Any) -> Answer:
        return Answer(ADDRESS, None, [], [], [Finding(ADDRESS, None, "", listed=row)], [])

    monkeypatch.setattr(access_checks, "why", why)
    page = read((await ada.get("/access/why", params={"q": ADDRESS})).text)

    assert f"{ADDRESS} is rejected: the list Office allows others only." in page.text
    assert page.find("button", name="entries", value=ADDRESS)
    added = await ada.post("/access/lists/1/entries", data={"back": "why", "q": ADDRESS, "entries": ADDRESS})
    assert added.headers["location"] == f"/access/why?q={ADDRESS}"
    entries = (await ada_api.get("/api/v1/address-lists/1/entries")).json()["items"]
    assert ADDRESS in [entry["network"] for entry in entries]


async def test_the_virtual_hosts_on_which_a_list_holds_are_named(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c", "d", "e"):
        host = {"domain": f"{name}.example", "backends": [{"url": "http://10.0.0.5:8080"}]}
        assert (await ada_api.post("/api/v1/vhosts", json=host)).status_code == 201
    noise = {"name": "Noise", "kind": "deny", "applies_to": "virtual_hosts", "entries": ADDRESS, "paths": ["/admin"]}
    few = noise | {"name": "Few", "virtual_host_ids": [1], "paths": []}
    for body in (few, noise | {"virtual_host_ids": [1, 2, 3, 4, 5]}):
        answer = await ada_api.post("/api/v1/address-lists", json=body)
        assert answer.status_code == 201, answer.text
    async with panel.changes.database.read() as session:
        findings = [Finding(ADDRESS, None, "", listed=row) for row in (await session.exec(select(AddressList))).all()]

    async def text(*deny: Finding) -> str:
        async def why(*_: Any) -> Answer:
            return Answer(ADDRESS, None, [], [], deny, [])

        monkeypatch.setattr(access_checks, "why", why)
        return read((await ada.get("/access/why", params={"q": ADDRESS})).text).text

    first, second = findings
    assert f"A list rejects {ADDRESS}, on a.example. Elsewhere, the WAF decides." in await text(first)
    both = await text(first, second)
    assert f"2 lists reject {ADDRESS}, each on what step 5 names. Elsewhere" in both
    assert "on a.example, b.example, c.example, and 2 more, for /admin" in both
