"""From a request through HAProxy to its event: whole, with HAProxy's own verdict and under HAProxy's request id."""

import asyncio
import json
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guardpanel.database import Database
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.processes.rotation import rotate_access_log
from guardpanel.events.schema import open_to_read
from guardpanel.events.traffic import ALL, UNKNOWN, Count
from guardpanel.ingest.run import Ingest
from guardpanel.services.events import EventDetail, EventFilter, EventItem, Events, Verdict
from guardpanel.services.events.traffic import traffic
from guardpanel.settings import Settings
from tests.live.origins import Origin
from tests.live.stack import Stack, wait_until
from tests.live.wire import head
from tests.rows import rows

ATTACK = "/list?id=1%27%20OR%20%271%27%3D%271"

POLICIES = {
    "Blocks": {"enforcement_mode": "block", "body_limit_kib": 1, "masked_fields": ["pin"]},
    "Watches": {"enforcement_mode": "detect_only", "body_limit_kib": 1, "over_limit": "pass"},
    "Reads": {"enforcement_mode": "block", "response_inspection": True},
}


@pytest.fixture
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    common = {"servers": [{"address": server.address}], "health_check": False}
    hosts = {f"{name.lower()}.test": {**common, "policy": name} for name in POLICIES}
    with Stack(haproxy, rows(POLICIES, hosts), events=True) as running:
        yield running


def visit(stack: Stack, host: str, target: str, method: str = "GET", body: bytes = b"", **headers: str) -> int:
    """As a visitor: without the panel's secret, which would make no events."""
    sent = {"user-agent": "Mozilla/5.0", "accept": "*/*", **headers}
    if body:
        sent |= {"content-length": str(len(body)), "content-type": "application/x-www-form-urlencoded"}
    return stack.send(head(method, host, target, sent), body).status


async def event_of(stack: Stack, filters: EventFilter, enough: Callable[[EventDetail], bool]) -> EventDetail:
    """The one event that matches, once both have spoken of it."""
    settings = Settings(data_dir=stack.folder)
    database = Database(settings.database)
    await database.migrate()
    events = Events(settings, database)
    try:
        with closing(Ingest(settings)) as ingest:
            ends = time.monotonic() + 60
            while True:
                while ingest.step():
                    pass
                items = (await events.page(filters)).items
                event = await events.find(items[0].request_id) if items else None
                if event is not None and enough(event):
                    assert len(items) == 1
                    return event
                assert time.monotonic() < ends, (items, event)
                await asyncio.sleep(0.05)
    finally:
        await events.close()
        await database.close()


def both(event: EventDetail) -> bool:
    return event.agent_line is not None and event.proxy is not None


def alone(event: EventDetail) -> bool:
    return event.proxy is not None


def dropped_logs(stack: Stack) -> int:
    """The newest worker's."""
    return int(asyncio.run(MasterCli(stack.folder / "master.sock").info())["droppedlogs"])


def log_line(stack: Stack, item: EventItem) -> dict[str, Any]:
    return next(line for line in stack.access_log() if line["id"] == item.request_id)


def test_a_request_id_tells_its_moment(stack: Stack) -> None:
    """RFC 9562 §5.7; by it ids stand in the order of time where events are kept."""
    visit(stack, "nobody.test", "/")

    wait_until(stack.access_log, "the line is in the access log")
    line = stack.access_log()[-1]

    request_id = uuid.UUID(line["id"])
    assert (request_id.version, request_id.variant) == (7, uuid.RFC_4122)
    assert abs((request_id.int >> 80) / 1000 - line["time"]) < 60
    assert line["id"] == str(request_id)


@pytest.mark.anyio
async def test_an_attack_is_recorded_with_all_its_rules(stack: Stack) -> None:
    assert visit(stack, "blocks.test", f"{ATTACK}&pin=0815&x=%ff", cookie="session=geheim") == 403

    event = await event_of(stack, EventFilter(verdict=Verdict.BLOCKED), both)

    item, line = event.item, log_line(stack, event.item)
    assert (item.virtual_host_id, item.policy_id, item.status, item.method, item.host, item.path) == (
        1,
        1,
        403,
        "GET",
        "blocks.test",
        "/list",
    )
    assert item.application == line["application"] in {application.name for application in stack.bundle.applications}
    assert line["checksum"] == stack.bundle.checksum
    assert set(map(int, line["rules"].split(","))) <= set(item.rules)
    assert {rule.id for rule in event.rules} == set(item.rules)
    assert item.score >= event.scores["inbound_anomaly_score_threshold"] == 5
    assert item.severity == "critical"
    assert event.deciding_rule == 949110
    assert "pin=[masked]" in event.uri
    assert "0815" not in json.dumps(event.agent_line.decode() if event.agent_line else "")


@pytest.mark.anyio
async def test_a_detected_request_is_recorded_and_passes(stack: Stack) -> None:
    assert visit(stack, "watches.test", ATTACK) == 200

    event = await event_of(stack, EventFilter(verdict=Verdict.DETECTED), both)

    assert (event.item.virtual_host_id, event.item.policy_id, event.item.status) == (2, 2, 200)
    assert event.proxy is not None
    assert event.proxy.server == "s1"
    assert 942100 in event.item.rules


@pytest.mark.anyio
async def test_haproxys_own_verdicts_are_told(stack: Stack) -> None:
    large = b"a=" + b"x" * 2_000
    cases = {
        Verdict.UNKNOWN_HOST: (visit(stack, "nobody.test", "/here"), None, 421),
        Verdict.TOO_LARGE: (visit(stack, "blocks.test", "/", "POST", large), 1, 413),
        Verdict.TOO_LARGE_PASSED: (visit(stack, "watches.test", "/", "POST", large), 2, 200),
    }

    for verdict, (answered, host, status) in cases.items():
        event = await event_of(stack, EventFilter(verdict=verdict), alone)
        assert (event.item.virtual_host_id, event.item.status, answered) == (host, status, status)
        assert event.item.request_id == log_line(stack, event.item)["id"]
    counted = {host: counted_of(stack, host) for host in (ALL, UNKNOWN, 1, 2)}
    assert {host: (count.requests, count.rejected) for host, count in counted.items()} == {
        ALL: (3, 2), UNKNOWN: (1, 1), 1: (1, 1), 2: (1, 0),
    }  # fmt: skip
    assert counted[2].statuses[2] == sum(counted[2].times) == 1
    assert counted[2].sent > 0


def counted_of(stack: Stack, host: int) -> Count:
    now = datetime.now(UTC)
    with closing(open_to_read(Settings(data_dir=stack.folder).events_database)) as connection:
        return traffic(connection, host, now - timedelta(hours=2), now).total


@pytest.mark.anyio
async def test_a_missing_agent_is_recorded_in_both_fail_modes(stack: Stack) -> None:
    stack.stop_agent()
    stack.wait_for_server("waf_agent", "agent", "DOWN")
    closed, opened = visit(stack, "blocks.test", "/"), visit(stack, "watches.test", "/")

    refused = await event_of(stack, EventFilter(verdict=Verdict.AGENT_ERROR), alone)
    passed = await event_of(stack, EventFilter(verdict=Verdict.FAIL_OPEN), alone)

    assert (closed, opened) == (503, 200)
    assert (refused.item.policy_id, refused.item.status, refused.agent_line) == (1, 503, None)
    assert (passed.item.policy_id, passed.item.status, passed.agent_line) == (2, 200, None)


@pytest.mark.anyio
async def test_the_panels_own_requests_make_no_events(stack: Stack) -> None:
    assert stack.get("blocks.test", ATTACK).status == 403
    visit(stack, "nobody.test", "/")

    await event_of(stack, EventFilter(), alone)  # the unknown host's alone


def test_no_line_is_lost_while_haproxys_log_is_rotated(stack: Stack) -> None:
    """But those that HAProxy itself says it dropped."""
    settings, sent, ended = Settings(data_dir=stack.folder), 600, threading.Event()
    count, lost, dropped = 0, None, 0

    def read_and_rotate() -> None:
        nonlocal count, lost
        with closing(Ingest(settings)) as ingest:
            is_over = False
            while not is_over:
                is_over = ended.is_set()  # looked at before the last reading
                while ingest.step():
                    rotate_access_log(settings.access_log, largest=0)
            (count,) = ingest.connection.execute("SELECT count(*) FROM event WHERE verdict = 3").fetchone()
            lost = ingest.connection.execute("SELECT value FROM counter WHERE name = 'lost_bytes'").fetchone()

    reading = threading.Thread(target=read_and_rotate)
    reading.start()
    try:
        for at in range(sent):
            assert visit(stack, "nobody.test", f"/{at}") == 421
            if at == sent // 2:
                dropped += dropped_logs(stack)
                stack.reload(rows(POLICIES, {}))
        dropped += dropped_logs(stack)
        stack.master.send_signal(signal.SIGUSR1)  # one that ends at once does not log the last requests
        stack.master.wait()
    finally:
        ended.set()
        reading.join()

    assert (count + dropped, lost) == (sent, None)
