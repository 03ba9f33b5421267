"""Work for a client that waits for it, and that is to end when the client is gone: what changes nothing, and takes seconds."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from guardpanel.errors import Problem

T = TypeVar("T")


class ClientGone(Problem):
    """Only metrics and logs get this status, as those of nginx."""

    status = 499
    code = "client_gone"


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Its result. Canceled if the client disconnects, whose body was read before. Raises ClientGone then."""
    task, gone = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone("The client disconnected before the response.")
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.wait({task, gone})


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
