"""Problem documents (RFC 9457)."""

import json
import re

import httpx2
import pytest
from fastapi import FastAPI
from starlette.requests import Request

from guardpanel.access.fetching import DownloadFailed
from guardpanel.api import problems
from guardpanel.errors import FieldError, NeedsConfirmation, Problem, RolledBack
from guardpanel.services.issuing.deeds import AuthorityRefused

ALLOWED = {"/auth/login": [400, 400, 400], "/vhosts/1/test-requests": [401, 400, 400]}
"Operations that others than editors may call."


@pytest.mark.parametrize(
    ("problem", "title"),
    [
        (RolledBack("It broke.", steps=(), evidence=""), "Rolled back"),
        (AuthorityRefused("It offers: default."), "Bad gateway"),
        (DownloadFailed("The server does not answer."), "Bad gateway"),
    ],
)
def test_only_what_was_rolled_back_is_titled_so(problem: Problem, title: str) -> None:
    answer = problems.answer(Request({"type": "http", "path": "/api/v1/certificates/4/preflight"}), problem)
    document = json.loads(bytes(answer.body))
    assert (document["status"], document["title"], document["code"]) == (502, title, problem.code)


def test_what_the_message_quotes_is_not_repeated_for_its_field() -> None:
    errors = {"countries": FieldError("127.0.0.1 is from DE."), "name": FieldError("Too long.")}
    problem = NeedsConfirmation("127.0.0.1 is from DE. To save anyway, send save_anyway.", errors)
    assert problems.detail(problem) == "127.0.0.1 is from DE. To save anyway, send save_anyway. name: Too long."


@pytest.mark.anyio
async def test_an_unreadable_body_is_400_only_for_those_who_may_send_one(
    nobody: httpx2.AsyncClient, vera_api: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, app: FastAPI
) -> None:
    operations = [
        (method, re.sub(r"{\w+}", "1", path))
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
        if "application/json" in operation.get("requestBody", {}).get("content", ())
    ]
    assert len(operations) > 40
    for method, path in operations:
        statuses = []
        for client in (nobody, vera_api, ada_api):
            answer = await client.request(method, path, content=b"{", headers={"content-type": "application/json"})
            statuses.append(answer.status_code)
        expected = ALLOWED.get(path.removeprefix("/api/v1"), [401, 403, 400])
        assert statuses == expected, (method, path, statuses)
