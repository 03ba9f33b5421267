"""A background task that fails is told where people and machines look, and begins again by itself."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError

from guardpanel.app import create_app
from guardpanel.background import Background, Health
from guardpanel.engines import Drift, Place
from guardpanel.panel import Panel
from guardpanel.services.saving import revisions
from guardpanel.services.truth import startup
from guardpanel.settings import Settings
from tests.conftest import ADA, running, someone, take_token
from tests.fakes import FAKES
from tests.faults import Faults
from tests.html import read
from tests.views.test_probes import figure

pytestmark = pytest.mark.anyio

HURRIED = replace(FAKES, background=lambda: Background(lambda seconds: asyncio.sleep(min(seconds, 0.01))))
"A panel whose pauses are over at once."

LOCKED = OperationalError("BEGIN", None, Exception("database is locked"))


@pytest.fixture
async def app(settings: Settings, data_dir: Path) -> AsyncIterator[FastAPI]:
    async with running(create_app(settings, parts=HURRIED)) as made:
        yield made


@contextmanager
def broken(owner: object, name: str, error: Exception) -> Iterator[Callable[[], None]]:
    """While this lasts, the function raises this; or until what this gives is called."""

    def fail(*_: object, **__: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(owner, name, fail)
        yield patched.undo


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.005)


def health_of(panel: Panel, task: str) -> Health:
    return next(health for health in panel.background.health if health.name == task)


PLANTS: dict[str, tuple[str, Callable[[Panel], object], str, Exception]] = {
    "an unforeseen fault": ("reconcile", lambda panel: panel.engines, "inspect", KeyError("patience")),
    "a locked database": ("reconcile", lambda _: revisions, "open_deployments", LOCKED),
    "a broken disk": ("retention", lambda panel: panel.engines.releases, "numbers", OSError("Input/output error")),
    "a resolver's fault": ("server names", lambda panel: panel.engines, "follow_names", RuntimeError("no resolver")),
}


@pytest.mark.parametrize("plant", PLANTS)
async def test_a_failing_task_is_reported_everywhere_and_restarts(
    plant: str, panel: Panel, ada: httpx2.AsyncClient, faults: Faults
) -> None:
    task, owner, name, error = PLANTS[plant]
    faults.expect()
    await take_token(ada, ADA)
    with broken(owner(panel), name, error):
        panel.changes.saved.set()  # retention's pause is over
        await until(lambda: health_of(panel, task).failures >= 2)
        line, state = read((await ada.get("/live")).text).text, (await ada.get("/api/v1/runtime/status")).json()
        ready, metrics = await ada.get("/readyz"), (await ada.get("/metrics")).text
        system = read((await ada.get("/system")).text).text

    assert "Background task failing" in line
    assert f"{task}: failed" in line
    assert state["state"] == "fault"
    assert ready.status_code == 503
    assert ready.json()["background"].startswith(f"{task}: failed ")
    assert str(error) not in ready.text, "what it says may be secret"
    assert figure(metrics, f'guardpanel_background_failures{{task="{task}"}}') >= 2
    assert figure(metrics, f'guardpanel_background_restarts{{task="{task}"}}') >= 2
    assert f"{type(error).__name__}, " in system
    logged = logging.Formatter().format(faults.records[0])
    assert f"background task {task} failed" in logged
    assert "Traceback" in logged

    await until(lambda: not panel.background.failing)
    metrics = (await ada.get("/metrics")).text
    assert (await ada.get("/readyz")).json()["background"] == "ok"
    assert figure(metrics, f'guardpanel_background_failures{{task="{task}"}}') == 0
    assert figure(metrics, f'guardpanel_background_last_success_timestamp_seconds{{task="{task}"}}') > 0
    assert "Background task failing" not in (await ada.get("/live")).text


async def test_a_start_that_fails_is_tried_again(settings: Settings, data_dir: Path, faults: Faults) -> None:
    faults.expect()
    app = create_app(settings, parts=HURRIED)
    with broken(startup, "bring_up", KeyError("facts")) as mended:
        async with app.router.lifespan_context(app), someone(app) as client:
            panel: Panel = app.state.panel
            await until(lambda: health_of(panel, "start").failures >= 2)
            mended()
            assert (await client.get("/readyz")).json()["revision"] != "ok"
            await until(lambda: not panel.background.failing and panel.changes.watch.has_looked)
            assert (await client.get("/readyz")).json()["ready"] is True


async def test_a_session_is_noted_once_the_database_takes_it(
    app: FastAPI, panel: Panel, ada: httpx2.AsyncClient, faults: Faults
) -> None:
    faults.expect()
    with broken(panel.database, "write", LOCKED), pytest.MonkeyPatch.context() as patched:
        patched.setattr("guardpanel.services.accounts.sessions.SEEN_EVERY", -timedelta(days=2))
        await ada.get("/live")
        await until(lambda: health_of(panel, "sessions").failures >= 2)

    await until(lambda: health_of(panel, "sessions").failures == 0)


class Clock:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def clock(panel: Panel) -> Clock:
    """The clock by which looks are old; the last one was just now, and no other comes."""
    made = panel.changes.watch.clock = Clock()
    await panel.background.close()
    panel.changes.watch.record(panel.changes.watch.drift)
    return made


async def test_a_look_that_is_too_old_verifies_nothing(panel: Panel, ada: httpx2.AsyncClient, clock: Clock) -> None:
    await take_token(ada, ADA)
    clock.now += 10
    assert (await ada.get("/readyz")).json()["ready"] is True
    assert "Revision 1 is live verified" in read((await ada.get("/live")).text).text

    clock.now += 2
    page = read((await ada.get("/")).text).text
    answer = (await ada.get("/api/v1/runtime/status")).json()
    ready = await ada.get("/readyz")

    for text in (page, read((await ada.get("/live")).text).text):
        assert "Not verified for 12 s" in text
        assert "Revision 1 last verified" in text
        assert "Revision 1 is live" not in text
    assert (answer["state"], answer["words"]) == ("unverified", "Not verified for 12 s")
    assert (ready.status_code, ready.json()["revision"]) == (503, "revision 1 is not verified for 12 s")
    assert figure((await ada.get("/metrics")).text, "guardpanel_verified_age_seconds") == 12
    for path in ("/virtual-hosts", "/policies", "/system/drift"):
        assert "Not verified for 12 s" in (await ada.get(path)).text


async def test_drift_that_was_seen_too_long_ago_may_be_gone(
    panel: Panel, ada: httpx2.AsyncClient, clock: Clock
) -> None:
    panel.changes.watch.record((Drift(Place.FILES, "hosts.map was changed by hand."),))
    clock.now += 200

    text = read((await ada.get("/live")).text).text

    assert "Not verified for 3 min" in text
    assert "Drift: Release files, detected" in text


async def test_a_loop_that_is_dead_cannot_say_that_all_is_verified(
    panel: Panel, ada: httpx2.AsyncClient, faults: Faults
) -> None:
    """The whole way: the tick raises, time passes, the page says so; the tick works again, and it is verified."""
    faults.expect()
    clock = panel.changes.watch.clock = Clock()
    await until(lambda: panel.changes.watch.age == 0)
    with broken(panel.engines, "inspect", KeyError("patience")):
        await until(lambda: health_of(panel, "reconcile").failures >= 1)
        clock.now += 3_700
        text = read((await ada.get("/live")).text).text
    assert "Not verified for 61 min" in text
    assert "reconcile: failed" in text

    await until(lambda: panel.changes.watch.age == 0)
    assert "Revision 1 is live verified" in read((await ada.get("/live")).text).text


async def test_an_ingest_that_stores_nothing_is_reported_everywhere(panel: Panel, ada: httpx2.AsyncClient) -> None:
    await take_token(ada, ADA)
    full: dict[str, object] = {"problem": "Events can’t be stored: database or disk is full."}

    async def say() -> dict[str, object]:
        return full

    panel.ingest_watch.ask = say
    await until(lambda: bool(panel.changes.watch.ingest))
    line, ready = read((await ada.get("/live")).text).text, await ada.get("/readyz")
    state = (await ada.get("/api/v1/runtime/status")).json()

    assert "Events are not being recorded" in line
    assert "Events can’t be stored: database or disk is full." in line
    assert (ready.status_code, ready.json()["ingest"]) == (503, full["problem"])
    assert (state["state"], state["words"]) == ("fault", "Events are not being recorded")

    full["problem"] = None
    await until(lambda: not panel.changes.watch.ingest)
    assert "is live" in read((await ada.get("/live")).text).text
    assert (await ada.get("/readyz")).json()["ready"] is True
