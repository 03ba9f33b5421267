"""Answers to reads are kept until the database changes, and for those who may read."""

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import event
from sqlmodel import update

from guardpanel.api import kept_answers
from guardpanel.api.kept_answers import KeptAnswers
from guardpanel.models import AccessToken, User
from guardpanel.panel import Panel
from tests.api.test_vhosts import VHOST, VHOSTS, make

pytestmark = pytest.mark.anyio

READS = [VHOST, f"{VHOSTS}?per_page=1", "/api/v1/policies/1", "/api/v1/policies/1/exclusions", "/api/v1/certificates"]
"One row, a page, a row of another noun, a bare array, and a list whose rows follow the clock."


@pytest.fixture
async def queries(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read from the database from here on, for answers alone. These are kept however long a busy machine takes."""
    await panel.background.close()
    monkeypatch.setattr(kept_answers, "SECONDS", 3600.0)
    sent: list[str] = []

    @event.listens_for(panel.database.reading.sync_engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    return sent


@pytest.mark.parametrize("path", READS)
async def test_a_read_is_answered_again_without_a_query(
    ada_api: httpx2.AsyncClient, vera_api: httpx2.AsyncClient, queries: list[str], path: str
) -> None:
    await make(ada_api)
    first, of_vera = await ada_api.get(path), await vera_api.get(path)
    assert queries
    queries.clear()

    again = [await ada_api.get(path), await vera_api.get(path)]

    assert queries == []
    for answer, before in zip(again, (first, of_vera), strict=True):
        own = {"x-request-id"}
        assert (answer.status_code, answer.content) == (200, before.content)
        assert {k: v for k, v in answer.headers.items() if k not in own} == {
            k: v for k, v in before.headers.items() if k not in own
        }
        assert answer.headers["x-request-id"] != before.headers["x-request-id"]


async def test_after_a_save_the_new_row_is_read(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api)
    for at in range(3):
        await ada_api.get(VHOST)
        saved = await ada_api.patch(VHOST, json={"description": f"Save {at}"})
        assert saved.status_code == 200
        read = await ada_api.get(VHOST)
        assert read.json()["description"] == f"Save {at}"
        assert read.headers["etag"] == saved.headers["etag"]
    listed = (await ada_api.get(VHOSTS)).json()
    assert [row["description"] for row in listed["items"]] == ["Save 2"]
    await ada_api.delete(VHOST)
    assert (await ada_api.get(VHOST)).status_code == 404
    assert (await ada_api.get(VHOSTS)).json()["total"] == 0


async def test_what_another_process_writes_is_read(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    await make(ada_api)
    await ada_api.get(VHOST)

    with sqlite3.connect(panel.settings.data_dir / "guardpanel.db") as other:
        other.execute("UPDATE virtualhost SET notes = 'Written elsewhere'")
    other.close()

    assert (await ada_api.get(VHOST)).json()["description"] == "Written elsewhere"


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer gp_unknown"}, {"authorization": "Bearer "}])
async def test_it_is_for_those_who_may_read(
    ada_api: httpx2.AsyncClient, nobody: httpx2.AsyncClient, header: dict[str, str]
) -> None:
    await make(ada_api)
    await ada_api.get(VHOST)

    assert (await nobody.get(VHOST, headers=header)).status_code == 401


async def test_not_after_the_log_out_nor_for_a_disabled_account(
    ada_api: httpx2.AsyncClient, vera_api: httpx2.AsyncClient, panel: Panel
) -> None:
    await make(ada_api)
    assert [(await client.get(VHOST)).status_code for client in (ada_api, vera_api)] == [200, 200]

    await ada_api.post("/api/v1/auth/logout")
    assert [(await client.get(VHOST)).status_code for client in (ada_api, vera_api)] == [401, 200]

    async with panel.database.write() as session:
        await session.exec(update(User).values(is_active=False))
    assert (await vera_api.get(VHOST)).status_code == 401


async def test_not_when_the_token_has_ended_meanwhile(
    ada_api: httpx2.AsyncClient, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written when a token ends."""
    await make(ada_api)
    ends = datetime.now(UTC) + timedelta(hours=1)
    async with panel.database.write() as session:
        await session.exec(update(AccessToken).values(expires_at=ends))
    assert (await ada_api.get(VHOST)).status_code == 200

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=2)

    monkeypatch.setattr("guardpanel.services.accounts.bearers.datetime", Later)
    monkeypatch.setattr("guardpanel.services.accounts.tokens.datetime", Later)
    assert (await ada_api.get(VHOST)).status_code == 401


async def test_what_follows_the_clock_is_read_again_after_seconds(
    ada_api: httpx2.AsyncClient, queries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_answers, "SECONDS", 0.0)
    await ada_api.get("/api/v1/certificates")
    queries.clear()

    await ada_api.get("/api/v1/certificates")

    assert queries


async def test_its_memory_is_bounded(ada_api: httpx2.AsyncClient, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_answers, "MOST", 20_000)
    await ada_api.get(VHOSTS)
    kept = next(layer for layer in layers(app) if isinstance(layer, KeptAnswers))

    for page in range(1, 20):
        await ada_api.get(f"{VHOSTS}?page={page}")

    assert 0 < len(kept.answers) < 10
    assert sum(len(answer.body) for answer in kept.answers.values()) < kept.size <= 20_000


async def test_an_answer_that_is_kept_anew_takes_no_more(
    ada_api: httpx2.AsyncClient, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_answers, "SECONDS", 0.0)
    sizes = []
    for _ in range(3):
        await ada_api.get(VHOSTS)
        sizes.append(next(layer for layer in layers(app) if isinstance(layer, KeptAnswers)).size)
    monkeypatch.setattr(kept_answers, "MOST", 100)
    await ada_api.get(f"{VHOSTS}?page=1")
    kept = next(layer for layer in layers(app) if isinstance(layer, KeptAnswers))

    assert sizes[0] == sizes[1] == sizes[2] > 0
    assert [query for _, query in kept.answers] == [b""]


async def test_an_error_is_not_kept(ada_api: httpx2.AsyncClient, app: Any) -> None:
    assert (await ada_api.get(VHOST)).status_code == 404
    assert (await ada_api.get(f"{VHOSTS}?per_page=0")).status_code == 422

    assert next(layer for layer in layers(app) if isinstance(layer, KeptAnswers)).answers == {}


def layers(app: Any) -> list[Any]:
    """The middleware, from the outside."""
    found = [app.middleware_stack]
    while hasattr(found[-1], "app"):
        found.append(found[-1].app)
    return found
