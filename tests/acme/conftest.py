"""One authority and one name server per file of tests, and a visitor's server that proves every name by HTTP-01."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from guardpanel.acme.keys import new_key, thumbprint
from tests.acme.authority import Knot, Pebble
from tests.ports import free_port


@pytest.fixture(scope="module")
def key() -> bytes:
    """Of the installation's account."""
    return new_key()


@pytest.fixture(scope="module")
def knot() -> Iterator[Knot]:
    with Knot() as server:
        yield server


@pytest.fixture(scope="module")
def web(key: bytes) -> Iterator[int]:
    """Answers as HAProxy does: token, dot, thumbprint."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = not self.headers["host"].startswith("unproven")
            self.send_response(200 if known else 421)
            self.end_headers()
            self.wfile.write(f"{self.path.rpartition('/')[2]}.{thumbprint(key)}".encode() if known else b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def pebble(web: int, knot: Knot) -> Iterator[Pebble]:
    with Pebble(web, knot.port) as server:
        yield server
