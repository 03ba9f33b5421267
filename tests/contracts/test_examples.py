"""Examples of the document: valid, and those of bodies are accepted by a new panel."""

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from tests.contracts.operations import DOCUMENT

pytestmark = pytest.mark.anyio

COMPONENTS = DOCUMENT["components"]

OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}

BODIES = {name for name, (_, _, operation) in OPERATIONS.items() if "requestBody" in operation}


def body_of(name: str) -> tuple[str, Any, dict[str, Any]]:
    """Its content type, example and schema."""
    ((kind, content),) = OPERATIONS[name][2]["requestBody"]["content"].items()
    schema = content["schema"]
    if "$ref" in schema:
        schema = COMPONENTS["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return kind, content.get("example") or schema["examples"][0], schema


def is_valid(value: Any, schema: dict[str, Any]) -> bool:
    return jsonschema_rs.validator_for({**schema, "components": COMPONENTS}).is_valid(value)


def test_every_body_has_an_example_that_its_schema_accepts() -> None:
    for name in BODIES:
        _, example, schema = body_of(name)
        assert is_valid(example, schema), name


def answers() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, (_, _, operation) in OPERATIONS.items():
        for status, answer in operation["responses"].items():
            schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
            if status.startswith("2") and "$ref" in schema:
                yield name, COMPONENTS["schemas"][schema["$ref"].rsplit("/", 1)[1]]


def test_every_object_that_is_answered_has_an_example_that_its_schema_accepts() -> None:
    schemas = dict(answers())

    assert len(schemas) > 100
    assert [name for name, schema in schemas.items() if not is_valid(schema.get("examples", [None])[0], schema)] == []


def test_the_example_of_a_noun_has_its_values() -> None:
    (host,) = COMPONENTS["schemas"]["VirtualHostRead"]["examples"]
    (page,) = COMPONENTS["schemas"]["PolicyPage"]["examples"]

    assert (host["hostnames"], host["servers"][0]["address"], host["policy_id"]) == (
        ["shop.example"],
        "10.0.0.5:8080",
        1,
    )
    assert (page["items"][0]["name"], page["items"][0]["enforcement_mode"]) == ("Shop", "block")


BEFORE = ("createVirtualHost", "createPathBinding", "createAddressList", "createPolicy")
"What makes the rows that the others refer to, or name like another one."

NOT_ACCEPTED = {
    "applyFix": (404, "There is no event."),
    "evaluateRequest": (503, "The WAF agent is needed."),
    "forgiveClient": (404, "No client is counted."),
    "restoreChange": (409, "An application profile was applied to the virtual host since."),
    "setPathServerState": (404, "The path has no servers of its own."),
    "setServerState": (409, "It is the only server."),
    "updatePolicy": (409, "The example is that of createPolicy, whose name is taken."),
    "uploadGeoData": (409, "The example of updateGeoData is a URL."),
}
"Bodies that another state or an engine is needed for."


async def send(client: httpx2.AsyncClient, name: str) -> httpx2.Response:
    method, path, _ = OPERATIONS[name]
    kind, example, _ = body_of(name)
    path = re.sub(r"\{\w+\}", "1", path.replace("{kind}", "country"))
    if kind == "application/json":
        return await client.request(method, path, json=example)
    return await client.request(method, path, content=example, headers={"content-type": kind})


async def test_a_new_panel_accepts_the_examples_of_bodies(ada_api: httpx2.AsyncClient) -> None:
    refused = {}
    for name in (*BEFORE, *sorted(BODIES - {*BEFORE})):
        answer = await send(ada_api, name)
        if not answer.is_success:
            refused[name] = answer.status_code, answer.json()["detail"]

    expected = {name: status for name, (status, _) in NOT_ACCEPTED.items()}
    assert {name: status for name, (status, _) in refused.items()} == expected, refused
