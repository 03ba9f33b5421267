"""The OpenAPI document: camelCase operation ids, and every error documented as a problem."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from guardpanel.api.problems import ProblemDocument

DESCRIPTION = "Virtual hosts and WAF policies of HAProxy + Coraza. What a write answers with 2xx is live and proved."


def camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def install(app: FastAPI) -> None:
    """Make `app.openapi()` ours; it is kept in `openapi.json`, and served at /api/v1/openapi.json."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            route.operation_id = camel_case(route.name)

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def build(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
    made["servers"] = [{"url": "/"}]
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["ProblemDocument"] = problem
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    for path, operations in made["paths"].items():
        for operation in operations.values():
            if not path.endswith(("/auth/login", "/auth/refresh", "/auth/logout")):
                operation["security"] = [{"bearer": []}]
            for status, answer in operation["responses"].items():
                if status.startswith(("4", "5")):
                    answer["content"] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return made
