"""An ingest that fails, hangs or is gone is told beside the pages, and one that is well or only starts is not."""

import socket
from functools import partial
from pathlib import Path

import pytest

from guardpanel.ingest.status import Status
from guardpanel.services.events import state
from guardpanel.services.events.watching import PATIENCE_SECONDS, IngestWatch
from guardpanel.services.saving.watch import Watch
from guardpanel.settings import Settings
from tests.views.test_background import Clock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(settings: Settings, clock: Clock) -> IngestWatch:
    return IngestWatch(Watch(clock), partial(state.ask, settings))


def serving(path: Path, problem: str | None) -> Status:
    return Status(path, lambda: {"lag_bytes": 9, "lag_seconds": 99.0, "problem": problem})


async def test_an_ingest_that_cannot_store_is_reported_until_it_can(watch: IngestWatch, settings: Settings) -> None:
    status = serving(settings.ingest_socket, "Events can’t be stored: database or disk is full.")
    await watch.look()
    notice = watch.watch.ingest
    status.close()

    status = serving(settings.ingest_socket, None)
    await watch.look()
    status.close()

    assert notice == "Events can’t be stored: database or disk is full."
    assert watch.watch.ingest == "", "one that is only behind reads what it can"


async def test_a_missing_ingest_is_reported_after_its_time_to_start(
    watch: IngestWatch, settings: Settings, clock: Clock
) -> None:
    clock.now += PATIENCE_SECONDS
    await watch.look()
    starting = watch.watch.ingest
    clock.now += 1
    await watch.look()

    assert (starting, watch.watch.ingest) == ("", "Event ingest is not running. New events are queued on disk.")

    status = serving(settings.ingest_socket, None)
    await watch.look()
    status.close()
    assert watch.watch.ingest == ""
    clock.now += PATIENCE_SECONDS
    await watch.look()
    assert watch.watch.ingest == "", "it is started again meanwhile"


async def test_a_hanging_ingest_is_reported_like_a_missing_one(
    watch: IngestWatch, settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process that was stopped: the kernel takes the connection, and nobody answers."""
    monkeypatch.setattr(state, "PATIENCE_SECONDS", 0.01)
    settings.ingest_socket.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(settings.ingest_socket))
        silent.listen()
        clock.now += PATIENCE_SECONDS + 1
        await watch.look()

    assert watch.watch.ingest.startswith("Event ingest is not running.")
