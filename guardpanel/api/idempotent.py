"""`Idempotency-Key`: a POST that a client repeats, since it does not know what became of it, is carried out once. With
`Prefer: respond-async` (RFC 7240), the response does not wait for it. Pure ASGI, as `middleware.py`."""

import asyncio
from contextlib import suppress
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardpanel.api.asynchronous import is_job, started
from guardpanel.dependencies import identify
from guardpanel.errors import Invalid, Problem, StorageFailed
from guardpanel.field_codes import FieldCode
from guardpanel.middleware import Refuse
from guardpanel.panel import Panel
from guardpanel.services.saving.once import Answered, InProgress

HEADER = "idempotency-key"
LONGEST = 255

NOT_KEPT = ("/api/v1/auth/", "/api/v1/tokens")
"Their answers are secrets."

KEPT_HEADERS = ("content-type", "etag", "location")

DOCUMENTED: dict[str, Any] = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "Chosen by the client for one request. If the request is repeated with it within 24 hours, it is not "
    "carried out again, and the answer is the same.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST, "title": "Idempotency-Key"},
}  # fmt: skip


def accepts_key(method: str, path: str) -> bool:
    return method == "POST" and path.startswith("/api/v1/") and not path.startswith(NOT_KEPT)


class Idempotent:
    def __init__(self, app: ASGIApp, refuse: Refuse) -> None:
        self.app = app
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_http = scope["type"] == "http"
        job = f"{scope['method']} {scope['path']}" if is_http and is_job(scope) else ""
        key = Headers(scope=scope).get(HEADER) if is_http and accepts_key(scope["method"], scope["path"]) else None
        if not job and key is None:
            await self.app(scope, receive, send)
            return
        panel, request = scope["app"].state.panel, Request(scope, receive)
        who = await _who(request, panel)
        if not who:
            await self.app(scope, receive, send)
            return
        body = await request.body()
        try:
            if key is not None and not 0 < len(key) <= LONGEST:
                raise Invalid.at(
                    HEADER,
                    f"Use 1 to {LONGEST} characters.",
                    FieldCode.TOO_LONG if key else FieldCode.REQUIRED,
                    "header",
                )
            content = b"\0".join((scope["path"].encode(), scope["query_string"], body))
            begun = await panel.changes.once.begin(who, key, content, job)
        except InProgress as problem:
            if job and problem.job:
                await _give(started(problem.job), send)
            else:
                await self.refuse(scope, receive, send, problem)
            return
        except Problem as problem:
            await self.refuse(scope, receive, send, problem)
            return
        if isinstance(begun, Answered):
            await _give(begun, send, replayed=True)
        elif job and panel.jobs.has_room:  # Others may have begun since.
            panel.jobs.begin(self._job(scope, body, panel, begun))
            await _give(started(begun), send)
        else:
            await self._carry_out(scope, _again(body, receive), send, panel, begun)

    async def _carry_out(self, scope: Scope, receive: Receive, send: Send, panel: Panel, number: int) -> None:
        """The answer is kept before it is sent: whoever has it can repeat the request."""
        scope["state"]["idempotent"] = number
        messages: list[Message] = []

        async def collected(message: Message) -> None:
            messages.append(message)

        try:
            await self.app(scope, receive, collected)
            with suppress(StorageFailed):  # It was carried out. A repeated request is told so, without the answer.
                await panel.changes.once.end(number, _answered(messages))
        except Exception:
            panel.changes.once.leave(number)
            raise
        for message in messages:
            await send(message)

    async def _job(self, scope: Scope, body: bytes, panel: Panel, number: int) -> None:
        """The response was sent: what the request gets is kept, whatever it is."""
        messages: list[Message] = []

        async def collected(message: Message) -> None:
            messages.append(message)

        async def stays() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        own = {**scope, "state": {**scope["state"], "idempotent": number}}
        try:
            await self.app(own, _again(body, stays), collected)
        except Exception:
            messages.clear()
            request_id = scope["state"].get("request_id")
            await self.refuse(
                own, stays, collected, Problem(f"Internal error. Search guardpanel’s log for request {request_id}.")
            )
            raise
        finally:
            await self._keep(panel, number, messages)

    async def _keep(self, panel: Panel, number: int, messages: list[Message]) -> None:
        if not messages:  # Canceled: the panel is shutting down.
            return
        with suppress(StorageFailed):
            await panel.changes.once.keep(number, _answered(messages))


async def _who(request: Request, panel: Panel) -> str:
    """Empty for strangers: their requests are answered as without a key."""
    async with panel.database.read() as session:
        user = await identify(request, session, panel)
    return user.email if user else ""


def _again(body: bytes, receive: Receive) -> Receive:
    """A body that was read already."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def message() -> Message:
        return left.pop() if left else await receive()

    return message


def _answered(messages: list[Message]) -> Answered:
    start, *parts = messages
    headers = Headers(raw=start["headers"])
    kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
    return Answered(start["status"], kept, b"".join(part.get("body", b"") for part in parts))


async def _give(answered: Answered, send: Send, *, replayed: bool = False) -> None:
    again = {"idempotency-replayed": "true"} if replayed else {}
    headers = MutableHeaders({**answered.headers, "content-length": str(len(answered.body)), **again})
    await send({"type": "http.response.start", "status": answered.status, "headers": headers.raw})
    await send({"type": "http.response.body", "body": answered.body})
