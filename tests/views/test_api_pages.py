"""The reference of the JSON API in the panel: it has what openapi.json has, for those who are logged in."""

import json

import httpx2
import pytest

from guardpanel.views.api_reference import Reference, document
from tests.contracts.operations import DOCUMENT
from tests.html import read

pytestmark = pytest.mark.anyio

PAGE = "/system/api"
Client = httpx2.AsyncClient


def test_it_has_every_operation_with_what_it_takes_and_gives() -> None:
    reference = Reference()
    listed = {operation.id for group in reference.groups() for operation in group.operations}

    assert json.loads(document()) == DOCUMENT
    assert listed == {each["operationId"] for methods in DOCUMENT["paths"].values() for each in methods.values()}
    for name, operation in reference.operations.items():
        whole = DOCUMENT["paths"][operation.path][operation.method.lower()]
        rows = reference.parameters(operation)
        assert [row.name for row in rows] == [each["name"] for each in whole.get("parameters", ())], name
        assert [answer.status for answer in reference.answers(operation)] == list(whole["responses"]), name
        assert (reference.body(operation) is None) == ("requestBody" not in whole), name
        assert all(answer.content for answer in reference.answers(operation) if answer.status in {"200", "201"}), name


def test_rows_within_rows_are_named_by_their_place() -> None:
    reference = Reference()
    body = reference.body(reference.operations["createVirtualHost"])
    assert body
    rows = {row.name: row for row in body.rows}

    assert (rows["servers"].kind, rows["servers[].address"].kind) == ("list of objects", "string")
    assert rows["servers[].address"].is_required
    assert json.loads(body.example)["hostnames"] == ["shop.example"]


@pytest.mark.changes_nothing
async def test_its_pages_are_for_those_who_are_logged_in(vera: Client, nobody: Client) -> None:
    listed, one, missing = [await vera.get(path) for path in (PAGE, f"{PAGE}/updatePolicy", f"{PAGE}/nothing")]
    file = await vera.get(f"{PAGE}/openapi.json")

    assert (listed.status_code, one.status_code, missing.status_code) == (200, 200, 404)
    assert "PATCH /api/v1/policies/{policy_id}" in read(listed.text).text
    assert "If-Match" in read(one.text).text and "412 The row changed" in read(one.text).text
    assert file.json() == DOCUMENT
    assert [(await nobody.get(path)).status_code for path in (PAGE, f"{PAGE}/openapi.json")] == [303, 303]


@pytest.mark.changes_nothing
async def test_the_page_of_the_tokens_links_to_it(ada: Client) -> None:
    assert f'href="{PAGE}"' in (await ada.get("/system/tokens")).text
