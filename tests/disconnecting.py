"""A client that disconnects while its request is worked on."""

import asyncio
from typing import Any

import httpx2
from fastapi import FastAPI


async def status_without_client(app: FastAPI, request: httpx2.Request, begun: asyncio.Event) -> int:
    """Of the response. The client is gone once the work has begun."""
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": await request.aread(), "more_body": False}]

    async def receive() -> dict[str, object]:
        if parts:
            return parts.pop()
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(name.lower(), value) for name, value in request.headers.raw]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": request.url.path, "root_path": "",
        "raw_path": request.url.raw_path, "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1),
        "server": ("panel.test", 80), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    return int(sent[0]["status"])
