"""Parts of a page that are sent as they become known, as server-sent events (static/js/app.js fills them in)."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from guardpanel.server_sent import EventStream, message

Way = Literal["replace", "append", "show"]
"`show`: the element is no longer hidden. It has no HTML."

END = message("{}", event="end")
"Without it, the browser would open the stream again."


def part(into: str, html: str = "", way: Way = "replace") -> bytes:
    """For the element with this id."""
    return message(json.dumps({"into": into, "html": html, "way": way}), event="part")


def stream(parts: AsyncGenerator[bytes]) -> EventStream:
    return EventStream(_ended(parts))


async def _ended(parts: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(parts):
        async for each in parts:
            yield each
    yield END
