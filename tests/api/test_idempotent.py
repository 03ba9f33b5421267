"""A POST that is repeated with its Idempotency-Key is carried out once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import col, select, update

from guardpanel.models import IdempotencyKey
from guardpanel.models.revision import Outcome
from guardpanel.panel import Panel
from guardpanel.services.saving import once, revisions
from guardpanel.services.saving.once import Once
from tests.factories import a_vhost
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

VHOSTS = "/api/v1/vhosts"
Client = httpx2.AsyncClient


async def post(client: Client, key: str, path: str = VHOSTS, **body: Any) -> httpx2.Response:
    return await client.post(path, json=body or a_vhost(), headers={"idempotency-key": key})


async def hosts(client: Client) -> int:
    return int((await client.get(VHOSTS)).json()["total"])


async def forgets(panel: Panel) -> None:
    """As if the panel was killed before it answered, and started again."""
    async with panel.database.write() as session:
        await session.exec(update(IdempotencyKey).values(status=None, body=None))
    panel.changes.once = Once(panel.database)


async def test_a_repeated_request_gets_the_same_answer_and_changes_nothing(ada_api: Client) -> None:
    first, again = await post(ada_api, "one"), await post(ada_api, "one")
    other = await post(ada_api, "two", **a_vhost("other.example"))

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 201)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    assert [answer.headers.get("idempotency-replayed") for answer in (first, again)] == [None, "true"]
    assert await hosts(ada_api) == 2


async def test_a_key_is_for_one_request_of_one_person(ada_api: Client, vera_api: Client) -> None:
    await post(ada_api, "one")

    other = await post(ada_api, "one", **a_vhost("other.example"))
    elsewhere = await post(ada_api, "one", "/api/v1/policies", name="Strict")
    hers = await post(vera_api, "one")
    empty, too_long = [await post(ada_api, key, **a_vhost("other.example")) for key in ("", "x" * 256)]

    assert (other.status_code, elsewhere.status_code, hers.status_code, too_long.status_code) == (422, 422, 403, 422)
    assert {answer.json()["errors"][0]["field"] for answer in (other, elsewhere, too_long)} == {"idempotency-key"}
    assert {answer.json()["errors"][0]["message"] for answer in (empty, too_long)} == {"Use 1 to 255 characters."}
    assert await hosts(ada_api) == 1


async def test_requests_at_once_are_carried_out_once(ada_api: Client) -> None:
    answers = await asyncio.gather(*(post(ada_api, "one") for _ in range(5)))

    assert await hosts(ada_api) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"in_progress"}


async def test_what_was_refused_may_be_tried_again(ada_api: Client, engines: FakeEngines) -> None:
    engines.fail("reload")
    failed = await post(ada_api, "one")
    engines.fail(None)

    assert (failed.status_code, (await post(ada_api, "one")).status_code) == (502, 201)
    assert await hosts(ada_api) == 1


async def test_after_a_kill_it_is_known_whether_the_change_went_live(ada_api: Client, panel: Panel) -> None:
    made = await post(ada_api, "one")
    await forgets(panel)

    lost = await post(ada_api, "one")

    assert (made.status_code, lost.status_code, lost.json()["code"]) == (201, 409, "answer_lost")
    assert "as change 2" in lost.json()["detail"]
    async with panel.database.write() as session:
        change = await revisions.find(session, 2)
        change.outcome = Outcome.ROLLED_BACK
        session.add(change)
    await ada_api.delete(f"{VHOSTS}/1")
    assert (await post(ada_api, "one")).status_code == 201


async def test_keys_are_kept_for_a_day_and_only_so_many(
    ada_api: Client, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(ada_api, "one")
    async with panel.database.write() as session:
        await session.exec(update(IdempotencyKey).values(created_at=datetime.now(UTC) - timedelta(hours=25)))
    await ada_api.delete(f"{VHOSTS}/1")
    anew = await post(ada_api, "one")
    monkeypatch.setattr(once, "MOST", 2)
    for number in range(4):
        await post(ada_api, f"ban {number}", "/api/v1/bans", network=f"192.0.2.{number}")

    assert (anew.status_code, anew.headers.get("idempotency-replayed")) == (201, None)
    async with panel.database.read() as session:
        kept = (await session.exec(select(IdempotencyKey).order_by(col(IdempotencyKey.id)))).all()
    assert len(kept) == 2


async def test_a_secret_is_never_kept(ada_api: Client, panel: Panel) -> None:
    await post(ada_api, "one", "/api/v1/tokens", name="deploy")

    async with panel.database.read() as session:
        assert (await session.exec(select(IdempotencyKey))).all() == []
