"""The OpenAPI document: camelCase operation ids, and every error documented as a problem."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from guardpanel.api import deprecated, documented, examples
from guardpanel.api.asynchronous import DOCUMENTED_PREFER, JOB_STARTED, may_take_long
from guardpanel.api.idempotent import DOCUMENTED, accepts_key
from guardpanel.api.problems import ProblemDocument
from guardpanel.api.saves import without_null
from guardpanel.models import NOUNS

DESCRIPTION = (
    "Virtual hosts and WAF policies of HAProxy + Coraza. A 2xx response to a write means that it is live and verified."
)

TAGS = [
    {"name": "auth", "description": "Login, logout, and the current account."},
    {"name": "tokens", "description": "API tokens, which scripts log in with."},
    *({"name": noun.tag, "description": noun.what} for noun in NOUNS.values()),
    {"name": "configuration", "description": "The whole configuration as a file."},
    {"name": "changes", "description": "Every attempt to go live, what it did, and how to undo it."},
    {"name": "jobs", "description": "Requests that are carried out after their response."},
    {"name": "bans", "description": "Addresses that are rejected until a time."},
    {"name": "access", "description": "Why an address is rejected or not, and what undoes that."},
    {"name": "rules", "description": "Rules of the WAF agent’s rule set, in plain words."},
    {
        "name": "logs",
        "description": "Events: requests that fired rules, and requests that HAProxy rejected or could not deliver.",
    },
    {"name": "events", "description": "Events with all filters and details, and fixes of those that were no attacks."},
    {"name": "runtime", "description": "What the engines are running."},
]

SETTINGS = {f"/api/v1/{noun.api}" for noun in NOUNS.values() if noun.only_name}

OPEN = ("/auth/login", "/auth/refresh", "/auth/logout")
"Operations that require no bearer token."

ETAG = documented.headers_of({"etag": "The row's version. Send it as If-Match."})


def operation_id(route: APIRoute) -> str:
    """`list_policies` → `listPolicies`."""
    first, *rest = route.name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def install(app: FastAPI) -> None:
    """Replace `app.openapi()`. `guardpanel openapi` prints the result, and `openapi.json` stores it."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=TAGS,
        license_info={"name": "Apache 2.0", "identifier": "Apache-2.0"}, servers=[{"url": "/"}],
    )  # fmt: skip
    components = document["components"]
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    problem = ProblemDocument.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    components["schemas"] |= {**problem.pop("$defs"), "ProblemDocument": problem}
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    components["responses"] = documented.components()
    documented.add_errors(app, document)
    for noun in NOUNS.values():
        components["schemas"][f"{noun.table.__name__}In"]["examples"] = [dict(noun.example)]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if accepts_key(method.upper(), path):
                operation.setdefault("parameters", []).append(DOCUMENTED)
            if may_take_long(method.upper(), path):
                operation.setdefault("parameters", []).append(DOCUMENTED_PREFER)
                operation["responses"] = {**operation["responses"], "202": JOB_STARTED}
            for parameter in operation.get("parameters", ()):
                without_null(parameter["schema"])
                if parameter["schema"].pop("deprecated", False):
                    parameter["deprecated"] = True
            operation["security"] = [] if path.endswith(OPEN) else [{"bearer": []}]
            for status, answer in operation["responses"].items():
                if status.startswith("2") and _is_row(path, operation):
                    answer["headers"] = ETAG
                if status.startswith("2") and operation.get("deprecated"):
                    answer["headers"] = documented.headers_of(deprecated.HEADERS)
    examples.add(document)
    return document


def _is_row(path: str, operation: dict[str, Any]) -> bool:
    """Whether it returns a single row, which has a version."""
    return "204" not in operation["responses"] and (
        path.endswith("_id}") or path in SETTINGS or operation["operationId"].startswith("create")
    )
