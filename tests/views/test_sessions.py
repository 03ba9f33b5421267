"""Logging in and out."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from fastapi import FastAPI
from sqlmodel import col, select, update

from guardpanel.models import Session, User
from guardpanel.panel import Panel
from tests.conftest import ADA, PASSWORD, log_in, someone
from tests.html import read

pytestmark = pytest.mark.anyio

REFUSED = "Incorrect email or password."


async def try_it(
    client: httpx2.AsyncClient, email: str = ADA, password: str = PASSWORD, **more: str
) -> httpx2.Response:
    return await client.post("/login", data={"email": email, "password": password, **more})


async def test_log_in_leads_to_the_page_that_was_wanted(nobody: httpx2.AsyncClient) -> None:
    redirect = await nobody.get("/virtual-hosts?q=shop")
    form = read((await nobody.get(redirect.headers["location"])).text)

    answer = await try_it(nobody, next=form.value("next"))

    assert redirect.status_code == answer.status_code == 303
    assert answer.headers["location"] == "/virtual-hosts?q=shop"
    assert (await nobody.get("/")).status_code == 200


async def test_the_cookie_cannot_be_read_by_scripts_and_holds_nothing_but_chance(
    nobody: httpx2.AsyncClient, panel: Panel
) -> None:
    answer = await try_it(nobody)

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("gp_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    secret = nobody.cookies["gp_session"]
    assert len(secret) == 43
    async with panel.database.read() as session:
        kept = (await session.exec(select(Session.secret_hash))).all()
    assert all(secret not in row and len(row) == 64 for row in kept)


async def test_over_https_the_cookie_is_bound_to_this_host(app: FastAPI) -> None:
    async with someone(app) as client:
        client.base_url = "https://panel.test"
        answer = await try_it(client)

        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-gp_session=")
        assert "Secure" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie
        assert answer.headers["strict-transport-security"]
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(
    ("email", "password"), [(ADA, "wrong"), ("no@example.org", PASSWORD), ("", ""), (ADA, "x" * 9999)]
)
async def test_a_failed_login_does_not_reveal_what_was_wrong(
    nobody: httpx2.AsyncClient, email: str, password: str
) -> None:
    answer = await try_it(nobody, email, password)

    page = read(answer.text)
    assert answer.status_code == 401
    assert REFUSED in page.text
    assert page.error_at("password")
    assert page.value("email") == email
    assert page.value("password") == ""
    assert "set-cookie" not in answer.headers


async def test_many_failures_are_slowed_down(nobody: httpx2.AsyncClient) -> None:
    answers = [await try_it(nobody, password="wrong") for _ in range(7)]

    assert answers[0].status_code == 401
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "Try again in" in read(answers[-1].text).text


async def test_many_failures_at_once_are_slowed_down(nobody: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(try_it(nobody, password="wrong") for _ in range(20)))

    assert sum(answer.status_code == 401 for answer in answers) <= 6


async def test_a_good_log_in_does_not_clear_the_failures_of_its_address(
    nobody: httpx2.AsyncClient, panel: Panel
) -> None:
    for _ in range(4):
        await try_it(nobody, "other@example.org", "wrong")
    await try_it(nobody)

    assert panel.accounts.attempts.by_address.failures["127.0.0.1"][0] == 4


async def test_a_disabled_account_is_logged_out_at_once(ada: httpx2.AsyncClient, panel: Panel) -> None:
    async with panel.database.write() as session:
        await session.exec(update(User).where(col(User.email) == ADA).values(is_active=False))

    assert (await ada.get("/")).status_code == 303
    assert (await try_it(ada)).status_code == 401


async def test_log_out_ends_the_session_on_the_server(ada: httpx2.AsyncClient) -> None:
    secret = ada.cookies["gp_session"]

    answer = await ada.post("/logout")

    assert answer.headers["location"] == "/login"
    assert "gp_session" not in ada.cookies
    ada.cookies.set("gp_session", secret, domain="panel.test")
    assert (await ada.get("/")).status_code == 303


async def test_a_new_log_in_gets_a_new_secret_and_ends_the_old_one(ada: httpx2.AsyncClient) -> None:
    before = ada.cookies["gp_session"]

    await log_in(ada, ADA)

    assert ada.cookies["gp_session"] != before
    ada.cookies.set("gp_session", before, domain="panel.test")
    assert (await ada.get("/")).status_code == 303


@pytest.mark.parametrize(("column", "hours"), [("seen_at", 13), ("created_at", 24 * 8)])
async def test_a_session_ends_by_itself(ada: httpx2.AsyncClient, panel: Panel, column: str, hours: int) -> None:
    async with panel.database.write() as session:
        await session.exec(update(Session).values({column: datetime.now(UTC) - timedelta(hours=hours)}))

    assert (await ada.get("/")).status_code == 303


async def test_last_seen_is_recorded_in_the_background(ada: httpx2.AsyncClient, panel: Panel) -> None:
    old = datetime.now(UTC) - timedelta(hours=2)
    async with panel.database.write() as session:
        await session.exec(update(Session).values(seen_at=old))

    async with panel.database.write():  # a save holds the writer
        async with asyncio.timeout(60):
            assert (await ada.get("/")).status_code == 200
            assert (await ada.get("/")).status_code == 200

    async with asyncio.timeout(60):
        while True:
            async with panel.database.read() as session:
                if max((await session.exec(select(Session.seen_at))).all()) > old:
                    break
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil", "/..//evil.example", "javascript:alert(1)", "/a\nb",
     "http:/evil", "", "evil", "//[", "/%0d%0aset-cookie:a=b\r\n"],
)  # fmt: skip
@pytest.mark.changes_nothing
async def test_redirects_stay_on_this_host(nobody: httpx2.AsyncClient, target: str) -> None:
    answer = await try_it(nobody, next=target)

    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


async def test_who_is_logged_in_needs_no_log_in_page(ada: httpx2.AsyncClient) -> None:
    answer = await ada.get("/login?next=/policies")

    assert answer.headers["location"] == "/policies"


async def test_htmx_gets_the_login_url(nobody: httpx2.AsyncClient) -> None:
    answer = await nobody.get("/policies", headers={"hx-request": "true"})

    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/login?next=%2Fpolicies"


async def test_the_page_for_log_in_says_nothing_of_what_runs(nobody: httpx2.AsyncClient) -> None:
    text = (await nobody.get("/login")).text

    assert "evision" not in text
    assert "HAProxy" not in text


async def test_the_theme_is_kept(ada: httpx2.AsyncClient) -> None:
    answer = await ada.post("/theme", data={"theme": "dark"}, headers={"referer": "http://panel.test/policies?q=a"})

    assert answer.headers["location"] == "/policies?q=a"
    assert 'data-theme="dark"' in (await ada.get("/")).text


async def test_an_unknown_theme_is_no_theme(ada: httpx2.AsyncClient) -> None:
    await ada.post("/theme", data={"theme": '"><script>'})

    assert 'data-theme="auto"' in (await ada.get("/")).text
