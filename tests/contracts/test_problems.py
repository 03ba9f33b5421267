"""Every problem has one shape, whoever raised it: RFC 9457 with a `detail` string under /api, a page elsewhere."""

import re
from typing import Any

import httpx2
import pytest

from guardpanel import errors
from guardpanel.api.problems import TITLES, detail
from guardpanel.errors import ConfigRejected, FieldError, Finding, Invalid, Problem
from guardpanel.panel import Panel
from tests.contracts.operations import DOCUMENT
from tests.faults import Faults
from tests.html import read

pytestmark = pytest.mark.anyio

KEYS = {"type", "title", "status", "detail", "instance", "code", "errors"}


def assert_is_problem(answer: httpx2.Response, status: int, code: str, title: str = "") -> dict[str, Any]:
    document: dict[str, Any] = answer.json()
    assert answer.status_code == document["status"] == status, document
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(document) - {"output"} == KEYS
    assert isinstance(document["detail"], str)
    assert document["detail"]
    assert document["code"] == code
    assert document["title"] == (title or TITLES[status])
    assert document["instance"].startswith("/api/")
    return document


METHODS = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}

CASES: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/api/v1/nothing", {}, 404, "not_found"),
    ("GET", "/api/nothing", {}, 404, "not_found"),
    ("GET", "/api/v1/vhosts/77", {}, 404, "not_found"),
    ("GET", "/api/v1/vhosts/x", {}, 404, "not_found"),
    ("PUT", "/api/v1/vhosts/1", {}, 405, "method_not_allowed"),
    ("POST", "/api/v1/policies", {"content": b"{"}, 400, "bad_request"),
    ("POST", "/api/v1/policies", {"content": b"\xff"}, 400, "bad_request"),
    ("POST", "/api/v1/policies", {"json": {}}, 422, "invalid"),
    ("POST", "/api/v1/policies", {"json": [1]}, 422, "invalid"),
    ("POST", "/api/v1/policies", {}, 422, "invalid"),
    ("GET", "/api/v1/policies?page=x", {}, 422, "invalid"),
    ("POST", "/api/v1/policies", {"content": b"a" * 300_000}, 413, "too_large"),
    ("POST", "/api/v1/auth/refresh", {}, 401, "unauthorized"),
]


@pytest.mark.parametrize(("method", "path", "more", "status", "code"), CASES)
@pytest.mark.changes_nothing
async def test_problems_of_the_api(
    ada_api: httpx2.AsyncClient, method: str, path: str, more: dict[str, Any], status: int, code: str
) -> None:
    ada_api.cookies.clear()
    if "content" in more:
        more = {**more, "headers": {"content-type": "application/json"}}

    assert_is_problem(await ada_api.request(method, path, **more), status, code)


@pytest.mark.parametrize("path", DOCUMENT["paths"])
@pytest.mark.changes_nothing
async def test_another_method_is_rejected_with_those_of_the_path(ada_api: httpx2.AsyncClient, path: str) -> None:
    """`Allow` is what the document has for the path, also where another path with a parameter matches it."""
    documented = {method.upper() for method in DOCUMENT["paths"][path]}
    concrete = re.sub(r"\{[a-z_]+\}", "1", path)

    for method in METHODS - documented:
        answer = await ada_api.request(method, concrete)

        assert answer.status_code == 405, (method, answer.text)
        assert set(answer.headers["allow"].split(", ")) == documented
        if method != "HEAD":
            assert_is_problem(answer, 405, "method_not_allowed")


def problems() -> list[Problem]:
    steps = [errors.Step("verify", 0.1, "no")]
    return [
        errors.Forbidden("Words."),
        errors.NotFound("Words."),
        errors.Conflict("Words."),
        errors.NothingNew("Words."),
        errors.Busy("Words."),
        errors.Drifted("Words."),
        errors.HostnameTakeover("Words."),
        errors.NeedsConfirmation("Words.", {"certificate": FieldError("Too short.")}),
        errors.Stale("Words."),
        errors.PreconditionRequired("Words."),
        errors.StorageFailed("Words."),
        Invalid("Words.", {"name": FieldError("Too long.")}),
        errors.TooManyAttempts("Words.", 3),
        errors.EngineUnavailable("Words."),
        errors.EngineSilent("Words."),
        errors.ConfigRejected("Words.", engine="HAProxy", output="[ALERT]"),
        errors.DeploymentFailed("Words.", step="verify", evidence="seen"),
        errors.RolledBack("Words.", steps=steps, evidence="seen"),
        errors.RollbackFailed("Words.", steps=steps, evidence="seen"),
        Problem("Words."),
    ]


@pytest.mark.parametrize("problem", problems(), ids=lambda problem: type(problem).__name__)
@pytest.mark.changes_nothing
async def test_every_kind_of_problem_becomes_an_answer(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, problem: Problem, faults: Faults
) -> None:
    async def broken() -> None:
        raise problem

    faults.expect()  # a look at the engines may fall into it
    ada_api.event_hooks = {}  # which is no error of this operation
    panel.engines.status = broken  # type: ignore[assignment,method-assign]
    answer = await ada_api.get("/api/v1/runtime/status")
    document = assert_is_problem(answer, problem.status, problem.code, problem.title)

    assert document["detail"].startswith("Words.")
    assert [error["field"] for error in document["errors"]] == list(problem.errors)
    del panel.engines.status
    page = await ada.get("/policies/77")
    assert page.headers["content-type"].startswith("text/html")
    assert "Status 404" in read(page.text).text


def test_all_kinds_are_tried() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Problem)}

    assert kinds - {type(problem) for problem in problems()} == {errors.Unauthorized}


def test_detail_names_the_fields() -> None:
    problem = Invalid.of({"name": FieldError("Too long."), "servers.0.address": FieldError("No.")})

    assert detail(problem) == "name: Too long. server 1 address: No."


def test_detail_says_why_an_engine_rejected_what_no_field_is_about() -> None:
    finding = Finding("HAProxy", "unable to load CA file", file="haproxy.cfg", line=212)
    problem = ConfigRejected("HAProxy rejected it.", engine="HAProxy", output="", findings=[finding])

    assert detail(problem) == "HAProxy rejected it. HAProxy: “unable to load CA file” (haproxy.cfg line 212)."
    problem.errors = {"tls_ca": FieldError("HAProxy does not accept this.", "HAProxy: “unable to load CA file”")}
    assert (
        detail(problem)
        == "HAProxy rejected it. tls_ca: HAProxy does not accept this. HAProxy: “unable to load CA file”"
    )


def test_detail_says_an_error_of_several_fields_once() -> None:
    errors = {f"backends.{at}.url": FieldError("No.") for at in range(8)}

    assert detail(Invalid("Check.", errors)) == "Check. backend 1 url, backend 2 url and 6 more: No."


async def test_what_was_typed_is_not_echoed(ada_api: httpx2.AsyncClient) -> None:
    answer = await ada_api.post("/api/v1/policies", json={"name": "x" * 65536, "description": "y" * 65536})

    assert answer.status_code == 422
    assert len(answer.content) < 2000
    assert "At most 100 characters; this has 65,536." in answer.json()["detail"]
