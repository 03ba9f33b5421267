"""Problems as RFC 9457 documents, with the `detail` string that the React panel shows as it stands."""

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from guardpanel.errors import ConfigRejected, FieldError, Invalid, Problem, RollbackFailed, RolledBack, TooManyAttempts
from guardpanel.services.input import words

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Dotted name, such as `servers.0.address`.")
    message: str
    engine: str | None = Field(default=None, description="The engine's own words, where one refused it.")
    where: str | None = Field(default=None, description="Where the engine found it: a file and line.")


class ProblemDocument(BaseModel):
    """RFC 9457. `code` is stable for programs; `detail` is for people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FieldProblem] = []
    output: str | None = Field(default=None, description="An engine's full words, or the evidence of a roll-back.")


def _documented(status: int, words: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {"description": words, "content": {MEDIA_TYPE: {"schema": schema}}}


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    status: _documented(status, words)
    for status, words in {
        400: "The request cannot be read.",
        401: "Nobody is logged in, or the token is over.",
        403: "The role does not allow this.",
        404: "There is no such thing.",
        409: "It contradicts what is there, or another process saves.",
        412: "The row changed since it was read (If-Match).",
        413: "The body is too large.",
        422: "The input is refused, by its own rules or by an engine. Nothing was saved.",
        429: "Too many failed log-ins.",
        500: "guardpanel failed.",
        502: "It could not be proved live and was rolled back. Nothing was saved.",
        503: "An engine does not answer.",
    }.items()
}

TITLES = {
    400: "Bad request", 401: "Unauthorized", 403: "Forbidden", 404: "Not found", 405: "Method not allowed", 409: "Conflict",
    412: "Precondition failed", 413: "Content too large", 422: "Refused", 429: "Too many requests", 500: "Internal error",
    502: "Rolled back", 503: "Unavailable",
}  # fmt: skip


def answer(request: Request, problem: Problem) -> JSONResponse:
    document = ProblemDocument(
        title=TITLES.get(problem.status, "Problem"),
        status=problem.status,
        detail=detail(problem),
        instance=request.url.path,
        code=problem.code,
        errors=[
            FieldProblem(field=name, message=error.message, engine=error.engine, where=error.where)
            for name, error in problem.errors.items()
        ],
        output=_output(problem),
    )
    headers = {"www-authenticate": "Bearer"} if problem.status == 401 else {}
    if isinstance(problem, TooManyAttempts):
        headers["retry-after"] = str(problem.retry_after)
    return JSONResponse(document.model_dump(exclude_none=True), problem.status, headers, MEDIA_TYPE)


def detail(problem: Problem) -> str:
    """One readable string: the message, and each field with what is wrong with it."""
    fields = "; ".join(f"{name}: {error.message}" for name, error in problem.errors.items() if error.message != problem.message)
    return f"{problem.message} {fields}".strip()


def invalid(error: RequestValidationError) -> Problem:
    """FastAPI's own refusals of query, path and body in our words."""
    errors: dict[str, FieldError] = {}
    for one in error.errors():
        kind, location = str(one["type"]), [str(part) for part in one["loc"][1:]]
        name = ".".join(location) or "body"
        errors.setdefault(name, FieldError("This is not JSON." if kind == "json_invalid" else words(dict(one))))
    if any(one["type"] == "json_invalid" for one in error.errors()):
        problem = Problem("The body is not JSON.")
        problem.status, problem.code = 400, "not_json"
        return problem
    return Invalid("Some fields need another look.", errors)


def _output(problem: Problem) -> str | None:
    if isinstance(problem, ConfigRejected):
        return problem.output
    return problem.evidence if isinstance(problem, RolledBack | RollbackFailed) else None
