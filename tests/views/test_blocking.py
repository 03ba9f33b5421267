"""A request that reached the threshold and was not blocked is an alarm on every page, until the revision is deployed again."""

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from guardpanel.panel import Panel
from guardpanel.services.saving import revisions
from guardpanel.services.truth import live_line
from guardpanel.services.truth.blocking import BlockingWatch
from tests.events import BY_SCORE, a_passed_line, a_rule, an_event, store
from tests.factories import a_virtual_host

pytestmark = pytest.mark.anyio

Client = httpx2.AsyncClient


async def application(panel: Panel) -> str:
    async with panel.database.read() as session:
        (name,) = await live_line.applications(panel.changes, session)
    return name


async def with_event(panel: Panel, **others: Any) -> None:
    async with panel.database.read() as session:
        last = await revisions.last_deployment(session)
    assert last
    moment = last.started_at + timedelta(seconds=last.seconds, milliseconds=1)
    scores = {"blocking_inbound_anomaly_score": 9, "inbound_anomaly_score_threshold": 5}
    event = an_event(time=f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}", verdict="detected", scores=scores, **others)
    store(panel.settings.events_database, [event], [a_passed_line(event, verdict="detected", rules="941100")])
    await BlockingWatch(panel.changes, panel.events).look()


async def test_a_request_that_was_not_blocked_is_an_alarm_until_a_deployment(ada: Client, panel: Panel) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    await with_event(panel, rules=[a_rule(941100)], application=await application(panel))

    page = (await ada.get("/")).text
    drift = (await ada.get("/system/drift")).text
    metrics = (await ada.get("/metrics")).text

    assert "scored 9 of 5 and was not blocked. Rule 949110 is missing or off." in page
    assert "Attacks aren’t blocked" in drift and "/system/drift/put-back" in drift
    assert "guardpanel_drifted 1.0" in metrics

    await ada.post("/system/drift/put-back")
    await BlockingWatch(panel.changes, panel.events).look()
    assert "was not blocked" not in (await ada.get("/")).text


async def test_a_request_that_a_policy_only_detects_is_none(ada: Client, panel: Panel) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    await with_event(panel, rules=[a_rule(941100), BY_SCORE], application=await application(panel))

    assert panel.changes.watch.blocking == ""


async def test_a_request_of_earlier_rules_is_none(ada: Client, panel: Panel) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    await with_event(panel, rules=[a_rule(941100)], application="p000000000000")

    assert panel.changes.watch.blocking == ""


async def test_a_policy_with_a_rule_that_allows_raises_no_alarm(ada: Client, ada_api: Client, panel: Panel) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    rule = {"name": "Mine", "rule_id": 9000001, "action": "allow", "variables": "ARGS:q", "operator_argument": "x"}
    assert (await ada_api.post("/api/v1/policies/1/custom-rules", json=rule)).status_code == 201
    await with_event(panel, rules=[a_rule(941100)], application=await application(panel))

    assert panel.changes.watch.blocking == ""
