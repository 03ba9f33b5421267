"""What every request passes through. Pure ASGI: Starlette's BaseHTTPMiddleware costs as much as the framework."""

import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guardpanel.errors import Forbidden, Problem

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
COUNTED_METHODS = {*SAFE_METHODS, "POST", "PUT", "PATCH", "DELETE"}
LARGEST_BODY = 256 * 1024
LARGER_BODIES = dict.fromkeys(
    (
        "/system/backup/upload",
        "/access/countries/country/upload",
        "/access/countries/network/upload",
        "/api/v1/geo-data/country/file",
        "/api/v1/geo-data/network/file",
    ),
    1024**3,
)
"By path. Only administrators get to the point where it is read. Files with country data are rejected at their field."
LARGEST_LIST = 20 * 1024**2 + LARGEST_BODY
LARGER_BELOW = {
    "/client-cas": 2 * 1024**2,
    "/api/v1/client-cas": 2 * 1024**2,
    "/error-pages": 8 * 1024**2,
    "/access/lists": LARGEST_LIST,
    "/api/v1/address-lists": LARGEST_LIST,
    "/api/v1/configuration": 10 * 1024**2,
    "/system/import": 10 * 1024**2,
}
"""By the beginning of the path: revocation lists, which forms and JSON encode, address lists, files, and photos, whose form
says that they are too large for a logo."""

REQUESTS = Counter("guardpanel_http_requests", "HTTP requests to the panel.", ["method", "route", "status"])
SECONDS = Histogram("guardpanel_http_request_duration_seconds", "Their duration.", ["route"])

Refuse = Callable[[Scope, Receive, Send, Problem], Awaitable[None]]
"Responds to a request that goes no further: `app.py` builds the page or the problem document."


class TooLarge(Problem):
    status = 413
    code = "too_large"

    def __init__(self, largest: int) -> None:
        units = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))
        words = next(f"{largest // size} {unit}" for size, unit in units if largest >= size)
        super().__init__(f"At most {words} can be sent at once. Nothing was saved.")


class Answer:
    """Add security headers and the request id to every response, and count it by its route's template.

    `hsts`: behind a proxy that serves HTTPS. With the panel's own TLS, a browser could not be told to accept a self-signed
    certificate any more, and HSTS holds for all ports of a name."""

    def __init__(self, app: ASGIApp, *, hsts: bool = True) -> None:
        self.app = app
        self.hsts = hsts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {}).update(request_id=uuid.uuid4().hex, hsts=self.hsts)
        began, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                dress(MutableHeaders(scope=message), scope)
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            route = str(getattr(scope.get("route"), "path", "none"))
            method = scope["method"] if scope["method"] in COUNTED_METHODS else "other"
            REQUESTS.labels(method, route, status).inc()
            SECONDS.labels(route).observe(time.perf_counter() - began)


def dress(headers: MutableHeaders, scope: Scope) -> None:
    """Add security headers and the request id."""
    headers["x-request-id"] = scope["state"]["request_id"]
    headers.setdefault("content-security-policy", CONTENT_SECURITY_POLICY)
    headers["x-content-type-options"] = "nosniff"
    headers["referrer-policy"] = "same-origin"
    headers["cross-origin-opener-policy"] = "same-origin"
    headers["permissions-policy"] = "camera=(), geolocation=(), microphone=()"
    headers.setdefault("cache-control", "no-store")
    if scope["scheme"] == "https" and scope["state"]["hsts"]:
        headers["strict-transport-security"] = "max-age=31536000"


class SameOrigin:
    """Reject cross-site requests of browsers: by Sec-Fetch-Site if present, else by Origin and Host (as Go 1.25's
    CrossOriginProtection). Requests with a bearer token cannot be forged by a page, and programs send neither header: both
    pass. A password of HTTP's own can: browsers add it by themselves where a proxy in front has asked for it."""

    def __init__(self, app: ASGIApp, trusted: str, refuse: Refuse) -> None:
        self.app = app
        self.refuse = refuse
        self.trusted = {origin.strip().rstrip("/").lower() for origin in trusted.split(",") if origin.strip()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or self.is_ours(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        words = "Cross-site request rejected. Nothing was changed."
        await self.refuse(scope, receive, send, Forbidden(words))

    def is_ours(self, headers: Headers) -> bool:
        origin = headers.get("origin", "").rstrip("/").lower()
        bears = headers.get("authorization", "").lower().startswith("bearer ")
        if bears or (origin and origin in self.trusted):
            return True
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in {"same-origin", "none"}
        return not origin or urlsplit(origin).netloc == headers.get("host", "").lower()


def largest_body(path: str) -> int:
    """Bytes of a request to the panel."""
    below = next((size for start, size in LARGER_BELOW.items() if path.startswith(start)), LARGEST_BODY)
    return LARGER_BODIES.get(path, below)


class BodyLimit:
    """413 for a body over the limit, by its Content-Length or while it arrives."""

    def __init__(self, app: ASGIApp, refuse: Refuse) -> None:
        self.app = app
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        largest = largest_body(scope["path"])
        length = Headers(scope=scope).get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > largest:
            await self.refuse(scope, receive, send, TooLarge(largest))
            return
        taken, started = 0, False

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > largest:
                raise _BodyTooLarge
            return message

        async def watched(message: Message) -> None:
            # The reader may treat _BodyTooLarge as an unreadable body: discard its response.
            nonlocal started
            if taken <= largest or started:
                started = True
                await send(message)

        with suppress(_BodyTooLarge):
            await self.app(scope, limited, watched)
        if taken > largest and not started:
            await self.refuse(scope, receive, send, TooLarge(largest))


class _BodyTooLarge(Exception):
    """The body exceeded the limit while it was read."""
