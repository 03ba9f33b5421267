"""Rejects query parameters that an operation does not have, and missing bodies: a misspelled filter must not list everything, and
a file that was not sent must not delete everything."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.dependencies.utils import get_flat_params

from guardpanel.dependencies import Editor
from guardpanel.errors import FieldError, Invalid
from guardpanel.field_codes import FieldCode


async def only_known(request: Request) -> None:
    """A dependency of every operation. Raises Invalid with each unknown parameter."""
    if not request.query_params:
        return
    known = {field.alias for field in get_flat_params(request.scope["route"].dependant)}
    unknown = {
        name[:100]: FieldError("Unknown parameter.", code=FieldCode.UNKNOWN, part="query", keys=(name[:100],))
        for name in request.query_params
        if name not in known
    }
    if unknown:
        raise Invalid("Check the parameters.", unknown)


async def sent_body(request: Request, _editor: Editor) -> bytes:
    """A body that is no JSON, of who may send one. An empty one is sent with its content type. Raises Invalid without one."""
    body = await request.body()
    if not body and "content-type" not in request.headers:
        raise Invalid.at("body", "Send a body, with its content type.", FieldCode.REQUIRED)
    return body


SentBody = Annotated[bytes, Depends(sent_body)]
"After the user among an operation’s parameters: who may not write sends no body that is read."
