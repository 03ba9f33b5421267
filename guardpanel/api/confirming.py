"""How a program confirms what a 409 asks about: said with each of them, as the operation declares it."""

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from guardpanel.errors import Drifted, NeedsConfirmation, Problem

PARAMETERS = ("confirm", "save_anyway")

OVER_DRIFT = "overwrite_drift"


def how_to_confirm(request: Request, problem: Problem) -> str:
    """` To confirm, repeat the request with ?confirm=true.` Empty if there is nothing to confirm."""
    if isinstance(problem, Drifted):
        return _sentence(f"?{OVER_DRIFT}=true")
    route = request.scope.get("route")
    if not isinstance(problem, NeedsConfirmation) or not isinstance(route, APIRoute):
        return ""
    way = way_of(route)
    form = f"use guardpanel’s own form: {problem.form}" if problem.form else ""
    if way:
        return f"{_repeated(way)}, or {form}" if form else _sentence(way)
    return f" To confirm, {form}" if form else ""


def way_of(route: APIRoute) -> str:
    """What to add to the request. Empty: its operation asks nothing."""
    names = _names_in_query(route.dependant)
    if parameter := next((name for name in PARAMETERS if name in names), ""):
        return f"?{parameter}=true"
    body = _fields(route.body_field.field_info.annotation) if route.body_field else set()
    return "save_anyway: true in its body" if "save_anyway" in body else ""


def _names_in_query(dependant: Dependant) -> set[str]:
    """Also those of a model that has several."""
    names = {name for each in dependant.dependencies for name in _names_in_query(each)}
    for field in dependant.query_params:
        names |= _fields(field.field_info.annotation) or {field.alias}
    return names


def _fields(kind: object) -> set[str]:
    """Of a model."""
    return set(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else set()


def _sentence(way: str) -> str:
    return f"{_repeated(way)}."


def _repeated(way: str) -> str:
    return f" To confirm, repeat the request with {way}"
