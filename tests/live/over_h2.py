"""The same requests over TLS by HTTP/2: what a test asks of a stack, it can ask of it in this way, too."""

import re
import ssl
from collections.abc import Iterable
from typing import Self

from tests.live.stack import Stack
from tests.live.tls import H2, ClearH2
from tests.live.wire import Response
from tests.rows import SECRET

HOSTNAME = re.compile(r"[a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)+")

NO_ANSWER = Response(0, {}, b"")
"The stream was reset, or the connection closed: HAProxy takes what HTTP/2 forbids for an error of its connection."


class OverH2(Stack):
    """A view of a running stack whose virtual hosts have HTTPS. `send` and `connect` stay HTTP/1.1."""

    scheme, http = "https", "2"

    @classmethod
    def of(cls, stack: Stack) -> Self:
        view = object.__new__(cls)
        view.__dict__ = stack.__dict__
        return view

    def request(
        self, method: str, host: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Response:
        sent = {"user-agent": "Mozilla/5.0", "accept": "*/*", "x-gp-test": SECRET}
        if body or method in {"POST", "PUT", "PATCH"}:
            sent["content-length"] = str(len(body))
        return self.exchange(method, host, target, {**sent, **(headers or {})}, [body] if body else None)

    def chunked(self, host: str, chunks: Iterable[bytes], content_type: str, target: str = "/") -> Response:
        """A frame for each, and no length."""
        sent = {"user-agent": "Mozilla/5.0", "accept": "*/*", "x-gp-test": SECRET, "content-type": content_type}
        return self.exchange("POST", host, target, sent, chunks)

    def client(self, name: str | None) -> H2:
        return H2(self.tls_address, name)

    def exchange(
        self, method: str, host: str, target: str, headers: dict[str, str], body: Iterable[bytes] | None
    ) -> Response:
        """The handshake is for the host where it is a name."""
        name = HOSTNAME.match(host)
        lines = [(field.lower(), value) for field, value in headers.items()]
        with self.client(name[0] if name else None) as client:
            try:
                return client.request(method, host, target, lines, body)
            except (ConnectionError, ssl.SSLEOFError):
                return NO_ANSWER


class OverClearH2(OverH2):
    """In clear, by the first listener, whose setting allows it."""

    scheme = "http"

    def client(self, name: str | None) -> H2:
        return ClearH2(self.address, name)
