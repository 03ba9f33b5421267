"""The reference of the JSON API: every operation, from the OpenAPI document."""

import asyncio

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import SessionDep, Viewer
from guardpanel.errors import NotFound
from guardpanel.views import api_reference
from guardpanel.views.answers import page
from guardpanel.views.api_reference import Reference

router = APIRouter(prefix="/system/api")


@router.get("")
async def index(request: Request, _session: SessionDep, _viewer: Viewer) -> Response:
    reference = await asyncio.to_thread(Reference)
    return await page(request, "system/api.html", {"groups": reference.groups(), "total": len(reference.operations)})


@router.get("/openapi.json")
async def download(_viewer: Viewer) -> Response:
    """For generators of clients."""
    headers = {"content-disposition": 'attachment; filename="openapi.json"'}
    return Response(await asyncio.to_thread(api_reference.document), headers=headers, media_type="application/json")


@router.get("/{operation_id}")
async def show(request: Request, operation_id: str, _session: SessionDep, _viewer: Viewer) -> Response:
    reference = await asyncio.to_thread(Reference)
    operation = reference.operations.get(operation_id)
    if operation is None:
        raise NotFound("Operation not found.")
    context = {
        "operation": operation, "parameters": reference.parameters(operation), "body": reference.body(operation),
        "answers": reference.answers(operation), "command": reference.command(operation),
    }  # fmt: skip
    return await page(request, "system/api_operation.html", context)
