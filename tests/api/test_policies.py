"""Policies in the contract of the React panel, and by our own keys."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.factories import a_react_policy, a_vhost
from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

POLICIES = "/api/v1/policies"
POLICY = f"{POLICIES}/2"


async def make(client: httpx2.AsyncClient, name: str = "Strict", **others: Any) -> dict[str, Any]:
    answer = await client.post(POLICIES, json=a_react_policy(name, **others))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def made_once(client: httpx2.AsyncClient) -> dict[str, Any]:
    """On a panel that several tests share."""
    answer = await client.get(POLICY)
    row: dict[str, Any] = answer.json() if answer.status_code == 200 else await make(client)
    return row


async def test_create_answers_the_object_and_how_it_went_live(ada_api: httpx2.AsyncClient) -> None:
    answer = await ada_api.post(POLICIES, json=a_react_policy(paranoia_level=3, description="For the shop"))

    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["etag"] == '"1"'
    assert (made["name"], made["description"], made["enforcement_mode"], made["is_active"]) == (
        "Strict",
        "For the shop",
        "block",
        True,
    )
    assert (made["paranoia_level"], made["blocking_paranoia_level"], made["detection_paranoia_level"]) == (3, 3, 3)
    assert made["deployment"]["status"] == "live"


async def test_reads_have_every_key_that_the_react_panel_looks_at(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api)

    listed, read = (await ada_api.get(POLICIES)).json(), (await ada_api.get(POLICY)).json()

    assert listed["total"] == 2
    item = next(item for item in listed["items"] if item["id"] == 2)
    expected = {
        "id": 2, "name": "Strict", "description": None, "enforcement_mode": "block", "paranoia_level": 1, "is_active": True,
        "inbound_anomaly_threshold": 5, "outbound_anomaly_threshold": 4, "ddos_protection_enabled": False, "rate_limit_requests": 100,
        "rate_limit_window_seconds": 10, "max_connections_per_ip": 20, "auto_ban_enabled": False, "ban_threshold": 10,
        "ban_duration_seconds": 600, "geoip_mode": "off", "geoip_countries": [],
    }  # fmt: skip
    for policy in (item, read):
        assert {key: policy[key] for key in expected} == expected
    assert read["rule_overrides"] == read["rule_exclusions"] == read["custom_rules"] == []
    assert read["created_at"].endswith("Z")


async def test_off_reads_as_inactive_for_the_react_panel_and_as_off_for_us(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api)

    off = (await ada_api.patch(POLICY, json={"is_active": False})).json()
    edited = (
        await ada_api.patch(
            POLICY, json=a_react_policy(enforcement_mode="detect_only", is_active=False, description="a")
        )
    ).json()
    on = (await ada_api.patch(POLICY, json={"is_active": True})).json()
    blocking = (await ada_api.patch(POLICY, json={"mode": "block"})).json()

    for answer in (off, edited):
        assert (answer["mode"], answer["enforcement_mode"], answer["is_active"]) == ("off", "detect_only", False)
    assert (on["mode"], on["is_active"]) == ("detect_only", True)
    assert (blocking["mode"], blocking["enforcement_mode"]) == ("block", "block")
    assert (await ada_api.patch(POLICY, json={"is_active": True})).json()["mode"] == "block"


async def test_a_new_policy_only_blocks_if_requested(ada_api: httpx2.AsyncClient) -> None:
    made = (await ada_api.post(POLICIES, json={"name": "Careful"})).json()

    assert made["mode"] == "detect_only"


async def test_detection_follows_the_react_panel_s_level_unless_it_was_set_by_itself(
    ada_api: httpx2.AsyncClient,
) -> None:
    await make(ada_api, paranoia_level=1)
    up = (await ada_api.patch(POLICY, json={"paranoia_level": 3})).json()
    down = (await ada_api.patch(POLICY, json={"paranoia_level": 2})).json()
    await ada_api.patch(POLICY, json={"detection_paranoia_level": 3})
    kept = (await ada_api.patch(POLICY, json={"paranoia_level": 1})).json()
    raised = (await ada_api.patch(POLICY, json={"paranoia_level": 4})).json()
    both = (await ada_api.patch(POLICY, json={"paranoia_level": 1, "detection_paranoia_level": 2})).json()

    levels = [
        (policy["blocking_paranoia_level"], policy["detection_paranoia_level"])
        for policy in (up, down, kept, raised, both)
    ]
    assert levels == [(3, 3), (2, 2), (1, 3), (4, 4), (1, 2)]


async def test_detection_follows_a_blocking_level_that_comes_alone(ada_api: httpx2.AsyncClient) -> None:
    made = await ada_api.post("/api/v1/policies", json={"name": "API", "blocking_paranoia_level": 3})

    assert (made.status_code, made.json()["detection_paranoia_level"]) == (201, 3)


async def test_our_own_keys(ada_api: httpx2.AsyncClient) -> None:
    own = {
        "name": "API", "blocking_paranoia_level": 2, "detection_paranoia_level": 4, "body_limit_kib": 256, "over_limit": "inspect_beginning", "upload_seconds": 20, "upload_rate_kib": 32, "response_seconds": 9,
        "streamed_responses": "hold_back",
        "argument_limit": 2_000, "json_value_limit": 3_000,
        "response_inspection": True, "file_inspection": True, "fail_mode": "open", "allowed_methods": ["GET", "PUT"], "allowed_content_types": ["application/json", "image/*"],
        "content_type_readings": ["image/* = none", "text/plain = json"],
        "skip_paths": [".css", "/static/"], "masked_fields": ["pin", "*token*"], "mode": "block",
    }  # fmt: skip
    made = (await ada_api.post(POLICIES, json=own)).json()

    assert {key: made[key] for key in own} == own


@pytest.mark.parametrize(
    ("body", "field"),
    [({"paranoia_level": 5}, "paranoia_level"), ({"paranoia_level": 0}, "paranoia_level"), ({"paranoia_level": "x"}, "paranoia_level"),
     ({"blocking_paranoia_level": 3}, "detection_paranoia_level"), ({"name": "Default"}, "name"), ({"name": "default"}, "name"),
     ({"name": ""}, "name"), ({"name": "a\u202eb"}, "name"), ({"name": "x" * 65536}, "name"), ({"name": None}, "name"),
     ({"inbound_anomaly_threshold": 0}, "inbound_anomaly_threshold"), ({"body_limit_kib": 4097}, "body_limit_kib"),
     ({"argument_limit": 10_001}, "argument_limit"), ({"json_value_limit": 0}, "json_value_limit"),
     ({"enforcement_mode": "monitor"}, "enforcement_mode"), ({"allowed_methods": ["GET'"]}, "allowed_methods"), ({"allowed_methods": []}, "allowed_methods"),
     ({"allowed_content_types": ["*/*"]}, "allowed_content_types"), ({"allowed_content_types": ["a/*b*"]}, "allowed_content_types"),
     ({"content_type_readings": ["image/*"]}, "content_type_readings"), ({"content_type_readings": ["a/b = yaml"]}, "content_type_readings"),
     ({"content_type_readings": ["a/b = json", "A/B=xml"]}, "content_type_readings"), ({"content_type_readings": ["a b = json"]}, "content_type_readings"),
     ({"skip_paths": ["/"]}, "skip_paths"), ({"login_paths": ["login"]}, "login_paths"), ({"login_statuses": ["100"]}, "login_statuses"), ({"error_statuses": ["4xx"]}, "error_statuses"), ({"masked_fields": ["a b"]}, "masked_fields"), ({"description": "x" * 65536}, "description"), ({"rules": []}, "rules"),
     ({"ddos_protection_enabled": "perhaps"}, "ddos_protection_enabled"), ({"client_limits": True}, "client_limits"), ({"auto_ban_enabled": 7}, "auto_ban_enabled"), ({"ban_threshold": 0}, "ban_threshold"),
     ({"geoip_mode": "blocklist"}, "geoip_mode"), ({"geoip_countries": ["Atlantis"]}, "geoip_countries"), ({"country_mode": "reject", "countries": ["DE"]}, "country_mode"),
     ({"max_connections_per_ip": 0}, "max_connections_per_ip"), ({"rate_limit_window_seconds": 3601}, "rate_limit_window_seconds"),
     ({"rate_limit_requests": 0}, "rate_limit_requests"), ({"rate_limit_requests": None}, "rate_limit_requests"),
     ({"is_active": None}, "is_active"), ({"blocking_paranoia_level": 2, "paranoia_level": 3}, "paranoia_level"),
     ({"mode": "detect_only", "is_active": False}, "is_active"), ({"is_active": False, "enforcement_mode": "off", "mode": "detect_only"}, "enforcement_mode"),
     ({"geoip_mode": "x"}, "geoip_mode")],
)  # fmt: skip
@pytest.mark.changes_nothing
async def test_a_refusal_names_the_key_that_was_sent(
    ada_api: httpx2.AsyncClient, engines: FakeEngines, body: dict[str, Any], field: str
) -> None:
    before = await made_once(ada_api)
    deployments = engines.deployments

    answer = await ada_api.patch(POLICY, json=body)

    problem = answer.json()
    assert answer.status_code == (409 if str(body.get("name")).lower() == "default" else 422), problem
    assert [error["field"] for error in problem["errors"]] == [field]
    assert isinstance(problem["detail"], str)
    assert len(answer.content) < 2000
    assert engines.deployments == deployments
    after = (await ada_api.get(POLICY)).json()
    assert all(after[key] == value for key, value in before.items() if key != "deployment")


async def test_the_react_panels_limits_are_ours_and_stay_while_they_are_off(
    ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    await make(ada_api)
    numbers: dict[str, Any] = {"rate_limit_requests": 7, "rate_limit_window_seconds": 30, "max_connections_per_ip": 3}
    host = a_vhost(policy_id=2)
    assert (await ada_api.post("/api/v1/vhosts", json=host)).status_code == 201

    on = (await ada_api.patch(POLICY, json=a_react_policy(ddos_protection_enabled=True, **numbers))).json()
    limited = rendered(engines)
    off = (await ada_api.patch(POLICY, json=a_react_policy(**numbers))).json()

    for answer, switch in ((on, True), (off, False)):
        assert {name: answer[name] for name in numbers} == numbers
        assert answer["ddos_protection_enabled"] is switch
    assert ";30:7:3:refuse:35;" in limited
    assert ";-;0" in rendered(engines)


def rendered(engines: FakeEngines) -> str:
    assert engines.running is not None
    return engines.running.files["vhosts.map"].decode()


async def test_a_mode_is_not_chosen_for_a_policy_that_stays_inactive(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api, enforcement_mode="detect_only")
    await ada_api.patch(POLICY, json={"is_active": False})

    refused = await ada_api.patch(POLICY, json=a_react_policy(enforcement_mode="block", is_active=False))
    taken = await ada_api.patch(POLICY, json=a_react_policy(enforcement_mode="block", is_active=True))

    assert (refused.status_code, [error["field"] for error in refused.json()["errors"]]) == (422, ["enforcement_mode"])
    assert (taken.json()["mode"], taken.json()["is_active"]) == ("block", True)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_stale_version_is_412(ada_api: httpx2.AsyncClient, method: str) -> None:
    await make(ada_api)
    await ada_api.patch(POLICY, json={"description": "Somebody else"})

    answer = await ada_api.request(method, POLICY, json={"description": "Mine"}, headers={"if-match": '"1"'})

    assert (answer.status_code, answer.json()["code"]) == (412, "stale")
    assert (answer.json()["current"], answer.headers["etag"]) == (2, '"2"')


async def test_corazas_error_is_reported_at_its_key(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    await make(ada_api)
    engines.reject("allowed_methods", "invalid operator", noun="policy", noun_id=2, engine="Coraza")

    answer = await ada_api.patch(POLICY, json={"allowed_methods": ["GET", "PURGE"]})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "allowed_methods"
    assert "Coraza" in answer.json()["errors"][0]["engine"]


async def test_delete(ada_api: httpx2.AsyncClient) -> None:
    await make(ada_api)

    assert (await ada_api.delete(POLICY)).status_code == 204
    for method in ("GET", "DELETE"):
        assert (await ada_api.request(method, POLICY)).status_code == 404


async def test_statuses_may_be_numbers(ada_api: httpx2.AsyncClient) -> None:
    made = await make(ada_api, login_statuses=[401, "403"], error_statuses=[404])

    assert (made["login_statuses"], made["error_statuses"]) == (["401", "403"], ["404"])
    refused = await ada_api.patch(POLICY, json={"error_statuses": [99]})
    assert "99 is not a status of a response." in refused.text


async def test_requests_cannot_wait_without_lua(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    await make(ada_api, limit_delay_seconds=5)
    delays = {"ddos_protection_enabled": True}
    panel.changes.renderer.facts = replace(panel.changes.renderer.facts, runs_lua=False)
    refused = await ada_api.patch(POLICY, json=delays)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "limit_delay_seconds")
    assert "built without Lua" in refused.text

    panel.changes.renderer.facts = replace(panel.changes.renderer.facts, runs_lua=True)
    assert (await ada_api.patch(POLICY, json=delays)).status_code == 200


async def test_the_last_policy_is_deleted_only_if_that_is_meant(
    ada_api: httpx2.AsyncClient, ada: httpx2.AsyncClient
) -> None:
    host = {"domain": "a.example", "backends": [{"url": "http://10.0.0.5:8080"}]}
    number = (await ada_api.post("/api/v1/vhosts", json=host)).json()["id"]
    used = await ada_api.delete("/api/v1/policies/1")
    assert (used.status_code, "is used by a.example" in used.json()["detail"]) == (409, True)
    assert (await ada_api.delete(f"/api/v1/vhosts/{number}")).status_code == 204

    asked = await ada_api.delete("/api/v1/policies/1")
    assert (asked.status_code, asked.json()["code"]) == (409, "needs_confirmation")
    assert "Default is the only policy. Without one, virtual hosts that are added are not inspected." in asked.text
    assert "This is the only policy." in (await ada.get("/policies/1/delete")).text
    unasked = await ada.post("/policies/1/delete", data={"version": "1"})
    assert (unasked.status_code, "Default is the only policy." in unasked.text) == (409, True)

    await ada_api.post("/api/v1/policies", json={"name": "Second"})
    assert "This is the only policy." not in (await ada.get("/policies/1/delete")).text
    assert (await ada_api.delete("/api/v1/policies/1")).status_code == 204
    last = (await ada_api.get("/api/v1/policies")).json()["items"][0]["id"]
    assert (await ada_api.delete(f"/api/v1/policies/{last}", params={"confirm": "true"})).status_code == 204
