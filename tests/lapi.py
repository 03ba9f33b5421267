"""A CrowdSec's local API: the stream of decisions as LAPI documents it, kept per key."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.ports import free_port

KEY = "837be58e22a28738066de1be8f53636b"


@dataclass
class Lapi:
    port: int
    active: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    "Decisions by type, scope, and value."
    ended: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)
    "Cleared: it takes its time."
    answer: bytes | None = None
    "Another response, raw."
    _told: dict[str, tuple[set[int], int]] = field(default_factory=dict)
    "By key: the decisions that it has, and of how many ends it knows."
    _next: int = 1

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ban(self, value: str, duration: str = "3h59m49.803481s", kind: str = "ban", scope: str = "") -> None:
        scope = scope or ("Range" if "/" in value else "Ip")
        self.active[kind, scope, value] = {
            "id": self._next, "origin": "crowdsec", "type": kind, "scope": scope, "value": value, "duration": duration,
            "scenario": "crowdsecurity/ssh-bf",
        }  # fmt: skip
        self._next += 1

    def lift(self, value: str) -> None:
        for place in [place for place in self.active if place[2] == value]:
            self.ended.append({**self.active.pop(place), "duration": "-1.2s"})

    def stream(self, key: str, *, startup: bool) -> dict[str, Any]:
        """What this key lacks. Of the ends, the last one is sent again, as LAPI's overlap of two seconds does. Nothing is null."""
        known, ends = self._told.get(key, (set(), 0))
        new = [decision for decision in self.active.values() if startup or decision["id"] not in known]
        deleted = (
            self.ended
            if startup
            else [decision for decision in self.ended[max(0, ends - 1) :] if self._has_ended(decision)]
        )
        self._told[key] = known | {decision["id"] for decision in self.active.values()}, len(self.ended)
        return {"new": new or None, "deleted": deleted or None}

    def _has_ended(self, decision: dict[str, Any]) -> bool:
        """No other one about the same value holds."""
        return (decision["type"], decision["scope"], decision["value"]) not in self.active


@contextmanager
def lapi() -> Iterator[Lapi]:
    here = Lapi(free_port())
    here.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.requests.append(self.path)
            assert here.may_answer.wait(60)
            url, key = urlsplit(self.path), self.headers.get("x-api-key", "")
            if here.answer is not None:
                self.wfile.write(here.answer)
            elif key != KEY:
                self._send(403, {"message": "access forbidden"})
            elif url.path != "/v1/decisions/stream":
                self._send(404, {"message": "Page or Method not found"})
            else:
                self._send(200, here.stream(key, startup=parse_qs(url.query).get("startup") == ["true"]))

        def _send(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", here.port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield here
    server.shutdown()
    server.server_close()
    thread.join()
