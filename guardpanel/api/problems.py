"""Problems as RFC 9457 documents, with the `detail` string that the React panel shows unchanged."""

import re
from dataclasses import replace
from http import HTTPStatus
from typing import cast

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from guardpanel.api.confirming import how_to_confirm
from guardpanel.api.documented import MEDIA_TYPE
from guardpanel.errors import (
    AT_FIELDS,
    EXISTS,
    ConfigRejected,
    DeploymentFailed,
    FieldError,
    Invalid,
    NotFound,
    Problem,
    RollbackFailed,
    RolledBack,
    Stale,
)
from guardpanel.field_codes import CODES, FieldCode, Part
from guardpanel.services.input import field_error
from guardpanel.services.site_file.entries import row_outside

SINGULAR = re.compile(r"(s)es$|s$")
"`backend` of `backends`, `status` of `statuses`."

SURROGATE = re.compile("[\ud800-\udfff]")
"Half of a character, which JSON may escape."

MOST_NAMED = 3
"Fields with the same error that are named in `detail`."


WITHOUT_BODY = {"GET", "HEAD", "DELETE", "OPTIONS"}

BODY = "body"

WHOLE_TEXT = {BODY, "file", "entries"}
"What errors of a body are named that is no JSON, such as a configuration file, if they are at none of its keys."


class FieldProblem(BaseModel):
    """The error of one field: of the body (`pointer`), or of a `parameter` or a `header`."""

    field: str = Field(description="Dotted name, for example `backends.0.url`.")
    code: FieldCode = Field(
        description=f"What is wrong: {'; '.join(f'`{code}`: {words}' for code, words in CODES.items())}."
    )
    message: str = Field(description="What is wrong, for people.")
    pointer: str | None = Field(
        default=None,
        description="JSON pointer (RFC 6901) into the body, for example `/backends/0/url`. Empty: all of it. "
        "Missing: the error is not in the body.",
    )
    parameter: str | None = Field(default=None, description="Name of the query parameter that it is about.")
    header: str | None = Field(default=None, description="Name of the request header that it is about.")
    engine: str | None = Field(default=None, description="The engine's output, if an engine rejected it.")
    where: str | None = Field(
        default=None,
        description="The file and line that the engine reported. Of a configuration file, "
        "the line or, if the file does not name the row, the row: `Policy Strict`.",
    )


class ProblemDocument(BaseModel):
    """RFC 9457. `code` is stable for programs, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FieldProblem]
    current: int | None = Field(default=None, description="With 412: the row's current version, as in the ETag header.")
    output: str | None = Field(default=None, description="An engine's full output, or the evidence for a rollback.")


TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Precondition failed",
    413: "Content too large",
    422: "Invalid",
    428: "Precondition required",
    429: "Too many requests",
    500: "Internal error",
    502: "Bad gateway",
    503: "Unavailable",
    507: "Storage failed",
}

SENTENCES = {
    400: "This request can’t be parsed.",
    404: "Page not found.",
    405: "Method not allowed here.",
}


def answer(request: Request, problem: Problem) -> JSONResponse:
    document = ProblemDocument(
        type="about:blank",
        title=problem.title or TITLES.get(problem.status, "Problem"),
        status=problem.status,
        detail=detail(problem) + how_to_confirm(request, problem),
        instance=request.scope["path"],
        code=problem.code,
        errors=[_field(request, name, error) for name, error in problem.errors.items()],
        current=_current(problem),
        output=_output(problem),
    )
    headers = {"www-authenticate": "Bearer"} if problem.status == 401 else {}
    if document.current is not None:
        headers["etag"] = f'"{document.current}"'
    return JSONResponse(document.model_dump(exclude_none=True), problem.status, headers, MEDIA_TYPE)


def _field(request: Request, name: str, error: FieldError) -> FieldProblem:
    part = error.part or ("query" if request.scope["method"] in WITHOUT_BODY else "body")
    keys = error.keys or (() if name == BODY or _is_whole_text(request, name) else name.split("."))
    return FieldProblem(
        field=name,
        code=error.code,
        message=error.message,
        pointer="".join(f"/{key.replace('~', '~0').replace('/', '~1')}" for key in keys) if part == "body" else None,
        parameter=".".join(keys) if part == "query" else None,
        header=name if part == "header" else None,
        engine=error.engine,
        where=error.where,
    )


def _is_whole_text(request: Request, name: str) -> bool:
    """`virtual_host:17` is a row that the file does not name."""
    is_text = getattr(request.scope.get("route"), "body_field", None) is None
    return is_text and (name in WHOLE_TEXT or ":" in name)


def detail(problem: Problem) -> str:
    """One readable string: the message, if it says more than the errors, then the fields of each error that it doesn't quote.
    Rows count from 1."""
    fields: dict[str, list[str]] = {}
    for name, error in problem.errors.items():
        if error.message not in problem.message:
            words = f"{error.message} {error.engine}" if error.engine else error.message
            fields.setdefault(words, []).append(row_outside(name, error) or _readable(name))
    message = [] if fields and problem.message in {AT_FIELDS, EXISTS} else [problem.message]
    return " ".join(
        [*message, *_engines_words(problem), *(f"{_some(names)}: {message}" for message, names in fields.items())]
    )


def _engines_words(problem: Problem) -> list[str]:
    """Why an engine rejected something, if that is not at a field."""
    if not isinstance(problem, ConfigRejected) or problem.errors:
        return []
    findings = problem.findings[:MOST_NAMED]
    return [
        f"{finding.engine}: “{finding.message}”{f' ({finding.where})' if finding.where else ''}."
        for finding in findings
    ]


def _readable(name: str) -> str:
    """`backend 1 url` for `backends.0.url`."""
    words: list[str] = []
    for part in name.split("."):
        if part.isdecimal() and words:
            words[-1] = SINGULAR.sub(r"\1", words[-1])
        words.append(str(int(part) + 1) if part.isdecimal() else part)
    return " ".join(words)


def _some(names: list[str]) -> str:
    """`a, b and 6 more`"""
    return ", ".join(names) if len(names) <= MOST_NAMED else f"{', '.join(names[:2])} and {len(names) - 2} more"


def invalid(error: RequestValidationError) -> Problem:
    """FastAPI's validation errors of path, query and body, in our words."""
    errors: dict[str, FieldError] = {}
    for detail in error.errors():
        if detail["type"] == "json_invalid":
            return of_status(400, "The body is not valid JSON.")
        if detail["loc"][0] == "path":
            return NotFound("Page not found.")
        part, *keys = map(str, detail["loc"])
        if part == "body":
            keys = _sent(error.body, keys)
        errors.setdefault(
            ".".join(keys) or BODY,
            replace(field_error(dict(detail)), part=cast("Part", part), keys=tuple(keys)),
        )
    return Invalid.of(errors)


def _sent(body: object, keys: list[str]) -> list[str]:
    """What of a place is in the body, or would be: pydantic adds words of its own. A key with half of a character can't be
    answered, so the place is what has it."""
    sent: list[str] = []
    for key in keys:
        if not isinstance(body, dict | list) or SURROGATE.search(key):
            break
        if isinstance(body, dict):
            sent, body = [*sent, key], body.get(key)
        elif key.isdecimal() and int(key) < len(body):
            sent, body = [*sent, key], body[int(key)]
    return sent


def of_status(status: int, sentence: str = "") -> Problem:
    """The framework's own errors, in our words."""
    phrase = HTTPStatus(status).phrase
    problem = Problem(sentence or SENTENCES.get(status, f"{phrase}."))
    problem.status, problem.code = status, phrase.lower().replace(" ", "_").replace("-", "_")
    return problem


def _current(problem: Problem) -> int | None:
    return problem.current if isinstance(problem, Stale) else None


def _output(problem: Problem) -> str | None:
    if isinstance(problem, ConfigRejected):
        return problem.output
    return problem.evidence if isinstance(problem, RolledBack | RollbackFailed | DeploymentFailed) else None
