"""What the React panel does, in its order, and what it gets: status, and the text that it shows."""

from typing import Any, NamedTuple

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.events import a_log_line, an_event, store
from tests.factories import a_react_policy, a_vhost

pytestmark = pytest.mark.anyio

Client = httpx2.AsyncClient


class Turn(NamedTuple):
    method: str
    path: str
    body: dict[str, Any] | None
    status: int
    detail: str = ""


def backends(*own: dict[str, Any]) -> list[dict[str, Any]]:
    standard = a_vhost()["backends"][0]
    return [{**standard, "url": f"http://127.0.0.1:{3000 + at}", **keys} for at, keys in enumerate(own)]


DOUBLES = [
    Turn("POST", "/vhosts", a_vhost(), 201),
    Turn("POST", "/vhosts", a_vhost(), 409,
         "domain: A virtual host for shop.example already exists."),
    Turn("POST", "/vhosts", a_vhost("blog.example"), 201),
    Turn("PATCH", "/vhosts/2", a_vhost("SHOP.example"), 409,
         "domain: A virtual host for shop.example already exists."),
    Turn("PATCH", "/vhosts/2", a_vhost("blog.example"), 200),
    Turn("POST", "/policies", a_react_policy("Strict"), 201),
    Turn("POST", "/policies", a_react_policy("strict"), 409,
         "name: A policy named Strict already exists."),
    Turn("PATCH", "/policies/2", a_react_policy("default"), 409,
         "name: A policy named Default already exists."),
]  # fmt: skip

NO_BACKEND = "An active virtual host needs an active backend. Activate one, or deactivate the virtual host."

ACTIVE_BACKENDS = [
    Turn("POST", "/vhosts", a_vhost(backends=backends({"is_active": False})), 422, NO_BACKEND),
    Turn("POST", "/vhosts", a_vhost(backends=backends({"is_active": False}), is_active=False), 201),
    Turn("PATCH", "/vhosts/1", {"is_active": True}, 422, NO_BACKEND),
    Turn("PATCH", "/vhosts/1", a_vhost(backends=backends({"is_active": False}, {})), 200),
    Turn("PATCH", "/vhosts/1", a_vhost(backends=backends({"is_active": False}, {"is_active": False})), 422, NO_BACKEND),
    Turn("PATCH", "/vhosts/1", {"servers": [{"address": "127.0.0.1:1", "enabled": False}]}, 409, "No server"),
    Turn("PATCH", "/vhosts/1", {"servers": [{"address": "127.0.0.1:1", "enabled": False}], "save_anyway": True}, 200),
    Turn("PATCH", "/vhosts/1", {"description": "As a page saved it"}, 200),
]

WORDS = [
    Turn("POST", "/vhosts", a_vhost("shop .example"), 422,
         "domain: shop .example is not a hostname: a space is not allowed."),
    Turn("POST", "/vhosts", a_vhost(backends=backends({"url": "http://127.0.0.1:0"})), 422,
         "backend 1 url: "),
    Turn("POST", "/vhosts", a_vhost(backends=backends(*({"url": f"http://a b{at}"} for at in range(3)))), 422,
         "backend 1 url: "),
]  # fmt: skip


@pytest.mark.parametrize("turns", [DOUBLES, ACTIVE_BACKENDS, WORDS], ids=["doubles", "active backends", "words"])
async def test_a_conversation(ada_api: Client, turns: list[Turn]) -> None:
    for turn in turns:
        answer = await ada_api.request(turn.method, f"/api/v1{turn.path}", json=turn.body)

        assert answer.status_code == turn.status, (turn, answer.text)
        if turn.detail:
            assert answer.json()["detail"].startswith(turn.detail), answer.json()["detail"]


async def test_blocked_requests_are_those_of_the_waf(ada_api: Client, panel: Panel) -> None:
    events = [an_event() for _ in range(4)]
    verdicts = ["blocked", "unknown_host", "trailers", "banned"]
    lines = [a_log_line(event, verdict=verdict) for event, verdict in zip(events, verdicts, strict=True)]
    store(panel.settings.events_database, events[:1], lines)

    denied = (await ada_api.get("/api/v1/logs?page_size=1&action=deny")).json()["total"]
    all_of_them = (await ada_api.get("/api/v1/logs?page_size=50")).json()["items"]

    assert denied == 2
    assert [item["verdict"] for item in reversed(all_of_them)] == verdicts
