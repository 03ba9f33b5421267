"""Parts of a page that are sent as they become known, as server-sent events (static/js/app.js fills them in).

A browser that closes the page, or whose user presses Stop, closes the stream: its generator is closed, and with it all work.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Literal

from starlette.responses import StreamingResponse

Way = Literal["replace", "append", "show"]
"`show`: the element is no longer hidden. It has no HTML."

END = b"event: end\ndata: {}\n\n"
"Without it, the browser would open the stream again."


def part(into: str, html: str = "", way: Way = "replace") -> bytes:
    """For the element with this id."""
    return f"event: part\ndata: {json.dumps({'into': into, 'html': html, 'way': way})}\n\n".encode()


def stream(parts: AsyncGenerator[bytes]) -> StreamingResponse:
    headers = {"x-accel-buffering": "no"}  # a proxy before the panel must not collect them
    return StreamingResponse(_ended(parts), media_type="text/event-stream", headers=headers)


async def _ended(parts: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(parts):
        async for each in parts:
            yield each
    yield END
