"""Lists are read to their end by cursors, whatever they list."""

from base64 import urlsafe_b64encode
from itertools import chain
from typing import Any

import httpx2
import pytest

from guardpanel.api.paging import Paging, cursor_after
from tests.contracts.operations import DOCUMENT, there

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


NEW: dict[str, list[dict[str, Any]]] = {
    "/api/v1/vhosts": [{"hostnames": ["aa.example"], "servers": [{"address": "127.0.0.1:80"}]}],
    "/api/v1/address-lists": [{"name": "A list", "kind": "allow"}],
    "/api/v1/bans": [{"network": "192.0.2.9"}],
    "/api/v1/tokens": [{"name": "A token"}],
}
"Of the same lists: rows that come before the second page."


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
    cursor = (await ada_api.get(path, params={"per_page": 2})).json()["next_cursor"]
    both = await ada_api.get(path, params={"cursor": cursor, "page": 2})

    assert [len(page) for page in by_cursor] == [2, 2, 1]
    assert [list(chain(*by_cursor))] == whole
    assert sorted(whole[0]) == sorted(made)
    assert [item["id"] for item in second["items"]] == by_cursor[1]
    assert (both.status_code, both.json()["errors"][0]["parameter"]) == (422, "page")


@pytest.mark.parametrize("path", ROWS)
async def test_rows_that_come_and_go_between_two_pages_double_and_hide_no_others(
    ada_api: httpx2.AsyncClient, path: str
) -> None:
    for row in ROWS[path]:
        await ada_api.post(path, json=row)
    whole = (await pages(ada_api, path))[0]
    first = (await ada_api.get(path, params={"per_page": 3})).json()
    gone = [whole[0], whole[2], whole[3]]  # The cursor's own row, one before it, and one after it.
    for row_id in gone:
        assert (await ada_api.delete(f"{path}/{row_id}")).is_success
    new = [(await ada_api.post(path, json=row)).json()["id"] for row in NEW[path]]

    rest = (await ada_api.get(path, params={"per_page": 3, "cursor": first["next_cursor"]})).json()

    left = [row_id for row_id in (await pages(ada_api, path))[0] if row_id not in new]
    assert [item["id"] for item in first["items"]] == whole[:3]
    assert [item["id"] for item in rest["items"]] == whole[4:]
    assert left == [whole[1], *whole[4:]]


async def test_entries_of_a_list_that_come_and_go_double_and_hide_no_others(ada_api: httpx2.AsyncClient) -> None:
    entries = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"]
    body = {"name": "Theirs", "kind": "allow", "entries": "\n".join(entries)}
    row = f"/api/v1/address-lists/{(await ada_api.post('/api/v1/address-lists', json=body)).json()['id']}"
    first = (await ada_api.get(f"{row}/entries", params={"per_page": 3})).json()

    await ada_api.patch(row, json={"entries": "\n".join(["10.0.0.1", *entries[4:]])})
    rest = (await ada_api.get(f"{row}/entries", params={"per_page": 3, "cursor": first["next_cursor"]})).json()

    assert [entry["network"] for entry in first["items"]] == entries[:3]
    assert [entry["network"] for entry in rest["items"]] == entries[4:]


MADE_UP = [
    b"", b"{", b"1", b"null", b"{}", b"[]", b"[[]]", b"[null]", b"[true]", b"[NaN]", b"[1e999]", b"[-1]", b"[99999999999999999999]",
    b'["a"]', b'["a", 99999999999999999999]', b'["a", -1]', b'["a", -99999999999999999999]', b"[-99999999999999999999]",
    b'["\\ud800", 1]', b'["\\u0000", 1]', b"[9" + b"9" * 2_000 + b"]", b"[" * 2_000,
    b'[99999999999999999999, 0, 0, 0, 0, "a"]', b'[1.5, "a"]', b"\xff",
]  # fmt: skip


async def test_a_cursor_that_no_page_had_is_an_error_or_a_place(ada_api: httpx2.AsyncClient) -> None:
    await ada_api.post("/api/v1/address-lists", json={"name": "Theirs", "kind": "allow", "entries": "192.0.2.1"})
    for row in ROWS["/api/v1/bans"]:
        await ada_api.post("/api/v1/bans", json=row)
    lists = [path for path, each in DOCUMENT["paths"].items() if "after-" in str(each.get("get", {}).get("parameters"))]
    for path in map(there, lists):
        for made_up in MADE_UP:
            cursor = f"after-{urlsafe_b64encode(made_up).decode().rstrip('=')}"
            answer = await ada_api.get(path, params={"cursor": cursor})

            assert answer.status_code in {200, 404, 422, 503}, (path, made_up)
            if answer.status_code == 422:
                assert [error["parameter"] for error in answer.json()["errors"]] == ["cursor"], (path, made_up)
    assert len(lists) > 15


def test_a_cursor_has_room_for_the_longest_key() -> None:
    """An owner, a name and an ID of characters that take most bytes."""
    longest = ("\U0001d4b3" * 255, "\U0001d4b3" * 255, 2**63 - 1)

    assert Paging(cursor=cursor_after(longest)).portion["after"] == longest


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
