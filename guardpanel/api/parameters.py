"""Rejects query parameters that an operation does not have: a misspelled filter must not list everything."""

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params

from guardpanel.errors import FieldError, Invalid


async def only_known(request: Request) -> None:
    """A dependency of every operation. Raises Invalid with each unknown parameter."""
    if not request.query_params:
        return
    known = {field.alias for field in get_flat_params(request.scope["route"].dependant)}
    unknown = {name[:100]: FieldError("Unknown parameter.") for name in request.query_params if name not in known}
    if unknown:
        raise Invalid("Check the parameters.", unknown)
