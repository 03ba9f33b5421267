"""Each 409 that can be confirmed says how, in one way: what to add to the request."""

from typing import Any

import httpx2
import pytest
from sqlmodel import update

from guardpanel.models import Policy
from guardpanel.panel import Panel
from tests.contracts.operations import DOCUMENT, ROOT
from tests.factories import a_vhost

pytestmark = pytest.mark.anyio

RAISED_IN = {
    "access/geo_doubts.py", "access/geo_downloads.py", "access/lockout.py", "certificate_choices.py", "history/history.py",
    "https/https_doubts.py", "policies.py", "redirect_doubts.py", "redirect_targets.py", "rule_exclusions.py", "same_names.py", "serving.py",
    "site_file/applying.py",
}  # fmt: skip
"A new place belongs to an operation below, and to `SAYING` if that is a new one."

IN_QUERY = {
    "addAddressListEntries", "replaceAddressListEntries", "removeAddressListEntry", "createBan", "downloadGeoData", "uploadGeoData",
    "deleteVirtualHost", "deletePolicy", "undoChange", "restoreChange", "planConfiguration", "applyConfiguration",
}  # fmt: skip
IN_BODY = {
    f"{verb}{noun}" for verb in ("create", "update") for noun in ("AddressList", "Certificate", "Policy", "VirtualHost")
} | {"createPathBinding", "updatePathBinding"}


def fields_of(operation: dict[str, Any]) -> set[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return {*DOCUMENT["components"]["schemas"].get(name, {}).get("properties", {})}


def test_every_place_that_asks_is_known() -> None:
    services = ROOT / "guardpanel" / "services"
    raising = {path for path in services.rglob("*.py") if "NeedsConfirmation(" in path.read_text()}

    assert {str(path.relative_to(services)) for path in raising} == RAISED_IN


def test_every_operation_that_can_be_confirmed_is_known() -> None:
    operations = [operation for path in DOCUMENT["paths"].values() for operation in path.values()]
    in_query = {
        each["operationId"] for each in operations
        if {"confirm", "save_anyway"} & {parameter.get("name") for parameter in each.get("parameters", ())}
    }  # fmt: skip
    in_body = {each["operationId"] for each in operations if "save_anyway" in fields_of(each)}

    assert (in_query, in_body) == (IN_QUERY, IN_BODY)


async def must_say(client: httpx2.AsyncClient, method: str, url: str, way: str, **sent: Any) -> None:
    """It is asked, says how to confirm, and that is what confirms it."""
    asked = await client.request(method, url, **sent)
    problem = asked.json()
    assert (asked.status_code, problem["code"]) == (409, "needs_confirmation"), asked.text
    assert f" To confirm, repeat the request with {way}" in problem["detail"], problem["detail"]
    confirmed = {**sent, "json": {**sent["json"], "save_anyway": True}} if way.startswith("save_anyway") else sent
    done = await client.request(method, url + (way if way.startswith("?") else "").rstrip("."), **confirmed)
    assert done.status_code < 300, done.text


async def test_a_list_and_its_entries(ada_api: httpx2.AsyncClient) -> None:
    lists, entries = "/api/v1/address-lists", "/api/v1/address-lists/1/entries"
    in_body = "save_anyway: true in its body, or use guardpanel’s own form: /access/lists/new"
    office = {"name": "Office", "kind": "only", "paths": ["/office"], "entries": "192.0.2.7"}
    await must_say(ada_api, "POST", lists, in_body, json=office)
    await must_say(ada_api, "DELETE", f"{entries}/192.0.2.7", "?confirm=true.")
    assert (await ada_api.post(lists, json={"name": "Scanners"})).status_code == 201
    entries = entries.replace("1/entries", "2/entries")
    await must_say(ada_api, "POST", entries, "?confirm=true.", json={"entries": ["127.0.0.1"]})
    await must_say(ada_api, "PUT", entries, "?confirm=true.", content="::1")


async def test_a_ban(ada_api: httpx2.AsyncClient) -> None:
    await must_say(ada_api, "POST", "/api/v1/bans", "?confirm=true.", json={"network": "127.0.0.1"})


async def test_a_virtual_host_that_others_redirect_to(ada_api: httpx2.AsyncClient) -> None:
    row = (await ada_api.post("/api/v1/vhosts", json=a_vhost())).json()
    moved = {"hostnames": ["old.example"], "redirect": "301", "redirect_to": "http://shop.example/b"}
    assert (await ada_api.post("/api/v1/vhosts", json=moved)).status_code == 201
    url, in_body = (
        f"/api/v1/vhosts/{row['id']}",
        "save_anyway: true in its body, or use guardpanel’s own form: /virtual-hosts/",
    )

    await must_say(ada_api, "PATCH", url, in_body, json={"hostnames": ["new.example"]})
    assert (await ada_api.patch(url, json={"hostnames": ["shop.example"]})).status_code == 200
    await must_say(
        ada_api, "DELETE", url, "?confirm=true, or use guardpanel’s own form: /virtual-hosts/1/delete".partition(",")[0]
    )


async def test_a_file(ada_api: httpx2.AsyncClient) -> None:
    site = "address_lists:\n- name: Office\n  kind: only\n  entries: 192.0.2.7\n"
    headers = {"content-type": "application/yaml"}
    for verb in ("plan", "apply"):
        await must_say(
            ada_api, "POST", f"/api/v1/configuration/{verb}", "?save_anyway=true.", content=site, headers=headers
        )


async def test_what_was_written_outside(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    renamed = await ada_api.patch("/api/v1/policies/1", json={"description": "a"})
    assert renamed.status_code == 200
    async with panel.database.write() as session:
        await session.exec(update(Policy).values(description="b"))
    newest = (await ada_api.get("/api/v1/changes")).json()["items"][0]["id"]

    restored = await ada_api.post(f"/api/v1/changes/{newest}/restore", json={})
    assert (restored.status_code, restored.json()["code"]) == (409, "needs_confirmation"), restored.text
    await must_say(ada_api, "POST", f"/api/v1/changes/{newest}/undo", "?confirm=true.")
