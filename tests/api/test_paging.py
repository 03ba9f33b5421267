"""Lists are read to their end by cursors, whatever they list."""

from itertools import chain
from typing import Any

import httpx2
import pytest

from tests.contracts.operations import DOCUMENT

pytestmark = pytest.mark.anyio

NUMBERED = {"listVirtualHosts", "listPolicies", "listLogs"}
"Lists that the React panel reads, by the numbers of their pages."

ROWS: dict[str, list[dict[str, Any]]] = {
    "/api/v1/vhosts": [
        {"hostnames": [f"{name}.example"], "servers": [{"address": "127.0.0.1:80"}]} for name in "abcde"
    ],
    "/api/v1/address-lists": [{"name": name, "kind": "allow"} for name in "abcde"],
    "/api/v1/bans": [{"network": f"192.0.2.{number}"} for number in range(5)],
    "/api/v1/tokens": [{"name": name} for name in "abcde"],
}


async def pages(client: httpx2.AsyncClient, path: str, **query: Any) -> list[list[int]]:
    """Ids, by page."""
    listed: list[list[int]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await client.get(path, params={**query, **({"cursor": cursor} if cursor else {})})).json()
        listed.append([item["id"] for item in page["items"]])
        cursor = page["next_cursor"]
    return listed


@pytest.mark.parametrize("path", ROWS)
async def test_a_list_is_read_to_its_end_by_cursors(ada_api: httpx2.AsyncClient, path: str) -> None:
    made = [(await ada_api.post(path, json=row)).json()["id"] for row in ROWS[path]]

    by_cursor = await pages(ada_api, path, per_page=2)
    whole = await pages(ada_api, path)
    second = (await ada_api.get(path, params={"per_page": 2, "page": 2})).json()
    both = await ada_api.get(path, params={"cursor": "from-2", "page": 2})

    assert [len(page) for page in by_cursor] == [2, 2, 1]
    assert [list(chain(*by_cursor))] == whole
    assert sorted(whole[0]) == sorted(made)
    assert [item["id"] for item in second["items"]] == by_cursor[1]
    assert (both.status_code, both.json()["errors"][0]["parameter"]) == (422, "page")


def test_each_list_has_a_cursor_and_its_older_parameters_are_deprecated() -> None:
    for operations in DOCUMENT["paths"].values():
        names = {
            each["name"]: each.get("deprecated", False) for each in operations.get("get", {}).get("parameters", ())
        }
        name = operations.get("get", {}).get("operationId")
        if (
            {"page", "per_page", "limit", "before", "page_size", "cursor"} & set(names)
            and "hours" not in names
            and name != "listLogs"
        ):
            assert {"cursor", "per_page"} <= set(names), name
            older = {key for key in ("page", "page_size", "limit", "before") if key in names and not names[key]}
            assert older == ({"page"} if name in NUMBERED else set()), name


async def test_a_number_that_sqlite_cannot_have_is_rejected_in_each_query(ada_api: httpx2.AsyncClient) -> None:
    reads = [(path, each["get"]) for path, each in DOCUMENT["paths"].items() if "get" in each and "{" not in path]
    asked = [(path, name) for path, read in reads for name in numbers_of(read)]
    answers = [(path, name, (await ada_api.get(path, params={name: 2**63})).status_code) for path, name in asked]

    assert ("/api/v1/vhosts", "policy_id", 422) in answers
    assert [each for each in answers if each[2] != 422] == []


def numbers_of(operation: dict[str, Any]) -> list[str]:
    """The query parameters that are numbers."""
    parameters = operation.get("parameters", ())
    return [each["name"] for each in parameters if "integer" in str(each["schema"]) and each["in"] == "query"]
