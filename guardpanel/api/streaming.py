"""What all streams of the API have in common: server-sent events while the token is valid, bounded per account."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Annotated, Any

from fastapi import Depends, Header, Request

from guardpanel.dependencies import PanelDep, Viewer, identify
from guardpanel.errors import Problem
from guardpanel.panel import Panel
from guardpanel.server_sent import EventStream

BETWEEN_SECONDS = 0.5
"Between two looks at the database, and at whether the token is still valid."

KEEP_ALIVE_SECONDS = 15.0
KEEP_ALIVE = b": nothing new\n\n"
"Proxies close what is silent."

FIRST = b"retry: 2000\n\n"
"Milliseconds after which a client opens the stream again. Sent at once, so that it sees that the stream is open."

News = Callable[[], Awaitable[list[bytes]]]
"Messages since the last call. Raises Problem if there can be none now."

LastEventId = Annotated[
    str,
    Header(
        alias="Last-Event-ID",
        pattern=r"^[0-9]{0,19}$",
        description="The `id` of the last message: the stream goes on after it.",
    ),
]


LARGEST = 2**63 - 1
"Of SQLite's numbers."


def after(last_event_id: str, newest: int) -> int:
    """The number that a stream goes on after: that of the header, or, without one, the newest."""
    return min(int(last_event_id), LARGEST) if last_event_id else newest


def documented(what: str) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route. `what`: the `data` of a message."""
    return {200: {"description": f"Messages with an `id`, and `data`: {what} as JSON."}}


async def one_of_few(panel: PanelDep, user: Viewer) -> AsyncIterator[None]:
    """Raises TooManyStreams (429). Its end is that of the answer."""
    with panel.streams.opened(user.email):
        yield


OneOfFew = Depends(one_of_few)


def answer(request: Request, panel: Panel, news: News) -> EventStream:
    return EventStream(_messages(request, panel, news))


async def _messages(request: Request, panel: Panel, news: News) -> AsyncGenerator[bytes]:
    """Ends when the token does, and with the panel. A problem ends it, too: the client’s next request gets it as an answer."""
    yield FIRST
    reader, sent_at = _Reader(request, panel), monotonic()
    while not panel.streams.have_ended and await reader.may_read():
        try:
            messages = await news()
        except Problem:
            return
        if not messages and monotonic() - sent_at >= KEEP_ALIVE_SECONDS:
            messages = [KEEP_ALIVE]
        for message in messages:
            yield message
            sent_at = monotonic()
        await panel.streams.pause(BETWEEN_SECONDS)


class _Reader:
    """Who began to read. Asked when the stream begins, since the request was identified before, and again when the database has
    changed: by a log-out, or a token that was revoked."""

    def __init__(self, request: Request, panel: Panel) -> None:
        self.request = request
        self.panel = panel
        self.version: int | None = None

    async def may_read(self) -> bool:
        version = self.panel.database.version()
        if version == self.version and datetime.now(UTC) < self.request.state.viewer_until:
            return True
        self.version = version
        async with self.panel.database.read() as session:
            return await identify(self.request, session, self.panel) is not None
