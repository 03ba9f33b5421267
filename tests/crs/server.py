"""The server that CRS's tests are written for: `/reflect` answers with what the request's body says."""

import base64
import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any


def reflected(question: bytes) -> tuple[int, dict[str, str], bytes]:
    """The status, headers and body that a request's body asks for."""
    wanted: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        wanted = json.loads(question)
    body = base64.b64decode(wanted.get("encodedBody") or "") or str(wanted.get("body") or "").encode()
    headers = {name.lower(): str(value) for name, value in (wanted.get("headers") or {}).items()}
    return int(wanted.get("status") or 200), {"content-type": "text/plain; charset=utf-8", **headers}, body


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        question = self.rfile.read(int(self.headers.get("content-length") or 0))
        status, headers, body = reflected(question if self.path.startswith("/reflect") else b"")
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """HAProxy may close a connection at any time."""


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Gives its address."""
    running = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"127.0.0.1:{running.server_address[1]}"
    finally:
        running.shutdown()
        running.server_close()
