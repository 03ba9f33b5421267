"""Rule exclusions below their policy: by our own keys and in the contract of the React panel."""

from typing import Any

import httpx2
import pytest

from tests.factories import a_react_policy, a_vhost
from tests.fakes import FakeEngines
from tests.rule_set import rule_set

pytestmark = pytest.mark.anyio

PLACE = "/api/v1/policies/1/exclusions"
CONTENT = {"rules": ["941100"], "target_name": "content", "path": "/wp-json/posts", "methods": ["POST"]}
REACT = {"rule_id": 941100, "target_type": "args", "target_value": "content", "scope_path": "/posts", "comment": None}


async def make(client: httpx2.AsyncClient, place: str = PLACE, **others: Any) -> dict[str, Any]:
    answer = await client.post(place, json={**CONTENT, **others})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def another_policy(client: httpx2.AsyncClient) -> str:
    made = await client.post("/api/v1/policies", json=a_react_policy("Strict"))
    return f"/api/v1/policies/{made.json()['id']}"


async def test_an_exclusion_without_an_owner_belongs_to_its_author(ada_api: httpx2.AsyncClient) -> None:
    made = await make(ada_api)

    assert (made["owner"], made["rules"], made["target"], made["path_match"]) == (
        "ada@example.org",
        ["941100"],
        "argument",
        "exact",
    )


async def test_it_is_nowhere_but_in_its_policy(ada_api: httpx2.AsyncClient) -> None:
    number = (await make(ada_api))["id"]
    other = await another_policy(ada_api)

    for policy in (other, "/api/v1/policies/9999"):
        for method in ("GET", "PATCH", "DELETE"):
            answer = await ada_api.request(method, f"{policy}/exclusions/{number}", json={})

            assert (answer.status_code, answer.json()["detail"]) == (
                404,
                "Rule exclusion not found. It may have been deleted.",
            )
    assert (await ada_api.get(f"{other}/exclusions")).json()["items"] == []
    assert (await ada_api.get(f"{PLACE}/{number}")).status_code == 200


async def test_nothing_is_listed_or_added_in_a_policy_that_there_is_not(ada_api: httpx2.AsyncClient) -> None:
    for answer in (
        await ada_api.get("/api/v1/policies/9999/exclusions"),
        await ada_api.post("/api/v1/policies/9999/exclusions", json=CONTENT),
    ):
        assert (answer.status_code, answer.json()["detail"]) == (404, "Policy not found. It may have been deleted.")


async def test_it_is_deleted_with_its_policy_and_comes_back_with_its_undo(
    ada_api: httpx2.AsyncClient, ada: httpx2.AsyncClient
) -> None:
    policy = await another_policy(ada_api)
    made = await make(ada_api, f"{policy}/exclusions")
    assert (await ada_api.delete(policy)).status_code == 204

    assert (await ada_api.get(f"{policy}/exclusions/{made['id']}")).status_code == 404
    change = (await ada.get("/changes")).text.partition("/undo")[0].rpartition("/changes/")[2]
    assert (await ada.post(f"/changes/{change}/undo")).status_code == 303
    assert (await ada_api.get(f"{policy}/exclusions/{made['id']}")).json()["rules"] == ["941100"]


async def test_a_policy_that_is_restored_alone_brings_what_was_in_it(
    ada_api: httpx2.AsyncClient, ada: httpx2.AsyncClient
) -> None:
    policy = await another_policy(ada_api)
    made = await make(ada_api, f"{policy}/exclusions")
    change = (await ada.get("/changes")).text.partition("/undo")[0].rpartition("/changes/")[2]
    await ada_api.delete(policy)
    await make(ada_api)

    thing = f"policy:{policy.rpartition('/')[2]}"
    assert (await ada.post(f"/changes/{change}/restore", data={"thing": thing})).status_code == 303

    assert (await ada_api.get(f"{policy}/exclusions/{made['id']}")).json()["rules"] == ["941100"]


async def test_the_react_panel_adds_reads_and_changes_one(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    made = (await ada_api.post(PLACE, json=REACT)).json()
    read = (await ada_api.get("/api/v1/policies/1")).json()["rule_exclusions"]

    assert [{name: row[name] for name in ("id", *REACT)} for row in read] == [{"id": made["id"], **REACT}]
    changed = await ada_api.patch(f"{PLACE}/{made['id']}", json={**REACT, "rule_id": 942100, "comment": "Editors"})
    assert (changed.json()["rules"], changed.json()["reason"]) == (["942100"], "Editors")
    assert engines.running is not None
    assert "ctl:ruleRemoveTargetById=942100;ARGS:content" in engines.running.files["coraza.yaml"].decode()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"target_value": "json.items.0.text"}, {"target": "json", "target_name": "json.items.0.text"}),
        ({"target_value": "/^item_\\d+$/"}, {"target_name": "^item_\\d+$", "name_is_pattern": True}),
        ({"target_type": "args_names"}, {"target": "argument_name"}),
        ({"target_type": "request_headers", "target_value": "Referer"}, {"target": "header", "target_name": "Referer"}),
        ({"scope_path": None}, {"path_match": "any", "path": ""}),
        (
            {"target_type": "request_uri", "target_value": "/x", "scope_path": None},
            {"target": "url", "path_match": "exact"},
        ),
        (
            {"target_type": "request_uri", "target_value": "*"},
            {"target": "url", "path_match": "below", "path": "/posts"},
        ),
        (
            {"target_type": "request_uri", "target_value": "whole"},
            {"target": "url", "path_match": "below", "path": "/posts"},
        ),
        (
            {"target_type": "request_uri", "target_value": "REQUEST_URI", "scope_path": None},
            {"target": "url", "path_match": "any"},
        ),
    ],
)
async def test_what_the_react_panel_says_is_what_is_excluded(
    ada_api: httpx2.AsyncClient, theirs: dict[str, Any], ours: dict[str, Any]
) -> None:
    made = (await ada_api.post(PLACE, json={**REACT, **theirs})).json()

    assert {name: made[name] for name in ours} == ours
    same = await ada_api.patch(f"{PLACE}/{made['id']}", json={name: made[name] for name in REACT})
    assert {name: same.json()[name] for name in ours} == ours


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"target_type": "cookies"}, "target_type"),
        ({"scope_path": "posts"}, "scope_path"),
        ({"rule_id": 949110}, "rule_id"),
        ({"target_type": "request_uri", "target_value": "/other"}, "target_value"),
        ({"target_type": "request_uri", "target_value": "whole", "scope_path": None}, "target_value"),
        ({"target_value": " "}, "target_value"),
        ({"target_value": "/a{,5}/"}, "target_value"),
        ({"target_value": "/[a[:alpha:]]/"}, "target_value"),
    ],
)
@pytest.mark.changes_nothing
async def test_what_it_says_wrongly_is_refused_at_its_own_key(
    ada_api: httpx2.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await ada_api.post(PLACE, json={**REACT, **body})

    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])


async def test_a_placebo_is_refused_unless_it_is_disabled(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    engines.agent.known_rules = rule_set()
    placebo = {**REACT, "target_type": "request_headers", "target_value": "x-name"}

    answer = await ada_api.post(PLACE, json=placebo)

    assert [error["field"] for error in answer.json()["errors"]] == ["target_value"]
    assert "doesn’t inspect the header “x-name”" in answer.json()["errors"][0]["message"]
    assert (await ada_api.post(PLACE, json={**placebo, "enabled": False})).status_code == 201


async def test_a_custom_rule_of_the_policy_can_be_excluded_from_a_field(
    ada_api: httpx2.AsyncClient, ada: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.agent.known_rules = rule_set()
    mine = {**CONTENT, "rules": ["9000001"]}
    missing = await ada_api.post(PLACE, json=mine)
    rule = {"rule_id": 9000001, "name": "Mine", "variables": "ARGS", "operator_argument": "x"}
    added = await ada_api.post("/api/v1/policies/1/custom-rules", json=rule)
    assert added.status_code == 201, added.text
    elsewhere = await ada_api.post(PLACE, json={**mine, "target": "cookie"})

    made = await ada_api.post(PLACE, json=mine)

    assert missing.json()["errors"][0]["message"] == "This policy has no custom rule 9000001."
    assert "It inspects parameters." in elsewhere.json()["errors"][0]["message"]
    assert made.status_code == 201, made.text
    page = (await ada.get("/policies/1/custom-rules/1")).text
    assert f"/policies/1/exclusions/{made.json()['id']}" in page
    assert "/policies/1/exclusions/new?rules=9000001" in page
    assert (await ada_api.delete("/api/v1/policies/1/custom-rules/1")).status_code == 204
    (entry,) = (await ada_api.get("/api/v1/ledger")).json()["items"]
    assert [flag["message"] for flag in entry["flags"]] == ["Its custom rule is no longer in this policy: 9000001."]


async def test_one_for_a_virtual_host_has_an_application_of_its_own(
    ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    for name in ("a.example", "b.example"):
        await ada_api.post("/api/v1/vhosts", json=a_vhost(name, policy_id=1))
    await make(ada_api, virtual_host_id=1)

    assert engines.running is not None
    bindings = dict(line.split(" ", 1) for line in engines.running.files["vhosts.map"].decode().splitlines())
    first, second = (bindings[number].split(";")[1] for number in ("1", "2"))
    rules = {application.name: application.directives for application in engines.running.applications}
    assert "ARGS:content" in rules[first]
    assert "ARGS:content" not in rules[second]


async def test_a_virtual_hosts_exclusions_are_deleted_with_it(ada_api: httpx2.AsyncClient) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost("a.example", policy_id=1))
    made = await make(ada_api, virtual_host_id=1)

    assert (await ada_api.delete("/api/v1/vhosts/1")).status_code == 204

    assert (await ada_api.get(f"{PLACE}/{made['id']}")).status_code == 404


async def test_it_is_for_a_virtual_host_of_its_policy(ada_api: httpx2.AsyncClient) -> None:
    other = (await ada_api.post("/api/v1/policies", json={"name": "Other"})).json()["id"]
    await ada_api.post("/api/v1/vhosts", json=a_vhost("a.example", policy_id=other))

    answer = await ada_api.post(PLACE, json={**CONTENT, "virtual_host_id": 1})

    assert [error["message"] for error in answer.json()["errors"]] == ["a.example does not use this policy."]


async def test_what_stays_behind_when_a_virtual_host_gets_another_policy_can_be_restored(
    ada_api: httpx2.AsyncClient, ada: httpx2.AsyncClient
) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost("a.example", policy_id=1))
    made = await make(ada_api, virtual_host_id=1)
    other = (await ada_api.post("/api/v1/policies", json={"name": "Other"})).json()["id"]
    assert (await ada_api.patch("/api/v1/vhosts/1", json={"policy_id": other})).status_code == 200
    assert (await ada_api.delete("/api/v1/vhosts/1")).status_code == 204

    change = (await ada.get("/changes")).text.partition("/undo")[0].rpartition("/changes/")[2]
    assert (await ada.post(f"/changes/{change}/undo")).status_code == 303

    kept = await ada_api.get(f"{PLACE}/{made['id']}")
    assert kept.json()["virtual_host_id"] == 1
    disabled = await ada_api.patch(f"{PLACE}/{made['id']}", json={"enabled": False})
    assert disabled.status_code == 200, disabled.text


async def test_another_target_does_not_exclude_every_field_by_itself(ada_api: httpx2.AsyncClient) -> None:
    made = await make(ada_api, rules=["941100"], target="request", target_name="")
    url = f"{PLACE}/{made['id']}"

    refused = await ada_api.patch(url, json={"target": "argument"})

    assert refused.status_code == 422
    assert "Enter the field’s name" in refused.text
    assert (await ada_api.patch(url, json={"target": "argument", "target_name": ""})).status_code == 200
    assert (await ada_api.patch(url, json={"target": "cookie"})).json()["target"] == "cookie"
