"""What every request passes through. Pure ASGI: Starlette's BaseHTTPMiddleware costs as much as the framework."""

import time
import uuid
from urllib.parse import urlsplit

from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
LARGEST_BODY = 256 * 1024

REQUESTS = Counter("guardpanel_http_requests_total", "Requests of the panel.", ["method", "route", "status"])
SECONDS = Histogram("guardpanel_http_request_duration_seconds", "Their duration.", ["route"])


class Answer:
    """Give every answer its security headers and request id, and count it by its route's template."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})["request_id"] = request_id = uuid.uuid4().hex
        began = time.perf_counter()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _dress(MutableHeaders(scope=message), request_id, secure=scope["scheme"] == "https")
                route = getattr(scope.get("route"), "path", "none")
                REQUESTS.labels(scope["method"] if len(scope["method"]) < 8 else "other", route, message["status"]).inc()
                SECONDS.labels(route).observe(time.perf_counter() - began)
            await send(message)

        await self.app(scope, receive, answer)


def _dress(headers: MutableHeaders, request_id: str, *, secure: bool) -> None:
    headers["x-request-id"] = request_id
    headers["content-security-policy"] = CONTENT_SECURITY_POLICY
    headers["x-content-type-options"] = "nosniff"
    headers["referrer-policy"] = "same-origin"
    headers["cross-origin-opener-policy"] = "same-origin"
    headers["permissions-policy"] = "camera=(), geolocation=(), microphone=()"
    if "cache-control" not in headers:
        headers["cache-control"] = "no-store"
    if secure:
        headers["strict-transport-security"] = "max-age=31536000"


class SameOrigin:
    """Refuse what another site makes a browser send.

    Sec-Fetch-Site where the browser sends it, else Origin against Host (Go 1.25's CrossOriginProtection). Requests
    with a bearer token cannot be forged by a page, and programs send neither header: both pass.
    """

    def __init__(self, app: ASGIApp, trusted: str) -> None:
        self.app = app
        self.trusted = {origin.strip().rstrip("/").lower() for origin in trusted.split(",") if origin.strip()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or self.is_ours(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        await refuse(send, 403, "This form was sent from another site.")

    def is_ours(self, headers: Headers) -> bool:
        origin = headers.get("origin", "").rstrip("/").lower()
        if "authorization" in headers or (origin and origin in self.trusted):
            return True
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in {"same-origin", "none"}
        return not origin or urlsplit(origin).netloc == headers.get("host", "").lower()


class BodyLimit:
    """413 for a body over LARGEST_BODY, by its Content-Length or while it comes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > LARGEST_BODY:
            await refuse(send, 413, f"At most {LARGEST_BODY // 1024} KiB can be sent at once.")
            return
        taken, started = 0, False

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY:
                raise TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, limited, watched)
        except TooLarge:
            if not started:
                await refuse(send, 413, f"At most {LARGEST_BODY // 1024} KiB can be sent at once.")


class TooLarge(Exception):
    """The body went over the limit while it was read."""


async def refuse(send: Send, status: int, words: str) -> None:
    body = words.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
