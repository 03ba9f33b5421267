"""Requests as bytes, answers as they came."""

import json
from dataclasses import dataclass
from typing import Any

PROXY_LINE = b"PROXY TCP4 127.0.0.1 127.0.0.1 9 9\r\n"

Part = bytes | float
"A piece of a request, or the seconds before the next one."


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def seen(self) -> dict[str, Any]:
        """What the server received (tests/live/origins.py)."""
        assert self.status == 200, (self.status, self.headers, self.body[:500])
        return dict(json.loads(self.body))

    @property
    def seen_headers(self) -> dict[str, str]:
        return dict(self.seen["headers"])

    @property
    def verdict(self) -> dict[str, str]:
        """The `x-gp-` headers, without the prefix."""
        return {name[5:]: value for name, value in self.headers.items() if name.startswith("x-gp-")}


def head(method: str, host: str, target: str, headers: dict[str, str]) -> bytes:
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {host}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
