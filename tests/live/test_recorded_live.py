"""From an ordinary request through HAProxy to its replay: without its values, judged as the real one was, deleted by address."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from guardpanel.database import Database
from guardpanel.engines.waf.replaying import RuleSetChoice, replay
from guardpanel.events.client_keys import client_key
from guardpanel.ingest.run import Ingest
from guardpanel.services.events import Events
from guardpanel.services.events.recorded import tally
from guardpanel.settings import Settings
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.wire import head
from tests.rows import rows

pytestmark = [pytest.mark.anyio, pytest.mark.one_haproxy]

RECORDING = {"record_one_in": 1, "record_per_day": 10_000}
POLICIES = {
    "Blocks": {"enforcement_mode": "block", **RECORDING},
    "Reads": {"enforcement_mode": "block", "response_inspection": True, **RECORDING},
    "Forgets": {"enforcement_mode": "block", "record_one_in": 0},
}
FORM = b"name=Vera+Meier&mail=vera.meier%40example.com&password=hunter2000"
SECRETS = (b"Vera", b"vera", b"Meier", b"meier", b"hunter", b"s3cr3t")


@pytest.fixture
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    common = {"servers": [{"address": server.address}], "health_check": False}
    hosts = {f"{name.lower()}.test": {**common, "policy": name} for name in POLICIES}
    with Stack(haproxy, rows(POLICIES, hosts), events=True) as running:
        yield running


def visit(stack: Stack, host: str, target: str, body: bytes = b"") -> int:
    sent = {"user-agent": "Mozilla/5.0", "accept": "*/*", "cookie": "session=s3cr3t77value"}
    if body:
        sent |= {"content-length": str(len(body)), "content-type": "application/x-www-form-urlencoded"}
    return stack.send(head("POST" if body else "GET", host, target, sent), body).status


async def test_an_ordinary_request_is_kept_without_values_replayed_and_deleted(stack: Stack) -> None:
    for host in ("blocks.test", "reads.test", "forgets.test"):
        assert visit(stack, host, "/account?id=77123", FORM) == 200
        assert visit(stack, host, "/?q=%3Cscript%3Ealert(1)%3C/script%3E") == 403
    stack.stop_agent()
    stack.start_agent()
    settings = Settings(data_dir=stack.folder)
    with closing(Ingest(settings)) as ingest:
        while ingest.step():
            pass
    database = Database(settings.database)
    events = Events(settings, database)

    hosts = await events.recorded_hosts()
    kept = await events.recorded(hosts, 10)
    application = next(application.name for application in stack.bundle.applications if 1 in application.policy_ids)
    draft = RuleSetChoice(directives="SecRuleEngine On\nSecAction \"id:190001,phase:1,deny,status:403,msg:'all'\"\n")
    choices = [RuleSetChoice(application=application), draft]
    counted = await tally(replay(stack.folder / "control.sock", choices, [each.as_asked for each in kept.newest]))
    key = client_key(settings.events_dir, "127.0.0.1")
    deleted = await events.forget_recorded(hosts, [], key)
    left = (await events.recorded(hosts, 10)).count
    await events.close()
    await database.close()

    assert sorted(hosts) == ["blocks.test", "reads.test"]
    assert kept.count == 2
    lines = [line for path in settings.events_dir.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    ordinary = [line for line in lines if b'"recorded":true' in line]
    assert len(ordinary) == 2
    assert not [secret for line in ordinary for secret in (*SECRETS, b"127.0.0.1") if secret in line]
    assert (counted.passed, counted.newly_blocked, counted.unfaithful) == (0, [0, 1], 0)
    assert (deleted, left) == (2, 0)


async def test_a_recorded_request_that_no_longer_passes_as_it_is_is_counted_apart(stack: Stack) -> None:
    hostile: dict[str, Any] = {
        "method": "GET",
        "uri": "/?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "headers": [["host", "blocks.test"]],
    }
    application = next(application.name for application in stack.bundle.applications if 1 in application.policy_ids)
    choices = [RuleSetChoice(application=application)] * 2
    requests: list[dict[str, Any]] = [
        hostile,
        {"method": "GET"},
        {**hostile, "uri": "/", "headers": [["host", "a.test"], ["user-agent", "x"], ["accept", "*/*"]]},
    ]

    counted = await tally(replay(stack.folder / "control.sock", choices, requests))

    assert (counted.passed, counted.newly_blocked, counted.unfaithful) == (1, [], 2)
