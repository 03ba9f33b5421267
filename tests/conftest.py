"""The app on a temporary database with fake engines; and people: ada (admin), vera (viewer), nobody."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import hypothesis
import pytest
from sqlmodel import update

from guardpanel.database import Database
from guardpanel.models import AccessToken, Session
from guardpanel.models.user import AccountFields, Role
from guardpanel.panel import Panel
from guardpanel.services.accounts.accounts import Accounts
from guardpanel.services.accounts.tokens import TokenPair
from guardpanel.settings import Settings
from tests.documented import must_be_documented
from tests.fakes import FAKES, FakeEngines, cheap_passwords
from tests.faults import Faults, watched
from tests.panel import faults_of_panels
from tests.ports import free_port

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.routing import BaseRoute

pytest_plugins = ["tests.cheap", "tests.hangs", "tests.left_open", "tests.together", "tests.unchanged"]

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile(
    "nightly",
    max_examples=int(os.environ.get("GUARDPANEL_TEST_EXAMPLES", "2000")),
    deadline=None,
    database=None,
    print_blob=True,
)
hypothesis.settings.load_profile("ci")  # `make nightly` asks for its own

ADA, VERA = "ada@example.org", "vera@example.org"
PASSWORD = "correct horse battery staple"

LOGINS: dict[str, tuple[str, TokenPair]] = {}
"What the template's two have: a browser's cookie, and a program's tokens."

Person = httpx2.AsyncClient


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """GUARDPANEL_TEST_EACH=20: each twentieth alone, as a short `make nightly` runs the long ones."""
    items[:] = items[:: int(os.environ.get("GUARDPANEL_TEST_EACH", "1"))]


@pytest.fixture(autouse=True)
def faults() -> Iterator[Faults]:
    """No background task fails in a test that does not expect it: not here, and not in a panel that runs beside."""
    with watched() as faults:
        yield faults
    elsewhere = faults_of_panels()
    assert faults.unexpected == []
    assert faults.are_expected or elsewhere == []


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A migrated database with Ada and Vera in it, both logged in: copied for each test, since migrating takes a second."""
    folder = Path(tempfile.mkdtemp(prefix="gp"))

    async def make() -> None:
        database = Database(f"sqlite+aiosqlite:///{folder / 'guardpanel.db'}")
        await database.migrate()
        accounts = Accounts(database, cheap_passwords())
        for email, name, role in ((ADA, "Ada Lovelace", Role.ADMIN), (VERA, "Vera Rubin", Role.VIEWER)):
            user = await accounts.create(AccountFields(email=email, full_name=name, password=PASSWORD), role)
            LOGINS[email] = (
                await accounts.sessions.open(user, "127.0.0.1"),
                await accounts.tokens.first(user, "127.0.0.1"),
            )
        async with database.write() as session:  # however long all tests take
            await session.exec(update(Session).values(seen_at=datetime.now(UTC) + timedelta(days=1)))
            await session.exec(update(AccessToken).values(expires_at=datetime.now(UTC) + timedelta(days=1)))
        await database.close()

    asyncio.run(make())
    yield folder / "guardpanel.db"
    shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty data directory with a path short enough for sockets."""
    made = Path(tempfile.mkdtemp(prefix="gp"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def data_dir(folder: Path, template: Path) -> Path:
    """A data directory whose database has Ada and Vera."""
    shutil.copy(template, folder / "guardpanel.db")
    return folder


@pytest.fixture
def settings(folder: Path) -> Settings:
    return settings_in(folder)


def settings_in(folder: Path) -> Settings:
    return Settings(data_dir=folder, listen=f"127.0.0.1:{free_port()}", http_bind=f"127.0.0.1:{free_port()}")


def app_of(settings: Settings) -> "FastAPI":
    """With fake engines. Its code is imported here, since it takes a second, and most engine tests go without."""
    from guardpanel.app import create_app

    return create_app(settings, parts=FAKES)


@pytest.fixture
def app(request: pytest.FixtureRequest) -> Iterator["FastAPI"]:
    """Up, with its first revision live. Tests that are marked `changes_nothing` share one, which starts once for all of a module:
    to start takes longer than most of them. The first of them may make what they need, and none changes it."""
    if request.node.get_closest_marker("changes_nothing") is None:
        yield request.getfixturevalue("own_app")
        return
    kept: FastAPI = request.getfixturevalue("kept_app")
    before = kept.state.panel.engines.deployments
    yield kept
    assert before == 1 or kept.state.panel.engines.deployments == before, "it is marked `changes_nothing`"


@pytest.fixture
async def own_app(settings: Settings, data_dir: Path) -> AsyncIterator["FastAPI"]:
    async with running(app_of(settings)) as made:
        yield made


@pytest.fixture(scope="module")
async def kept_app(template: Path) -> AsyncIterator["FastAPI"]:
    folder = Path(tempfile.mkdtemp(prefix="gp"))
    shutil.copy(template, folder / "guardpanel.db")
    async with running(app_of(settings_in(folder))) as made:
        yield made
    shutil.rmtree(folder)


@pytest.fixture
async def fresh_app(settings: Settings) -> AsyncIterator["FastAPI"]:
    """At its first start: nobody has an account."""
    async with running(app_of(settings)) as made:
        yield made


routes: "list[BaseRoute]" = []
"What FastAPI has worked out of the first app's routes: it takes as long as a whole test, and knows nothing of the settings."


class running:  # noqa: N801 used like a function
    """The app between its start and its end. A test sees a few pages of each app: what a panel makes before its first visitor is
    made when it is asked for. The live tests and the browser have it as it is."""

    def __init__(self, app: "FastAPI") -> None:
        self.app = app
        routes.extend(() if routes else app.router.routes)
        app.router.routes[:] = routes
        self.lifespan = app.router.lifespan_context(app)

    async def __aenter__(self) -> "FastAPI":
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("guardpanel.app.warm_up", lambda _: None)
            await self.lifespan.__aenter__()
        async with asyncio.timeout(60):
            while self.app.state.panel.starting:
                await asyncio.sleep(0.005)
        assert self.app.state.panel.problem is None
        return self.app

    async def __aexit__(self, *error: object) -> None:
        await self.lifespan.__aexit__(*error)  # type: ignore[arg-type]


@pytest.fixture
def panel(app: "FastAPI") -> Panel:
    made: Panel = app.state.panel
    return made


@pytest.fixture
def engines(panel: Panel) -> FakeEngines:
    assert isinstance(panel.engines, FakeEngines)
    return panel.engines


def someone(app: "FastAPI", **others: object) -> Person:
    """A browser without a session. A fault of the app is its 500 page, as it would be in a browser. What the API gives that
    `openapi.json` does not have fails the test."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    hooks = {"response": [must_be_documented]}
    return httpx2.AsyncClient(transport=transport, base_url="http://panel.test", event_hooks=hooks, **others)  # type: ignore[arg-type]


@pytest.fixture
async def nobody(app: "FastAPI") -> AsyncIterator[Person]:
    async with someone(app) as client:
        yield client


@pytest.fixture
async def ada(app: "FastAPI") -> AsyncIterator[Person]:
    """An administrator with a browser, logged in."""
    async with someone(app) as client:
        be_logged_in(client, ADA)
        yield client


@pytest.fixture
async def vera(app: "FastAPI") -> AsyncIterator[Person]:
    """A viewer with a browser, logged in."""
    async with someone(app) as client:
        be_logged_in(client, VERA)
        yield client


@pytest.fixture
async def ada_api(app: "FastAPI") -> AsyncIterator[Person]:
    """An administrator's program."""
    async with someone(app) as client:
        have_token(client, ADA)
        yield client


@pytest.fixture
async def vera_api(app: "FastAPI") -> AsyncIterator[Person]:
    """A viewer's program."""
    async with someone(app) as client:
        have_token(client, VERA)
        yield client


def be_logged_in(client: Person, email: str) -> None:
    """As after `log_in`, but it was done once for all tests."""
    from guardpanel.dependencies import COOKIE

    client.cookies.set(COOKIE, LOGINS[email][0], domain="panel.test")


def have_token(client: Person, email: str) -> None:
    """As after `take_token`, but it was done once for all tests."""
    from guardpanel.dependencies import REFRESH_COOKIE

    tokens = LOGINS[email][1]
    client.cookies.set(REFRESH_COOKIE, tokens.refresh, domain="panel.test", path="/api/v1/auth")
    client.headers["authorization"] = f"Bearer {tokens.access}"


async def log_in(client: Person, email: str, password: str = PASSWORD) -> None:
    answer = await client.post("/login", data={"email": email, "password": password})
    assert answer.status_code == 303, answer.text


async def take_token(client: Person, email: str, password: str = PASSWORD) -> str:
    answer = await client.post("/api/v1/auth/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    token = str(answer.json()["access_token"])
    client.headers["authorization"] = f"Bearer {token}"
    return token
