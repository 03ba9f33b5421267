"""Answers to reads of the JSON API, kept until the database changes: what was answered before costs no routing, query or model.
Pure ASGI, as `middleware.py`."""

import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = 60.0
"An answer is not kept for longer: the state of certificates, and which is used, follow the clock."

MOST = 32 * 1024**2
"Bytes of all kept answers."

BESIDE = 2048
"Bytes that an answer takes beside its body: headers and objects."

Key = tuple[str, bytes]
"A path and its query."


async def keep(request: Request) -> None:
    request.state.may_be_kept = True


Keeps = Depends(keep)
"For operations whose answer depends on the database alone, and is the same for all who may read it."


@dataclass(frozen=True)
class KeptAnswer:
    start: Message
    body: bytes
    route: Any
    until: float

    async def give(self, scope: Scope, send: Send) -> None:
        scope["route"] = self.route
        await send({**self.start, "headers": list(self.start["headers"])})
        await send({"type": "http.response.body", "body": self.body})


class KeptAnswers:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.version = -1
        self.size = 0
        self.answers: dict[Key, KeptAnswer] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = _token(scope)
        if not token:
            await self.app(scope, receive, send)
            return
        self._follow(scope)
        now, key = time.monotonic(), (scope["path"], scope["query_string"])
        answer = self.answers.get(key)
        if answer and answer.until > now and scope["app"].state.panel.accounts.bearers.known(token):
            await answer.give(scope, send)
        else:
            await self._first(scope, receive, send, key)

    def _follow(self, scope: Scope) -> int:
        """Forget everything if the database has changed, whoever wrote. Returns its version."""
        version: int = scope["app"].state.panel.database.version()
        if version != self.version:
            self.version, self.size, self.answers = version, 0, {}
        return version

    async def _first(self, scope: Scope, receive: Receive, send: Send, key: Key) -> None:
        version, sent = self.version, list[Message]()

        async def watched(message: Message) -> None:
            if scope["state"].get("may_be_kept"):
                sent.append(message)
            # What dresses an answer adds to its list of headers.
            await send({**message, "headers": list(message["headers"])} if "headers" in message else message)

        await self.app(scope, receive, watched)
        if sent and sent[0]["status"] == 200 and version == self._follow(scope):
            self._keep(key, sent, scope.get("route"))

    def _keep(self, key: Key, sent: list[Message], route: Any) -> None:
        body = b"".join(message.get("body", b"") for message in sent[1:])
        size = _size(key, body)
        if size > MOST:
            return
        if before := self.answers.pop(key, None):
            self.size -= _size(key, before.body)
        if self.size + size > MOST:
            self.size, self.answers = 0, {}
        self.size += size
        self.answers[key] = KeptAnswer(sent[0], body, route, time.monotonic() + SECONDS)


def _size(key: Key, body: bytes) -> int:
    return len(body) + len(key[0]) + len(key[1]) + BESIDE


def _token(scope: MutableMapping[str, Any]) -> str:
    """The bearer token of a read of the API. Empty for every other request."""
    if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith("/api/v1/"):
        return ""
    scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
