"""What pages do beside saving rows, over JSON."""

from datetime import UTC, datetime

import httpx2
import pytest

from guardpanel.engines import Drift, Place
from guardpanel.panel import Panel
from guardpanel.services.trials import trials
from guardpanel.services.trials.trials import Kind, Trial
from tests.factories import a_vhost
from tests.fakes import FakeEngines
from tests.rule_set import rule_set
from tests.views.test_request_tests import REQUEST, directives

__all__ = ["directives"]

pytestmark = pytest.mark.anyio

Client = httpx2.AsyncClient

EVALUATION = "/api/v1/policies/1/evaluation"


async def test_a_request_is_evaluated_under_a_policy_as_saved_and_with_a_draft(
    ada_api: Client, vera_api: Client, engines: FakeEngines, directives: list[str]
) -> None:
    engines.agent.known_rules = rule_set()
    saved = await ada_api.post(EVALUATION, json={"request": REQUEST})
    await ada_api.post(EVALUATION, json={"request": REQUEST, "policy": {"inbound_anomaly_threshold": 77}})
    rule = {
        "rule_id": 9000001,
        "name": "Zebras",
        "variables": "ARGS",
        "operator": "contains",
        "operator_argument": "zebra",
    }
    with_rule = await ada_api.post(EVALUATION, json={"request": REQUEST, "custom_rule": rule})

    evaluated = saved.json()
    assert (evaluated["verdict"], evaluated["score"], evaluated["threshold"]) == ("blocked", 15, 5)
    assert (evaluated["rules"][0]["id"], evaluated["rules"][0]["matches"][0]["value"]) == (941100, "<script>")
    assert with_rule.status_code == 200, with_rule.text
    assert ["anomaly_score_threshold=77" in text for text in directives] == [False, True, False]
    assert ["zebra" in text for text in directives] == [False, False, True]
    assert (await vera_api.post(EVALUATION, json={"request": REQUEST})).status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"request": ""}, "request"),
        ({"request": REQUEST, "policy": {"inbound_anomaly_threshold": 0}}, "policy.inbound_anomaly_threshold"),
        ({"request": REQUEST, "policy": {"name": "A"}, "custom_rule": {"seclang": "SecRule"}}, "custom_rule"),
    ],
)
@pytest.mark.changes_nothing
async def test_what_is_wrong_with_an_evaluation_is_named(ada_api: Client, body: dict[str, object], field: str) -> None:
    answer = await ada_api.post(EVALUATION, json=body)

    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])


async def test_drift_is_read_and_the_live_revision_redeployed(
    ada_api: Client, vera_api: Client, engines: FakeEngines, panel: Panel
) -> None:
    drift = Drift(Place.FILES, "haproxy.cfg was changed.", ("-a", "+b"))
    engines.drifted = [drift]
    panel.changes.watch.record((drift,))
    before = (await vera_api.get("/api/v1/drift")).json()
    refused = await vera_api.post("/api/v1/drift/redeployment")
    redeployed = await ada_api.post("/api/v1/drift/redeployment")
    engines.drifted = []

    assert (before["state"], before["revision"], refused.status_code) == ("drift", 1, 403)
    assert before["differences"] == [
        {"place": "Release files", "what": "haproxy.cfg was changed.", "lines": ["-a", "+b"]}
    ]
    assert redeployed.status_code == 200, redeployed.text
    assert (await vera_api.get("/api/v1/drift")).json()["differences"] == []


async def test_a_server_is_taken_out_and_back(ada_api: Client) -> None:
    servers = {"backends": [{"url": "http://127.0.0.1:3000"}, {"url": "http://127.0.0.2:3000"}]}
    await ada_api.post("/api/v1/vhosts", json=a_vhost() | servers)
    state = "/api/v1/vhosts/1/servers/2/state"

    drained = await ada_api.put(state, json={"state": "draining"})
    server = (await ada_api.get("/api/v1/vhosts/1/servers/2")).json()
    unknown = await ada_api.put(state, json={"state": "gone"})
    last = await ada_api.put("/api/v1/vhosts/1/servers/1/state", json={"state": "disabled"})
    ready = await ada_api.put(state, json={"state": "ready"})

    assert (drained.json()["state"], drained.json()["deployment"]["status"]) == ("draining", "live")
    assert (server["draining"], server["enabled"]) == (True, True)
    assert [answer.status_code for answer in (unknown, last, ready)] == [422, 409, 200]
    assert (await ada_api.put("/api/v1/vhosts/1/servers/9/state", json={"state": "ready"})).status_code == 404


async def test_a_test_request_is_sent(vera_api: Client, ada_api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def send(*_what: object) -> Trial:
        kind = _what[3]
        assert isinstance(kind, Kind)
        return Trial(
            kind=kind, ok=True, sentence="Test attack blocked: 403 in 2 ms", request_line="GET /", status=403, milliseconds=2, server="",
            score=5, threshold=5, rules=(), application="", request_id="a", at=datetime.now(UTC),
        )  # fmt: skip

    monkeypatch.setattr(trials, "send", send)
    await ada_api.post("/api/v1/vhosts", json=a_vhost())

    answer = await vera_api.post("/api/v1/vhosts/1/test-requests", json={"kind": "attack"})

    assert (answer.status_code, answer.json()["kind"], answer.json()["status"]) == (200, "attack", 403)


async def test_health_names_what_is_wrong(vera_api: Client, engines: FakeEngines) -> None:
    engines.is_up = False

    health = (await vera_api.get("/api/v1/health")).json()

    assert health["ready"] is False
    assert {part["name"] for part in health["parts"]} == {
        "database",
        "haproxy",
        "agent",
        "revision",
        "background",
        "ingest",
    }
    assert [part["ok"] for part in health["parts"] if part["name"] in {"database", "haproxy"}] == [True, False]
    assert health["tasks"]


async def test_a_certificate_is_renewed_and_the_earlier_one_used_again(ada_api: Client) -> None:
    place = "/api/v1/certificates/1"
    await ada_api.post("/api/v1/certificates", json={"name": "Own", "source": "self_signed", "names": ["a.example"]})
    first = (await ada_api.get(place)).json()["fingerprint"]

    renewed = await ada_api.post(f"{place}/renewal")
    (earlier,) = (await ada_api.get(f"{place}/contents")).json()["items"]
    again = await ada_api.post(f"{place}/contents/{earlier['id']}/use")
    unknown = await ada_api.post(f"{place}/contents/99/use")

    assert (earlier["fingerprint"], earlier["has_key"]) == (first, True)
    assert renewed.json()["fingerprint"] != first
    assert (again.json()["fingerprint"], again.headers["etag"]) == (first, f'"{again.json()["version"]}"')
    assert unknown.status_code == 404
