"""API tokens: what a script may do with one, and when it ends."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from sqlmodel import update

from guardpanel.models import ApiToken
from guardpanel.panel import Panel
from tests.conftest import ADA, someone
from tests.factories import a_policy
from tests.html import read

if TYPE_CHECKING:
    from fastapi import FastAPI

pytestmark = pytest.mark.anyio

TOKENS, PAGE, POLICY = "/api/v1/tokens", "/system/tokens", "/api/v1/policies/1"
Client = httpx2.AsyncClient


async def made(ada_api: Client, **fields: Any) -> dict[str, Any]:
    answer = await ada_api.post(TOKENS, json={"name": "deploy", **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def carry(client: Client, token: str) -> None:
    client.headers["authorization"] = f"Bearer {token}"


@pytest.fixture
async def script(app: "FastAPI") -> AsyncIterator[Client]:
    """A program without a token yet."""
    async with someone(app) as client:
        yield client


async def test_a_token_reads_or_changes_as_its_role_says_and_is_the_author(ada_api: Client, script: Client) -> None:
    reading, operating = await made(ada_api), await made(ada_api, name="Ops", role="operate")

    carry(script, reading["token"])
    read_only = await script.patch(POLICY, json={"description": "by a script"})
    carry(script, operating["token"])
    changed = await script.patch(POLICY, json={"description": "by a script"})

    assert (read_only.status_code, changed.status_code) == (403, 200)
    assert (await script.get("/api/v1/changes")).json()["items"][0]["author"] == "token Ops"


async def test_only_a_hash_is_stored_and_the_secret_is_shown_once(ada_api: Client, panel: Panel) -> None:
    token = await made(ada_api)
    listed = await ada_api.get(TOKENS)

    assert token["token"].startswith("gpt_") and len(token["token"]) > 40
    assert token["token"] not in listed.text
    assert (listed.json()["items"][0]["name"], listed.json()["items"][0]["created_by"]) == ("deploy", ADA)
    files = [path.read_bytes() for path in panel.settings.data_dir.glob("guardpanel.db*")]
    assert files and not any(token["token"].encode() in content for content in files)


async def test_a_revoked_token_ends_at_once(ada_api: Client, script: Client) -> None:
    token = await made(ada_api)
    carry(script, token["token"])
    before = await script.get(POLICY)  # An answer that is kept in memory.

    revoked = await ada_api.delete(f"{TOKENS}/{token['id']}")

    assert (before.status_code, revoked.status_code) == (200, 204)
    assert (await script.get(POLICY)).status_code == 401
    assert (await ada_api.delete(f"{TOKENS}/{token['id']}")).status_code == 404


async def test_an_expired_token_does_nothing_and_a_used_one_says_when(
    ada_api: Client, script: Client, panel: Panel
) -> None:
    token = await made(ada_api, life="30d")
    lasts = datetime.fromisoformat(token["expires_at"]) - datetime.fromisoformat(token["created_at"])
    assert lasts == timedelta(days=30)
    carry(script, token["token"])
    assert (await script.get(POLICY)).status_code == 200
    await asyncio.gather(*panel.accounts.api_tokens._noting.values())
    assert (await ada_api.get(TOKENS)).json()["items"][0]["used_at"] is not None

    async with panel.database.write() as session:
        await session.exec(update(ApiToken).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))

    assert (await script.get(POLICY)).status_code == 401


async def test_a_token_may_require_if_match(ada_api: Client, script: Client) -> None:
    token = await made(ada_api, role="operate", requires_if_match=True)
    carry(script, token["token"])
    etag = (await script.get(POLICY)).headers["etag"]
    body = {"description": "by a script"}

    answers = [
        await script.patch(POLICY, json=body, headers=headers)
        for headers in ({}, {"if-match": "*"}, {"if-match": etag}, {"if-match": etag})
    ]

    assert [answer.status_code for answer in answers] == [428, 428, 200, 412]
    assert answers[0].json()["code"] == "precondition_required"
    assert (await ada_api.patch(POLICY, json=body)).status_code == 200


async def test_no_token_makes_or_revokes_another(ada_api: Client, vera_api: Client, script: Client) -> None:
    token = await made(ada_api, role="operate")
    carry(script, token["token"])

    for client in (script, vera_api):
        answers = [
            await client.get(TOKENS), await client.post(TOKENS, json={"name": "More"}), await client.delete(f"{TOKENS}/{token['id']}")
        ]  # fmt: skip
        assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert len((await ada_api.get(TOKENS)).json()["items"]) == 1


async def test_a_token_opens_no_page(ada_api: Client, script: Client) -> None:
    carry(script, (await made(ada_api, role="operate"))["token"])

    assert (await script.get("/policies/1")).status_code == 303
    assert (await script.post("/policies/1", data=a_policy("Mine"))).status_code in {303, 401, 403}
    assert (await ada_api.get(POLICY)).json()["name"] == "Default"


async def test_the_page_makes_shows_and_revokes_them(ada: Client, vera: Client, script: Client) -> None:
    answer = await ada.post(PAGE, data={"name": "deploy", "role": "read", "life": "forever"})
    shown = read(answer.text)
    secret = next(word for word in shown.text.split() if word.startswith("gpt_"))
    carry(script, secret)
    again = await ada.post(PAGE, data={"name": "deploy", "role": "read", "life": "forever"})
    listed = await ada.get(PAGE)

    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert (await script.get(POLICY)).status_code == 200
    assert again.status_code == 409 and "A token named deploy exists already." in again.text
    assert secret not in listed.text
    assert (await vera.get(PAGE)).status_code == 403
    assert (await ada.post(f"{PAGE}/1/revoke")).status_code == 303
    assert "No tokens yet" in (await ada.get(PAGE)).text
