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
