"""The app on a temporary database with fake engines; and people: ada (admin), vera (viewer), nobody."""

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosqlite.core
import httpx2
import hypothesis
import pytest
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import LRUCache

from guardpanel.database import Database
from guardpanel.models.user import AccountFields, Role
from guardpanel.panel import Panel
from guardpanel.services.accounts.accounts import Accounts
from guardpanel.settings import Settings
from tests.driver import AtOnce, NoThread
from tests.fakes import FAKES, FakeEngines, cheap_passwords
from tests.faults import Faults, watched
from tests.panel import faults_of_panels
from tests.ports import free_port

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.routing import BaseRoute

pytest_plugins = ["tests.hangs", "tests.together", "tests.unchanged"]

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

Person = httpx2.AsyncClient


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """GUARDPANEL_TEST_EACH=20: each twentieth alone, as a short `make nightly` runs the long ones."""
    items[:] = items[:: int(os.environ.get("GUARDPANEL_TEST_EACH", "1"))]


def pytest_collection_finish() -> None:
    """What is imported stays: looking for garbage in it, and after every 700 objects, took a twentieth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The event loop that the panel has, too."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(autouse=True)
def faults() -> Iterator[Faults]:
    """No background task fails in a test that does not expect it: not here, and not in a panel that runs beside."""
    with watched() as found:
        yield found
    elsewhere = faults_of_panels()
    assert found.unexpected == []
    assert found.are_expected or elsewhere == []


@pytest.fixture(autouse=True, scope="session")
def compiled_once() -> Iterator[None]:
    """Each test's database is a new one; what SQLAlchemy compiles for it is the same SQL: a sixth of all tests' time."""
    compiled = LRUCache[Any, Any](2000)
    make = AsyncEngine.__init__

    def share(self: AsyncEngine, sync_engine: Engine) -> None:
        make(self, sync_engine)
        sync_engine._compiled_cache = compiled

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(AsyncEngine, "__init__", share)
        # It is a part of the cache's key.
        patched.setattr(SQLiteDialect_aiosqlite, "__eq__", lambda one, other: type(one) is type(other))
        patched.setattr(SQLiteDialect_aiosqlite, "__hash__", lambda one: hash(type(one)))
        yield


@pytest.fixture(autouse=True, scope="session")
def at_once() -> Iterator[None]:
    """The database's driver works in the event loop, and answers in its next turn, as if its thread were that fast: to wake
    one another took both a third of all tests' time. tests/test_database.py and the live tests have it as it is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(aiosqlite.core, "SimpleQueue", AtOnce)
        patched.setattr(aiosqlite.core, "Thread", NoThread)
        yield


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A migrated database with Ada and Vera in it: copied for each test, since migrating takes a second."""
    folder = Path(tempfile.mkdtemp(prefix="gp"))

    async def make() -> None:
        database = Database(f"sqlite+aiosqlite:///{folder / 'guardpanel.db'}")
        await database.migrate()
        accounts = Accounts(database, cheap_passwords())
        for email, name, role in ((ADA, "Ada Lovelace", Role.ADMIN), (VERA, "Vera Rubin", Role.VIEWER)):
            await accounts.create(AccountFields(email=email, full_name=name, password=PASSWORD), role)
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
    return Settings(data_dir=folder, listen=f"127.0.0.1:{free_port()}", http_bind=f"127.0.0.1:{free_port()}")


def app_of(settings: Settings) -> "FastAPI":
    """With fake engines. Its code is imported here, since it takes a second, and most engine tests go without."""
    from guardpanel.app import create_app

    return create_app(settings, parts=FAKES)


@pytest.fixture
async def app(settings: Settings, data_dir: Path) -> AsyncIterator["FastAPI"]:
    """Up, with its first revision live."""
    async with running(app_of(settings)) as made:
        yield made


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
    """A browser without a session. A fault of the app is its 500 page, as it would be in a browser."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://panel.test", **others)  # type: ignore[arg-type]


@pytest.fixture
async def nobody(app: "FastAPI") -> AsyncIterator[Person]:
    async with someone(app) as client:
        yield client


@pytest.fixture
async def ada(app: "FastAPI") -> AsyncIterator[Person]:
    """An administrator with a browser."""
    async with someone(app) as client:
        await log_in(client, ADA)
        yield client


@pytest.fixture
async def vera(app: "FastAPI") -> AsyncIterator[Person]:
    """A viewer with a browser."""
    async with someone(app) as client:
        await log_in(client, VERA)
        yield client


@pytest.fixture
async def ada_api(app: "FastAPI") -> AsyncIterator[Person]:
    """An administrator's program."""
    async with someone(app) as client:
        await take_token(client, ADA)
        yield client


@pytest.fixture
async def vera_api(app: "FastAPI") -> AsyncIterator[Person]:
    """A viewer's program."""
    async with someone(app) as client:
        await take_token(client, VERA)
        yield client


async def log_in(client: Person, email: str, password: str = PASSWORD) -> None:
    answer = await client.post("/login", data={"email": email, "password": password})
    assert answer.status_code == 303, answer.text


async def take_token(client: Person, email: str, password: str = PASSWORD) -> str:
    answer = await client.post("/api/v1/auth/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    token = str(answer.json()["access_token"])
    client.headers["authorization"] = f"Bearer {token}"
    return token
