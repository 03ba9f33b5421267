"""`openapi.json` is what the code says, and good to generate a client from."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardpanel.app import create_app
from guardpanel.models import NOUNS
from guardpanel.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
KEPT: dict[str, Any] = json.loads((ROOT / "openapi.json").read_text())
OPERATIONS = [
    (path, method, operation) for path, methods in KEPT["paths"].items() for method, operation in methods.items()
]


def test_the_committed_document_is_that_of_the_code() -> None:
    made = create_app(Settings(data_dir=Path("/nowhere"))).openapi()

    assert json.loads(json.dumps(made)) == KEPT, "run `make openapi`"


def test_operation_ids_are_unique_and_camel_case() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(?:[A-Z][a-z]+)*", name) for name in names)


def test_operation_ids_stay_what_they_are() -> None:
    """Generated clients call them by these names."""
    assert {
        "logIn", "refreshToken", "logOut", "readMe", "listVirtualHosts", "createVirtualHost", "readVirtualHost", "updateVirtualHost",
        "deleteVirtualHost", "listPolicies", "createPolicy", "readPolicy", "updatePolicy", "deletePolicy", "readRuntimeStatus", "applyConfig",
    } <= {operation["operationId"] for _, _, operation in OPERATIONS}  # fmt: skip


RESPONSES = KEPT["components"]["responses"]
READ = {"401", "422", "500"}
SAVE = {"401", "403", "409", "422", "500", "502", "503", "507"}


def errors(path: str, method: str) -> set[str]:
    return {status for status in KEPT["paths"][path][method]["responses"] if status >= "4"}


def test_every_error_is_a_problem() -> None:
    for path, method, operation in OPERATIONS:
        for status in errors(path, method):
            reference = operation["responses"][status]["$ref"]
            content = RESPONSES[reference.removeprefix("#/components/responses/")]["content"]
            assert list(content) == ["application/problem+json"], (path, method, status)
            assert content["application/problem+json"]["schema"]["$ref"].endswith("/ProblemDocument")


@pytest.mark.parametrize(
    ("operation", "expected"),
    {
        ("get", "/api/v1/policies"): READ,
        ("get", "/api/v1/policies/{policy_id}"): READ | {"404"},
        ("get", "/api/v1/rules"): READ | {"503"},
        ("get", "/api/v1/security/banned-ips"): READ | {"403"},
        ("post", "/api/v1/policies"): SAVE | {"400", "413"},
        ("patch", "/api/v1/policies/{policy_id}"): SAVE | {"400", "404", "412", "413", "428"},
        ("delete", "/api/v1/policies/{policy_id}"): SAVE | {"404", "412", "428"},
        ("post", "/api/v1/auth/login"): {"400", "401", "403", "413", "422", "429", "500", "507"},
    }.items(),
)
def test_an_operation_has_the_errors_that_it_can_give(operation: tuple[str, str], expected: set[str]) -> None:
    method, path = operation

    assert errors(path, method) == expected


def test_operations_with_if_match_return_the_version() -> None:
    operations = {operation["operationId"] for path, method, operation in OPERATIONS if "412" in errors(path, method)}

    rows = [noun.table.__name__ for noun in NOUNS.values() if not noun.only_name]
    changes = {f"update{noun.table.__name__}" for noun in NOUNS.values()} | {f"delete{name}" for name in rows}
    assert operations == changes
    assert "etag" in RESPONSES["PreconditionFailed"]["headers"]
    assert "current" in KEPT["components"]["schemas"]["ProblemDocument"]["properties"]


def test_no_schema_is_empty() -> None:
    def empty(part: Any, place: str) -> Iterator[str]:
        if isinstance(part, dict):
            for name, value in part.items():
                if name in {"example", "examples"}:
                    continue
                if name in {"schema", "items"} and not set(value) - {"title", "description"}:
                    yield f"{place}/{name}"
                yield from empty(value, f"{place}/{name}")
        elif isinstance(part, list):
            for item in part:
                yield from empty(item, place)

    assert list(empty(KEPT, "")) == []


def test_detail_is_a_string_and_always_there() -> None:
    problem = KEPT["components"]["schemas"]["ProblemDocument"]

    assert problem["properties"]["detail"]["type"] == "string"
    assert {"type", "title", "status", "detail", "instance", "code", "errors"} <= set(problem["required"])


def test_everything_but_the_doors_asks_for_a_token() -> None:
    doors = {path for path, _, operation in OPERATIONS if not operation["security"]}

    assert doors == {f"/api/v1/auth/{name}" for name in ("login", "refresh", "logout")}
    assert KEPT["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}


def test_every_reference_leads_somewhere_and_nothing_is_left_over() -> None:
    text = json.dumps(KEPT)
    named = set(re.findall(r'"#/components/schemas/([A-Za-z]+)"', text))

    assert named == set(KEPT["components"]["schemas"])


def test_pages_are_not_in_it_and_every_operation_is_described() -> None:
    assert all(path.startswith("/api/v1/") for path, _, _ in OPERATIONS)
    assert all(operation["tags"] and operation["summary"] for _, _, operation in OPERATIONS)
    assert {tag for _, _, operation in OPERATIONS for tag in operation["tags"]} == {tag["name"] for tag in KEPT["tags"]}


def test_bodies_take_no_key_that_they_do_not_know() -> None:
    for path, method, operation in OPERATIONS:
        if "application/json" in operation.get("requestBody", {}).get("content", ()):
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            schema = KEPT["components"]["schemas"][reference.rsplit("/", 1)[1]]
            assert schema["additionalProperties"] is False, (path, method)
