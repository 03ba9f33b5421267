"""Changes over JSON: what was done, what it changed, and the way back."""

from typing import Any

import httpx2
import pytest

from tests.conftest import ADA
from tests.factories import a_vhost
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

CHANGES = "/api/v1/changes"
Client = httpx2.AsyncClient


async def got(client: Client, path: str, **query: object) -> Any:
    answer = await client.get(f"{CHANGES}{path}", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def three(ada_api: Client, engines: FakeEngines) -> Client:
    """After the first configuration: a virtual host was added, edited, and edited in vain."""
    await ada_api.post("/api/v1/vhosts", json=a_vhost("shop.example"))
    await ada_api.patch("/api/v1/vhosts/1", json={"balance": "first"})
    engines.reject("balance", "no such algorithm", noun="virtual_host", noun_id=1)
    await ada_api.patch("/api/v1/vhosts/1", json={"balance": "random"})
    engines.rejection = None
    return ada_api


async def test_all_changes_are_listed_page_by_page(three: Client) -> None:
    first = await got(three, "", per_page=3)
    second = await got(three, "", per_page=3, cursor=first["next_cursor"])

    assert [change["id"] for page in (first, second) for change in page["items"]] == [4, 3, 2, 1]
    assert (first["total"], second["total"], second["next_cursor"]) == (4, 4, None)
    rejected, edited = first["items"][:2]
    assert (rejected["outcome"], rejected["revision"], rejected["row"]) == ("rejected", None, "virtual_host:1")
    assert (edited["outcome"], edited["revision"], edited["author"]) == ("live", 3, ADA)
    assert {step["name"] for step in edited["steps"]} >= {"render", "reload"}


async def test_a_change_is_compared_with_what_was_before_and_with_a_revision(three: Client) -> None:
    did = await got(three, "/3/comparison")
    would_have = await got(three, "/4/comparison")
    against = await got(three, "/3/comparison", against=1)

    (row,) = did["differences"]
    assert (row["row"], row["kind"]) == ("virtual_host:1", "changed")
    assert [(field["name"], field["after"]) for field in row["fields"]] == [("balance", "First available")]
    assert "-  balance roundrobin" in did["haproxy"].replace("    balance", "  balance")
    assert would_have["differences"][0]["fields"][0]["after"] == "Random"
    assert against["differences"][0]["kind"] == "added"


async def test_a_note_is_kept_with_the_change(three: Client, vera_api: Client) -> None:
    refused = await vera_api.patch(f"{CHANGES}/3", json={"note": "Mine"})
    noted = await three.patch(f"{CHANGES}/3", json={"note": "As agreed"})

    assert (refused.status_code, noted.status_code) == (403, 200)
    assert (await got(vera_api, "/3"))["note"] == "As agreed"


async def test_the_last_change_is_undone(three: Client) -> None:
    early, undone = await three.post(f"{CHANGES}/2/undo"), await three.post(f"{CHANGES}/3/undo")

    assert (early.status_code, undone.status_code) == (409, 200)
    assert (undone.json()["change_id"], undone.json()["row"]) == (5, "virtual_host:1")
    assert undone.json()["deployment"]["status"] == "live"
    assert (await three.get("/api/v1/vhosts/1")).json()["balance"] == "roundrobin"
    assert [(await got(three, f"/{number}"))["is_undoable"] for number in (3, 5)] == [False, True]


async def test_everything_or_one_row_is_restored(three: Client) -> None:
    plan = await got(three, "/1/restore")
    one = await three.post(f"{CHANGES}/2/restore", json={"row": "virtual_host:1"})
    all_rows = await three.post(f"{CHANGES}/1/restore", json={})

    assert [(row["row"], row["kind"]) for row in plan["differences"]] == [("virtual_host:1", "removed")]
    assert (one.json()["row"], all_rows.json()["row"]) == ("virtual_host:1", None)
    assert (await got(three, f"/{all_rows.json()['change_id']}"))["rows"] == ["virtual_host:1"]
    assert (await three.get("/api/v1/vhosts")).json()["total"] == 0


@pytest.mark.parametrize(
    ("change", "row", "status"),
    [
        ("2", "user:1", 422),
        ("2", "virtual_host", 422),
        ("2", "virtual_host:9", 404),
        ("4", None, 404),
        ("9", None, 404),
    ],
)
async def test_what_there_is_not_is_not_restored(three: Client, change: str, row: str | None, status: int) -> None:
    answer = await three.post(f"{CHANGES}/{change}/restore", json={"row": row} if row else {})

    assert answer.status_code == status, answer.text
    assert (await got(three, ""))["total"] == 4
