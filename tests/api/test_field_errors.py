"""Errors of fields: a stable code, and where in the request each one is."""

import re
from typing import Any

import httpx2
import pytest

from guardpanel.field_codes import CODES, FieldCode
from guardpanel.models import NOUNS
from tests.contracts.operations import DOCUMENT, ROOT
from tests.factories import a_vhost

pytestmark = [pytest.mark.anyio, pytest.mark.changes_nothing]

POLICIES, PLAN, ENTRIES = "/api/v1/policies", "/api/v1/configuration/plan", "/api/v1/address-lists/1/entries"


def resolved(document: Any, pointer: str) -> Any:
    """RFC 6901, section 4."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


IS_JSON = {"content-type": "application/json"}

NO_HOST = {**a_vhost("a.example"), "policy_id": 2**40}

CASES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("POST", POLICIES, {"json": {}}, {"code": "required", "pointer": "/name"}),
    ("POST", POLICIES, {"json": {"name": ""}}, {"code": "required", "pointer": "/name"}),
    ("POST", POLICIES, {"json": [1]}, {"code": "wrong_type", "pointer": ""}),
    ("POST", POLICIES, {"json": {"name": "a" * 101}}, {"code": "too_long", "pointer": "/name"}),
    ("POST", POLICIES, {"json": {"name": 1}}, {"code": "wrong_type", "pointer": "/name"}),
    ("POST", POLICIES, {"json": {"a.b": 1}}, {"code": "unknown", "pointer": "/a.b"}),
    ("POST", POLICIES, {"json": {"~/x": 1}}, {"code": "unknown", "pointer": "/~0~1x"}),
    ("POST", POLICIES, {"json": {"name": "A", "fail_mode": "maybe"}}, {"code": "not_a_choice", "pointer": "/fail_mode"}),
    ("POST", POLICIES, {"json": {"name": "A", "inbound_anomaly_threshold": 0}}, {"code": "too_small", "pointer": "/inbound_anomaly_threshold"}),
    ("POST", POLICIES, {"json": {"name": "A", "body_limit_kib": 2**40}}, {"code": "too_large", "pointer": "/body_limit_kib"}),
    ("POST", "/api/v1/vhosts", {"json": NO_HOST}, {"code": "not_found", "pointer": "/policy_id"}),
    ("POST", POLICIES, {"json": {"name": "DEFAULT"}}, {"code": "taken", "pointer": "/name"}),
    ("POST", "/api/v1/bans", {"json": {"network": "127.0.0.1"}}, {"code": "needs_confirmation", "pointer": "/network"}),
    ("POST", f"{POLICIES}?pages=1", {"json": {"name": "A"}}, {"code": "unknown", "parameter": "pages"}),
    ("GET", f"{POLICIES}?page=x", {}, {"code": "wrong_type", "parameter": "page"}),
    ("GET", f"{POLICIES}?page=0", {}, {"code": "too_small", "parameter": "page"}),
    ("GET", "/api/v1/events?virtual_host=gone.example", {}, {"code": "not_found", "parameter": "virtual_host"}),
    ("DELETE", f"{POLICIES}/1?pages=1", {}, {"code": "unknown", "parameter": "pages"}),
    ("PATCH", f"{POLICIES}/1", {"json": {}, "headers": {"if-match": '"1", "2"'}}, {"code": "invalid", "header": "if-match"}),
    (
        "POST", POLICIES, {"json": {"name": "A"}, "headers": {"idempotency-key": "a" * 256}},
        {"code": "too_long", "header": "idempotency-key"},
    ),
    (
        "POST", "/api/v1/client-cas", {"content": '{"name": "A", "revocation_list_urls": ["\\ud800"]}', "headers": IS_JSON},
        {"code": "invalid", "pointer": "/revocation_list_urls"},
    ),
    ("POST", "/api/v1/configuration/import", {"json": {"text": "\0"}}, {"code": "invalid", "pointer": "/text"}),
    ("POST", PLAN, {"content": "- 1"}, {"code": "invalid", "pointer": ""}),
    ("POST", PLAN, {"content": "policies:\n- a/b: 1"}, {"code": "unknown", "pointer": "/policies/0/a~1b"}),
    ("POST", PLAN, {"content": "policies: 1"}, {"code": "wrong_type", "pointer": "/policies"}),
    ("POST", PLAN, {"content": "policies:\n- name: A\n  fail_mode: maybe"}, {"code": "not_a_choice", "pointer": "/policies/0/fail_mode"}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "more", "expected"), CASES)
async def test_an_error_has_its_code_and_place(
    ada_api: httpx2.AsyncClient, method: str, path: str, more: dict[str, Any], expected: dict[str, str]
) -> None:
    answer = await ada_api.request(method, path, **more)

    assert answer.status_code in {409, 422}, answer.text
    assert [
        {key: error[key] for key in ("code", "pointer", "parameter", "header") if key in error}
        for error in answer.json()["errors"]
    ] == [expected]


@pytest.mark.parametrize("key", NOUNS)
async def test_each_pointer_leads_to_what_was_sent(ada_api: httpx2.AsyncClient, key: str) -> None:
    noun = NOUNS[key]
    body = {
        name: {"no/such": {"thing": 1}}
        for name in DOCUMENT["components"]["schemas"][f"{noun.table.__name__}In"]["properties"]
    }
    method = "PATCH" if noun.only_name else "POST"
    path = re.sub(r"\{\w+\}", "1", f"/api/v1/{noun.api}")
    answer = await ada_api.request(method, path, json=body)

    errors = answer.json()["errors"]
    assert answer.status_code == 422
    assert [resolved(body, error["pointer"]) for error in errors] == [
        body[error["pointer"].split("/")[1]] for error in errors
    ]
    assert {error["pointer"].split("/")[1] for error in errors} == set(body)


def test_the_codes_are_a_closed_documented_list() -> None:
    schema = DOCUMENT["components"]["schemas"]
    documented = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE))

    assert schema["FieldCode"]["enum"] == list(FieldCode) == list(CODES)
    assert {code: documented.get(code) for code in CODES} == CODES
