"""Server-sent events: what pages and the JSON API send as it becomes known.

A client that goes away closes the stream: its generator is closed, and with it all work.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from starlette.responses import StreamingResponse


def message(data: str, *, event: str = "", number: str = "") -> bytes:
    """`data` is one line. `number`: what the client sends as Last-Event-ID to go on after it."""
    lines = [f"event: {event}"] * bool(event) + [f"id: {number}"] * bool(number) + [f"data: {data}"]
    return "\n".join([*lines, "", ""]).encode()


class EventStream(StreamingResponse):
    media_type = "text/event-stream"

    def __init__(self, messages: AsyncGenerator[bytes], status_code: int = 200) -> None:
        # A proxy in front must not collect them.
        super().__init__(_closed(messages), status_code, headers={"x-accel-buffering": "no"})


async def _closed(messages: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(messages):
        async for each in messages:
            yield each
