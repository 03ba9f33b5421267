"""Logging in as a program and as the React panel."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlmodel import col, select, update

from guardpanel.models import AccessToken, Session, User
from guardpanel.panel import Panel
from guardpanel.services.accounts.sessions import digest
from tests.conftest import ADA, PASSWORD, take_token

pytestmark = pytest.mark.anyio

LOGIN, REFRESH, LOGOUT, ME = (f"/api/v1/auth/{name}" for name in ("login", "refresh", "logout", "me"))


async def test_log_in_gives_a_token_and_a_cookie_that_only_refreshes(nobody: httpx2.AsyncClient) -> None:
    answer = await nobody.post(LOGIN, json={"email": f" {ADA.upper()} ", "password": PASSWORD})

    assert answer.status_code == 200
    assert answer.json()["access_token"].startswith("gp_")
    assert answer.json()["token_type"] == "bearer"
    assert answer.json()["expires_in"] == 900
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("gp_refresh=")
    for part in ("HttpOnly", "SameSite=strict", "Path=/api/v1/auth"):
        assert part in cookie


async def test_who_am_i(ada_api: httpx2.AsyncClient, vera_api: httpx2.AsyncClient) -> None:
    ada, vera = (await ada_api.get(ME)).json(), (await vera_api.get(ME)).json()

    assert {key: ada[key] for key in ("email", "full_name", "role")} == {
        "email": ADA,
        "full_name": "Ada Lovelace",
        "role": "admin",
    }
    assert vera["role"] == "viewer"


@pytest.mark.parametrize(
    ("body", "status"),
    [({"email": ADA, "password": "wrong"}, 401), ({"email": "no@example.org", "password": PASSWORD}, 401), ({"email": ADA}, 422),
     ({"email": ADA, "password": 7}, 422), ({"email": ADA, "password": PASSWORD, "otp": "1"}, 422), ([], 422), ("x", 422),
     ({"email": "x" * 301, "password": "x"}, 422)],
)  # fmt: skip
async def test_a_failed_login_has_a_detail_string(nobody: httpx2.AsyncClient, body: object, status: int) -> None:
    answer = await nobody.post(LOGIN, json=body)

    assert answer.status_code == status
    assert isinstance(answer.json()["detail"], str)
    assert "access_token" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"email": "\\ud800@x.y", "password": "\\ud800"}', b"NaN"]
)
@pytest.mark.changes_nothing
async def test_what_cannot_be_read_is_a_problem_and_no_fault(nobody: httpx2.AsyncClient, content: bytes) -> None:
    answer = await nobody.post(LOGIN, content=content, headers={"content-type": "application/json"})

    assert answer.status_code in {400, 422}
    assert isinstance(answer.json()["detail"], str)


async def test_many_failures_are_slowed_down(nobody: httpx2.AsyncClient) -> None:
    answers = [await nobody.post(LOGIN, json={"email": ADA, "password": "x"}) for _ in range(7)]

    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].json()["code"] == "too_many_attempts"


async def test_without_a_cookie_there_is_nothing_to_refresh(nobody: httpx2.AsyncClient) -> None:
    answer = await nobody.post(REFRESH)

    assert answer.status_code == 401
    assert answer.json()["detail"] == "Log in again."


async def test_two_tabs_may_refresh_at_once(ada_api: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(ada_api.post(REFRESH) for _ in range(4)))

    tokens = {answer.json()["access_token"] for answer in answers}
    assert len(tokens) == 4
    for token in tokens:
        assert (await ada_api.get(ME, headers={"authorization": f"Bearer {token}"})).status_code == 200


async def test_a_token_ends_by_itself_and_the_cookie_makes_a_new_one(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    async with panel.database.write() as session:
        await session.exec(update(AccessToken).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))

    assert (await ada_api.get(ME)).status_code == 401
    fresh = (await ada_api.post(REFRESH)).json()["access_token"]
    assert (await ada_api.get(ME, headers={"authorization": f"Bearer {fresh}"})).status_code == 200


@pytest.mark.parametrize("with_cookie", [True, False])
async def test_log_out_ends_the_session_and_its_tokens(
    ada_api: httpx2.AsyncClient, panel: Panel, with_cookie: bool
) -> None:
    secret, access = ada_api.cookies["gp_refresh"], ada_api.headers["authorization"].removeprefix("Bearer ")
    if not with_cookie:
        ada_api.cookies.clear()

    answer = await ada_api.post(LOGOUT)

    assert answer.status_code == 204
    assert answer.content == b""
    assert (await ada_api.get(ME)).status_code == 401
    ada_api.cookies.set("gp_refresh", secret, domain="panel.test")
    assert (await ada_api.post(REFRESH)).status_code == 401
    async with panel.database.read() as session:
        assert digest(secret) not in (await session.exec(select(Session.secret_hash))).all()
        assert digest(access) not in (await session.exec(select(AccessToken.secret_hash))).all()


async def test_logout_needs_no_login(nobody: httpx2.AsyncClient) -> None:
    assert (await nobody.post(LOGOUT)).status_code == 204


async def test_the_session_of_the_pages_does_not_refresh(ada: httpx2.AsyncClient) -> None:
    ada.cookies.set("gp_refresh", ada.cookies["gp_session"], domain="panel.test")

    assert (await ada.post(REFRESH)).status_code == 401


async def test_a_disabled_account_loses_its_tokens(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    async with panel.database.write() as session:
        await session.exec(update(User).where(col(User.email) == ADA).values(is_active=False))

    assert (await ada_api.get(ME)).status_code == 401
    assert (await ada_api.post(REFRESH)).status_code == 401


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer gp_nothing", "bearer  x y", "Bearer é"]
)
@pytest.mark.changes_nothing
async def test_anything_else_is_no_token(nobody: httpx2.AsyncClient, header: str) -> None:
    answer = await nobody.get(ME, headers=[(b"authorization", header.encode("latin-1"))])

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_database_has_no_token_in_it(nobody: httpx2.AsyncClient, panel: Panel) -> None:
    token = await take_token(nobody, ADA)

    async with panel.database.read() as session:
        kept = (await session.exec(select(AccessToken.secret_hash))).all()
    assert kept
    assert all(token not in row and token.removeprefix("gp_") not in row for row in kept)
