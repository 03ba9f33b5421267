"""Rule overrides below their policy, as the React panel reads and writes them and by our own keys."""

from typing import Any

import httpx2
import pytest

from tests.factories import a_react_policy
from tests.fakes import FakeEngines
from tests.rule_set import rule_set

pytestmark = pytest.mark.anyio

PLACE = "/api/v1/policies/1/rules"
REACT = {"rule_id": 942100, "action": "disable", "comment": None}


def directives(engines: FakeEngines) -> str:
    assert engines.running is not None
    return engines.running.files["coraza.yaml"].decode()


async def test_the_list_is_an_array_and_the_policy_has_them(ada_api: httpx2.AsyncClient) -> None:
    made = (await ada_api.post(PLACE, json=REACT)).json()

    listed = (await ada_api.get(PLACE)).json()
    nested = (await ada_api.get("/api/v1/policies/1")).json()["rule_overrides"]

    for rows in (listed, nested):
        assert [{name: row[name] for name in ("id", *REACT)} for row in rows] == [{"id": made["id"], **REACT}]
        assert rows[0]["created_at"].endswith("Z")
    assert (await ada_api.get("/api/v1/policies/9/rules")).status_code == 404


async def test_what_is_off_is_off_for_the_engine_until_it_is_deleted(
    ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    made = (await ada_api.post(PLACE, json=REACT)).json()
    assert "SecRuleRemoveById 942100" in directives(engines)

    await ada_api.patch(f"{PLACE}/{made['id']}", json={**REACT, "rule_id": 942140, "comment": "Static"})
    assert "SecRuleRemoveById 942140" in directives(engines)
    assert "942100" not in directives(engines)

    assert (await ada_api.delete(f"{PLACE}/{made['id']}")).status_code == 204
    assert "SecRuleRemoveBy" not in directives(engines)


async def test_a_rule_is_overridden_once_in_a_policy(ada_api: httpx2.AsyncClient) -> None:
    other = (await ada_api.post("/api/v1/policies", json=a_react_policy("Strict"))).json()["id"]
    await ada_api.post(PLACE, json=REACT)

    answer = await ada_api.post(PLACE, json={**REACT, "action": "enable"})
    again = await ada_api.post(PLACE, json=REACT)

    assert answer.status_code == 422, "nobody knows the rule’s points here"
    assert (again.status_code, again.json()["detail"]) == (
        409,
        "rule_id: This policy has an override of 942100 already.",
    )
    assert (await ada_api.post(f"/api/v1/policies/{other}/rules", json=REACT)).status_code == 201


async def test_a_rule_can_count_above_its_level_where_it_runs(
    ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.agent.known_rules = rule_set()
    enable: dict[str, Any] = {"rule_id": 942330, "action": "enable", "comment": None}

    refused = await ada_api.post(PLACE, json=enable)
    await ada_api.patch("/api/v1/policies/1", json={"detection_paranoia_level": 2})
    made = await ada_api.post(PLACE, json=enable)

    assert [error["field"] for error in refused.json()["errors"]] == ["rule_id"]
    assert made.status_code == 201
    assert "SecRuleUpdateActionById 942330 \"setvar:'tx.inbound_anomaly_score_pl1=+5'" in directives(engines)
    await ada_api.patch("/api/v1/policies/1", json={"blocking_paranoia_level": 2})
    assert "SecRuleUpdateActionById" not in directives(engines), "it counts there anyway"


async def test_the_id_of_one_rule_is_no_family(ada_api: httpx2.AsyncClient) -> None:
    """942 for 942100 would switch off all rules against SQL injection."""
    made = (await ada_api.post(PLACE, json=REACT)).json()

    for answer in (
        await ada_api.post(PLACE, json={**REACT, "rule_id": 942}),
        await ada_api.patch(f"{PLACE}/{made['id']}", json={**REACT, "rule_id": 942}),
    ):
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("942 is not the ID of a rule, such as 942100.")

    family = (await ada_api.post(PLACE, json={"rule": "942"})).json()
    kept = await ada_api.patch(f"{PLACE}/{family['id']}", json={**REACT, "rule_id": 942, "comment": "As a page set it"})
    assert (kept.status_code, kept.json()["rule"]) == (200, "942")
