"""The first account, by the one-time link."""

import asyncio

import httpx2
import pytest
from fastapi import FastAPI
from sqlmodel import select

from guardpanel.models import Installation, User
from guardpanel.models.user import Role
from guardpanel.panel import Panel
from tests.conftest import ADA, PASSWORD, someone
from tests.html import read

pytestmark = pytest.mark.anyio

ACCOUNT = {"email": ADA, "full_name": "Ada", "password": PASSWORD}


@pytest.fixture
async def panel(fresh_app: FastAPI) -> Panel:
    panel: Panel = fresh_app.state.panel
    return panel


@pytest.fixture
async def link(panel: Panel) -> str:
    return f"/setup/{await panel.accounts.setup_token()}"


@pytest.fixture
def visitor(fresh_app: FastAPI) -> httpx2.AsyncClient:
    return someone(fresh_app)


async def users(panel: Panel) -> list[User]:
    async with panel.database.read() as session:
        return list((await session.exec(select(User))).all())


async def test_the_link_makes_the_first_administrator_and_logs_in(
    visitor: httpx2.AsyncClient, panel: Panel, link: str
) -> None:
    page = read((await visitor.get(link)).text)

    answer = await visitor.post(link, data=ACCOUNT)

    assert "HAProxy is running" in page.text
    assert answer.headers["location"] == "/"
    assert (await visitor.get("/")).status_code == 200
    assert [(user.email, user.role) for user in await users(panel)] == [(ADA, Role.ADMIN)]


async def test_the_link_works_once(visitor: httpx2.AsyncClient, panel: Panel, link: str) -> None:
    await visitor.post(link, data=ACCOUNT)

    again = await visitor.post(link, data={**ACCOUNT, "email": "eve@example.org"})

    assert again.status_code == 404
    assert (await visitor.get(link)).status_code == 404
    assert len(await users(panel)) == 1


async def test_two_at_the_same_moment_make_one_account(visitor: httpx2.AsyncClient, panel: Panel, link: str) -> None:
    answers = await asyncio.gather(
        *(visitor.post(link, data={**ACCOUNT, "email": f"a{n}@example.org"}) for n in range(5))
    )

    assert sorted(answer.status_code for answer in answers) == [303, 404, 404, 404, 404]
    assert len(await users(panel)) == 1


async def test_only_the_newest_link_works(visitor: httpx2.AsyncClient, panel: Panel, link: str) -> None:
    newer = await panel.accounts.setup_token()

    assert (await visitor.get(link)).status_code == 404
    assert (await visitor.get(f"/setup/{newer}")).status_code == 200


async def test_only_a_hash_of_it_is_kept(panel: Panel, link: str) -> None:
    async with panel.database.read() as session:
        values = (await session.exec(select(Installation.value))).all()

    assert all(link.removeprefix("/setup/") not in value for value in values)


@pytest.mark.parametrize("token", ["x", "%00", "é", "a" * 5000])
async def test_any_other_link_is_nothing(visitor: httpx2.AsyncClient, link: str, token: str) -> None:
    assert (await visitor.get(f"/setup/{token}")).status_code == 404
    assert (await visitor.post(f"/setup/{token}", data=ACCOUNT)).status_code == 404


async def test_there_is_no_link_once_there_is_an_account(visitor: httpx2.AsyncClient, panel: Panel, link: str) -> None:
    await visitor.post(link, data=ACCOUNT)

    assert await panel.accounts.setup_token() is None


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [("password", "short", "at least 12 characters"), ("password", "", "at least 12 characters"), ("email", "ada", "Enter an email address"),
     ("email", "", "Enter an email address"), ("email", "a\u202eda@example.org", "invisible character"), ("full_name", "x" * 201, "At most 200")],
)  # fmt: skip
async def test_an_error_is_shown_at_its_field_and_the_link_stays_valid(
    visitor: httpx2.AsyncClient, panel: Panel, link: str, name: str, typed: str, words: str
) -> None:
    answer = await visitor.post(link, data={**ACCOUNT, name: typed})

    page = read(answer.text)
    assert answer.status_code == 422
    assert words in page.text
    assert page.error_at(name)
    assert page.value("password") == ""
    assert page.value("email") == (typed if name == "email" else ADA)
    assert await users(panel) == []
    assert (await visitor.post(link, data=ACCOUNT)).status_code == 303
