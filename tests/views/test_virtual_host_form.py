"""The form of a new virtual host."""

import re

import pytest

from tests.conftest import Person
from tests.factories import a_header_rule, a_policy, a_virtual_host
from tests.html import read

pytestmark = pytest.mark.anyio


async def test_a_new_virtual_host_gets_the_oldest_policy_whatever_others_are_called(ada: Person) -> None:
    await ada.post("/policies", data=a_policy(name="API strict"))

    page = (await ada.get("/virtual-hosts/new")).text

    choice = re.search(r'<select[^>]*name="policy_id".*?</select>', page, re.DOTALL)
    assert choice
    assert "API strict" in choice[0]
    assert re.findall(r'<option value="(\d*)"[^>]*\bselected', choice[0]) == ["1"]


async def test_what_a_file_manages_is_marked_and_can_be_saved(ada: Person) -> None:
    host, rules = "/virtual-hosts/1", "/virtual-hosts/1/headers"
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    assert "Applying the file overwrites" not in (await ada.get(host)).text
    managed = a_virtual_host("shop.example", managed_by_file=" ops/site.yaml ", version="1")
    assert (await ada.post(host, data=managed)).status_code == 303
    assert (await ada.post(rules, data=a_header_rule())).status_code == 303

    for path in (host, f"{host}/edit", f"{host}/delete", f"{rules}/new", f"{rules}/1/edit"):
        page = read((await ada.get(path)).text).text
        assert "Managed by file ops/site.yaml" in page, path
        assert "Applying the file overwrites what is saved here." in page
    assert "Applying the file overwrites" not in (await ada.get("/virtual-hosts/new")).text

    url = "https://git.example/ops/site.yaml"
    await ada.post(host, data={**managed, "managed_by_file": url, "version": "2"})
    assert f'<a href="{url}">' in (await ada.get(host)).text


async def test_an_error_of_a_server_names_its_column(ada: Person) -> None:
    fields = a_virtual_host("shop.example", **{"servers.0.weight": "many"})
    page = read((await ada.post("/virtual-hosts", data=fields)).text)

    assert "Weight: Enter a whole number." in page.text


async def test_a_server_without_an_address_keeps_what_was_typed_into_it(ada: Person) -> None:
    second = {"servers.1.address": "", "servers.1.weight": "50", "servers.1.scheme": "http", "servers.1.enabled": "on"}
    refused = await ada.post("/virtual-hosts", data=a_virtual_host("shop.example", **second))

    page = read(refused.text)
    assert refused.status_code == 422
    assert page.error_at("servers.1.address")
    assert page.value("servers.1.weight") == "50"

    added = await ada.post(
        "/virtual-hosts", data=a_virtual_host("shop.example", **{**second, "servers.1.weight": "100"})
    )
    assert added.status_code == 303, "nothing was typed into the row"


async def test_enter_in_a_field_saves_and_removes_no_row(ada: Person) -> None:
    """Browsers press the first submit button of the form: that of a row would take the server out."""
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    for path in (
        "/virtual-hosts/new",
        "/virtual-hosts/1/edit",
        "/virtual-hosts/1/paths/new",
        "/policies/1/custom-rules/new",
    ):
        form = (await ada.get(path)).text.partition(" data-save>")[2]
        first = re.search(r"<button[^>]*>", form)

        assert first
        assert "name=" not in first[0], path
