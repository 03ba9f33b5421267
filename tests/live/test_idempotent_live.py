"""A POST with an Idempotency-Key is carried out exactly once, whenever the panel is killed in it."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import httpx2
import pytest

from tests.factories import a_vhost
from tests.panel import Panel
from tests.web import bearer

pytestmark = pytest.mark.one_haproxy

PATIENCE_SECONDS = 60.0

MOMENTS = {
    "its change is recorded": "SELECT count(*) FROM idempotencykey WHERE status IS NULL AND change_id IS NOT NULL",
    "its key is stored": "SELECT count(*) FROM idempotencykey WHERE status IS NULL",
}
"When it is killed: as soon as this finds a row. It may be a little further by then, and the promise is the same."

TRIED = MOMENTS if "GUARDPANEL_TEST_ALL" in os.environ else dict([*MOMENTS.items()][:1])
"A start of a panel takes long: the others are for `make nightly`."


def kill_when(panel: Panel, query: str, ended: threading.Event, seen_when: list[str]) -> None:
    """Or if the request ends before that was seen."""
    assert panel.process is not None
    with closing(sqlite3.connect(panel.data / "guardpanel.db", timeout=PATIENCE_SECONDS)) as database:
        while not ended.is_set():
            if database.execute(query).fetchone()[0]:
                seen_when.append(query)
                break
    panel.process.kill()
    panel.process.wait(PATIENCE_SECONDS)


def repeated(client: httpx2.Client, key: str, host: str) -> httpx2.Response:
    """The answer to the request, sent again until it is neither in progress nor kept from being carried out."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = client.post("/vhosts", json=a_vhost(host), headers={"idempotency-key": key})
        if answer.status_code != 503 and answer.json().get("code") not in {"in_progress", "drift"}:
            return answer
        assert time.monotonic() < ends, answer.text


@pytest.fixture(scope="module")
def panel(shared_panel: Panel) -> Iterator[Panel]:
    """The last that needs it: idle to the end of all tests, it would take as much of the processor as its start."""
    yield shared_panel
    shared_panel.stop()


def test_a_killed_request_is_carried_out_exactly_once(panel: Panel) -> None:
    with bearer(panel) as client:
        for number, (moment, query) in enumerate(TRIED.items()):
            key, host, ended, seen_when = f"key {number}", f"once{number}.example", threading.Event(), list[str]()
            killer = threading.Thread(target=kill_when, args=(panel, query, ended, seen_when))
            killer.start()
            with suppress(httpx2.TransportError):
                client.post("/vhosts", json=a_vhost(host), headers={"idempotency-key": key})
            ended.set()
            killer.join()
            assert seen_when == [query], moment
            panel.start()

            answer = repeated(client, key, host)

            lost = answer.status_code == 409 and answer.json()["code"] == "answer_lost"
            assert answer.status_code == 201 or lost, (moment, answer.text)
            found = client.get("/vhosts", params={"per_page": 500}).json()
            assert [row["domain"] for row in found["items"]].count(host) == 1, (moment, found)
