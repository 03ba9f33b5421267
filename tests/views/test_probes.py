"""What machines ask: alive, ready, metrics."""

import re

import httpx2
import pytest
import yaml
from fastapi import FastAPI

from guardpanel.panel import Panel
from guardpanel.settings import Settings
from tests.conftest import Person, someone
from tests.events import an_event, store
from tests.factories import a_policy
from tests.fakes import FakeEngines
from tests.faults import Faults
from tests.panel import ROOT

pytestmark = pytest.mark.anyio


def figure(text: str, name: str) -> float:
    match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(match[1]) if match else 0.0


async def test_the_process_is_alive(nobody: httpx2.AsyncClient) -> None:
    assert (await nobody.get("/healthz")).text == "ok\n"


async def test_readiness_reports_each_part(nobody: httpx2.AsyncClient) -> None:
    answer = await nobody.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True, "database": "ok", "haproxy": "ok", "agent": "ok", "revision": "ok", "background": "ok",
        "ingest": "ok",
    }  # fmt: skip


async def test_an_engine_that_does_not_answer_is_not_ready(nobody: httpx2.AsyncClient, engines: FakeEngines) -> None:
    engines.is_up = False
    answer = await nobody.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["haproxy"] == answer.json()["agent"] == "no answer"
    assert answer.json()["database"] == "ok"


async def test_haproxy_with_something_else_is_not_ready(nobody: httpx2.AsyncClient, engines: FakeEngines) -> None:
    engines.running = None
    answer = await nobody.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["revision"] == "HAProxy does not run revision 1"


async def test_a_database_that_cannot_be_read_is_not_ready(
    nobody: httpx2.AsyncClient, panel: Panel, faults: Faults
) -> None:
    faults.expect()  # a background task may look into the database, too, before the test is over
    async with panel.database.write() as session:
        await (await session.connection()).exec_driver_sql("ALTER TABLE deployment RENAME TO gone")

    answer = await nobody.get("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "database": "cannot be read"}


async def test_metrics_count_saves_by_their_end_and_requests_by_their_route(
    ada: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    before = (await ada.get("/metrics")).text
    await ada.post("/policies", data=a_policy())
    await ada.get("/policies/2")
    engines.fail("verify")
    await ada.post("/policies", data=a_policy("Other", inbound_anomaly_threshold="9"))
    after = (await ada.get("/metrics")).text

    def grown(name: str) -> float:
        return figure(after, name) - figure(before, name)

    assert grown('guardpanel_deployments_total{outcome="live"}') == 1
    assert grown('guardpanel_deployments_total{outcome="rolled_back"}') == 1
    assert grown('guardpanel_deployment_step_seconds_count{step="verify"}') == 2
    assert grown('guardpanel_http_requests_total{method="GET",route="/policies/{policy_id}",status="200"}') == 1
    assert figure(after, 'guardpanel_engine_up{engine="haproxy"}') == 1
    assert figure(after, "guardpanel_live_revision") == 2
    assert 'guardpanel_build_info{version="' in after
    assert (await ada.get("/metrics")).text.count("outcome=") == after.count("outcome=")


async def test_lines_that_haproxy_dropped_are_told(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    assert "Never logged" not in (await ada.get("/system")).text

    engines.dropped_logs = 1_234

    assert "1,234 log lines since the last reload" in (await ada.get("/system")).text
    assert figure((await ada.get("/metrics")).text, "guardpanel_haproxy_dropped_logs") == 1_234


async def test_alerts_name_metrics_that_exist(
    nobody: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.uninspected = {1: 1}
    await ada_api.post("/api/v1/certificates", json={"source": "self_signed", "names": ["shop.example"]})
    metrics = (await nobody.get("/metrics")).text
    agent, panel = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())["groups"]

    named = {name for rule in panel["rules"] for name in re.findall(r"guardpanel_[a-z_]+", rule["expr"])}

    assert agent["name"] == "guardpanel-agent"  # spoa/metrics_test.go asks the agent for those
    assert len(named) >= 5
    assert {name for name in named if not re.search(rf"^{name}[ {{]", metrics, re.MULTILINE)} == set()


async def test_metrics_have_no_label_that_a_visitor_chooses(nobody: httpx2.AsyncClient) -> None:
    for path in ("/wp-login.php", "/x" * 50, "/static/0/nothing"):
        await nobody.get(path)
    await nobody.request("BREW", "/")

    text = (await nobody.get("/metrics")).text

    assert "wp-login" not in text
    assert "BREW" not in text


async def test_the_api_s_metrics_name_the_whole_route(app: FastAPI) -> None:
    async with someone(app) as client:
        await client.get("/api/v1/vhosts/7")
        text = (await client.get("/metrics")).text

    assert 'route="/api/v1/vhosts/{virtual_host_id}",status="401"' in text


async def test_readiness_reports_the_ingest(app: FastAPI, ada: Person, settings: Settings) -> None:
    store(settings.events_database, [an_event()])

    metrics, page = (await ada.get("/metrics")).text, (await ada.get("/system")).text

    assert "guardpanel_ingest_up 0.0" in metrics
    assert 'guardpanel_events{what="lost_segments"} 0.0' in metrics
    assert "Event ingest is not running" in page
