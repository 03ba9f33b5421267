"""Which errors each operation can give: read from what it depends on, so that the document lists those and no others."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from guardpanel.api.idempotent import accepts_key
from guardpanel.api.parameters import only_known
from guardpanel.api.saves import named_version, save_request
from guardpanel.api.streaming import one_of_few
from guardpanel.dependencies import editor, viewer

MEDIA_TYPE = "application/problem+json"

SENTENCES = {
    400: "The request can’t be parsed.",
    401: "Not logged in, or the token has expired.",
    403: "The role does not allow this.",
    404: "Not found.",
    409: "Conflicts with the current state, or another save is running.",
    412: "The row changed after it was read (If-Match). `current` and the ETag header contain its version.",
    413: "The body is too large.",
    422: "The input is invalid, or an engine rejected it. Nothing was saved.",
    428: "The API token requires If-Match with the ETag that was read.",
    429: "Too many failed login attempts, or too many open streams.",
    500: "Internal error.",
    502: "It could not be verified and was rolled back. Nothing was saved.",
    503: "An engine is not responding. Nothing was saved.",
    507: "The disk or the database is not writable.",
}

HEADERS = {
    401: {"www-authenticate": "Bearer."},
    412: {"etag": "The row's current version."},
    429: {"retry-after": "Seconds to wait."},
}

OF_DEPENDENCIES: dict[Callable[..., Any], tuple[int, ...]] = {
    only_known: (422,),
    viewer: (401,),
    editor: (403,),
    one_of_few: (429,),
    named_version: (412, 428),
    save_request: (409, 502, 503),
}
"What these raise, and what is done with their result."


def also(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route: errors that its dependencies do not tell."""
    return {status: {"description": SENTENCES[status]} for status in statuses}


def components() -> dict[str, Any]:
    """The responses that operations refer to."""
    schema = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
    return {
        _name(status): {
            "description": sentence,
            "content": {MEDIA_TYPE: schema},
            **({"headers": headers_of(HEADERS[status])} if status in HEADERS else {}),
        }
        for status, sentence in SENTENCES.items()
    }


def headers_of(headers: dict[str, str]) -> dict[str, Any]:
    return {name: {"description": words, "schema": {"type": "string"}} for name, words in headers.items()}


def add_errors(app: FastAPI, document: dict[str, Any]) -> None:
    """Give each operation its errors, in the order of their numbers."""
    dependants = {
        (str(route.path_format), method): route.dependant
        for route in iter_route_contexts(app.routes)
        if getattr(route, "dependant", None)
        for method in route.methods or ()
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            own = {int(status) for status in operation["responses"] if status >= "4"} - {422}
            errors = sorted(own | set(_statuses(dependants[path, method.upper()], method, path, operation)))
            good = {status: answer for status, answer in operation["responses"].items() if status < "4"}
            operation["responses"] = good | {
                str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in errors
            }


def _statuses(dependant: Dependant, method: str, path: str, operation: dict[str, Any]) -> Iterator[int]:
    yield 500
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", ())):
        yield 404
    if body := operation.get("requestBody"):
        yield from (413, 400) if "application/json" in body["content"] else (413,)
    if method == "post" and accepts_key("POST", path):
        yield from (409, 422)
    if method != "get":
        yield from (403, 507)
    for call in _calls(dependant):
        yield from OF_DEPENDENCIES.get(call, ())


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for part in dependant.dependencies:
        if part.call is not None:
            yield part.call
        yield from _calls(part)


def _name(status: int) -> str:
    """`NotFound`"""
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")
