"""Custom rules below their policy, as the React panel reads and writes them: its conversation, call by call."""

from typing import Any

import httpx2
import pytest

from tests.fakes import FakeEngines

pytestmark = pytest.mark.anyio

PLACE = "/api/v1/policies/1/custom-rules"

REACT: dict[str, Any] = {
    "rule_id": 9000001, "phase": "request_headers", "variables": "REQUEST_URI|ARGS:q", "operator": "rx",
    "operator_argument": r"union\s+select", "actions": "deny,status:403,log,msg:'No unions'", "comment": None, "is_active": True,
}  # fmt: skip

OPERATORS = {
    "rx": "x", "streq": "x", "contains": "x", "begins_with": "x", "ends_with": "x", "eq": "1", "ge": "1", "gt": "1", "le": "1",
    "lt": "1", "pm": "x", "within": "x", "ip_match": "192.0.2.1",
}  # fmt: skip


def directives(engines: FakeEngines) -> str:
    assert engines.running is not None
    return engines.running.files["coraza.yaml"].decode()


async def test_the_conversation_of_the_react_panel(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    made = await ada_api.post(PLACE, json=REACT)
    assert made.status_code == 201
    place = f"{PLACE}/{made.json()['id']}"

    policy = (await ada_api.get("/api/v1/policies/1")).json()
    (nested,) = policy["custom_rules"]
    whole = "deny,status:403,t:none,log,msg:'No unions',severity:'CRITICAL'"
    assert {name: nested[name] for name in ("id", *REACT)} == {"id": made.json()["id"], **REACT, "actions": whole}
    assert 'SecRule REQUEST_URI|ARGS:q "@rx union\\s+select"' in directives(engines)

    double = await ada_api.post(PLACE, json=REACT)
    assert (double.status_code, type(double.json()["detail"])) == (409, str)

    edited = await ada_api.patch(place, json={**REACT, "actions": "pass,log,msg:'No unions'", "is_active": False})
    assert edited.status_code == 200
    assert (edited.json()["action"], edited.json()["is_active"]) == ("log", False)
    assert "9000001" not in directives(engines)

    assert (await ada_api.delete(place)).status_code == 204
    assert (await ada_api.delete(place)).status_code == 404
    assert (await ada_api.get("/api/v1/policies/1")).json()["custom_rules"] == []


@pytest.mark.parametrize("operator", OPERATORS)
async def test_each_of_its_operators_is_taken(ada_api: httpx2.AsyncClient, operator: str) -> None:
    answer = await ada_api.post(PLACE, json={**REACT, "operator": operator, "operator_argument": OPERATORS[operator]})

    assert (answer.status_code, answer.json()["operator"]) == (201, operator)


@pytest.mark.parametrize(
    ("actions", "fields"),
    [
        ("deny", {"action": "block", "status": 403, "name": "Rule 9000001"}),
        ("block,status:400", {"action": "block", "status": 400}),
        ("allow,msg:'Ours'", {"action": "allow", "name": "Ours"}),
        ("pass,t:lowercase,t:urlDecodeUni,tag:'a/b',severity:'WARNING'",
         {"action": "log", "transformations": ["lowercase", "urlDecodeUni"], "tags": ["a/b"], "severity": "warning"}),
        ("pass,setvar:'tx.inbound_anomaly_score_pl1=+3'", {"action": "score", "points": 3}),
    ],
)  # fmt: skip
async def test_its_actions_are_our_fields(ada_api: httpx2.AsyncClient, actions: str, fields: dict[str, Any]) -> None:
    answer = await ada_api.post(PLACE, json={**REACT, "actions": actions})

    assert answer.status_code == 201, answer.text
    assert {name: answer.json()[name] for name in fields} == fields


async def test_actions_beyond_the_builder_are_kept_as_seclang(
    ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    """And the rule still goes by its keys, as long as these are all that it says."""
    made = await ada_api.post(PLACE, json={**REACT, "actions": "pass,capture,nolog,setvar:'tx.mine=%{tx.0}'"})
    assert made.status_code == 201, made.text
    place = f"{PLACE}/{made.json()['id']}"
    read = (await ada_api.get(place)).json()
    assert (read["operator"], read["variables"]) == ("rx", REACT["variables"])
    assert "setvar:'tx.mine=%{tx.0}'" in read["actions"]

    edited = await ada_api.patch(place, json={**{name: read[name] for name in REACT}, "operator_argument": "needle"})
    assert edited.status_code == 200, edited.text
    assert '"@rx needle" "id:9000001,phase:1,pass,capture,nolog' in directives(engines)

    chain = 'SecRule ARGS:a "@rx x" "id:9000001,phase:2,deny,chain"\nSecRule ARGS:b "@rx y" "t:none"'
    assert (await ada_api.patch(place, json={"seclang": chain})).status_code == 200
    refused = await ada_api.patch(place, json={"operator_argument": "z"})
    assert [error["field"] for error in refused.json()["errors"]] == ["operator_argument"]

    logging = 'SecRule REQUEST_METHOD "@streq PUT" "id:9000001,phase:5,pass,log"'
    assert (await ada_api.patch(place, json={"seclang": logging})).status_code == 200
    kept = await ada_api.patch(place, json={"operator_argument": "POST"})
    assert kept.status_code == 200, kept.text
    assert '"@streq POST" "id:9000001,phase:5,pass,log"' in directives(engines)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rule_id": 942100}, "rule_id"),
        ({"phase": "logging"}, "phase"),
        ({"variables": "ARG"}, "variables"),
        ({"operator": "inspectFile"}, "operator"),
        ({"operator_argument": "(?<x"}, "operator_argument"),
        ({"actions": "ctl:ruleEngine=Off"}, "actions"),
        ({"actions": "deny,ctl:ruleEngine=Off"}, "actions"),
        ({"actions": "deny,exec:/bin/sh"}, "actions"),
        ({"actions": "deny,id:9000002"}, "actions"),
        ({"actions": "deny,phase:1"}, "actions"),
        ({"actions": "deny,status:404"}, "actions"),
        ({"actions": "deny,t:lower"}, "actions"),
        ({"actions": ""}, "actions"),
        ({"actions": "deny,msg:'x"}, "actions"),
        ({"actions": "deny,msg:'it\"s'"}, "actions"),
    ],
)
@pytest.mark.changes_nothing
async def test_what_it_says_wrongly_is_refused_at_its_own_key(
    ada_api: httpx2.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await ada_api.post(PLACE, json={**REACT, **body})

    assert (answer.status_code, [error["field"].split(".")[0] for error in answer.json()["errors"]]) == (422, [field])
    assert isinstance(answer.json()["detail"], str)
