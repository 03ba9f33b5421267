"""Problem documents (RFC 9457)."""

import json

import pytest
from starlette.requests import Request

from guardpanel.access.fetching import DownloadFailed
from guardpanel.api import problems
from guardpanel.errors import FieldError, NeedsConfirmation, Problem, RolledBack
from guardpanel.services.issuing.deeds import AuthorityRefused


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
