"""Visitors over TLS: a handshake as it is asked for, HTTP/1.1 as bytes, and HTTP/2 frame by frame, also in clear."""

import contextlib
import socket
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

import h2.config
import h2.connection
import h2.errors
import h2.events

from tests.live.wire import Response

Address = tuple[str, int]

DEADLINE = 60.0

Headers = list[tuple[str, str]]


def context(version: ssl.TLSVersion | None = None, *, h2: bool = False, certificate: str = "") -> ssl.SSLContext:
    """Of a client that takes any certificate: tests look at it themselves."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.set_alpn_protocols(["h2"] if h2 else ["http/1.1"])
    if version is not None:
        made.minimum_version = made.maximum_version = version
    if certificate:
        made.load_cert_chain(certificate)
    return made


@contextlib.contextmanager
def handshake(
    address: Address, name: str | None, client: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None
) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(address, DEADLINE) as plain,
        (client or context()).wrap_socket(plain, server_hostname=name, session=session) as sealed,
    ):
        yield sealed


def leaf(address: Address, name: str | None) -> bytes:
    """The certificate that a new connection gets, DER."""
    with handshake(address, name) as connection:
        return connection.getpeercert(binary_form=True) or b""


@dataclass
class Stream:
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    is_over: bool = False
    reset: int | None = None

    @property
    def response(self) -> Response:
        if not self.headers:
            raise ConnectionResetError(f"reset with {self.reset}")
        return Response(int(self.headers[":status"]), self.headers, self.body)


class H2:
    """One connection. `with H2(address, "shop.test") as client: client.get("shop.test", "/")`."""

    scheme = "https"

    def __init__(self, address: Address, name: str | None, client: ssl.SSLContext | None = None) -> None:
        self._open = contextlib.ExitStack()
        self.socket = self.connect(address, name, client)
        config = h2.config.H2Configuration(
            header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.wire = h2.connection.H2Connection(config)
        self.wire.initiate_connection()
        self.streams: dict[int, Stream] = {}
        self.flush()

    def connect(self, address: Address, name: str | None, client: ssl.SSLContext | None) -> socket.socket:
        sealed = self._open.enter_context(handshake(address, name, client or context(h2=True)))
        assert sealed.selected_alpn_protocol() == "h2"
        return sealed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def flush(self) -> None:
        self.socket.sendall(self.wire.data_to_send())

    def begin(self, headers: Headers, *, end: bool, first: bytes = b"") -> int:
        """With the first part of the body in the same write, if there is one."""
        number = self.wire.get_next_available_stream_id()
        self.streams[number] = Stream()
        self.wire.send_headers(number, headers, end_stream=end)
        if first:
            self.wire.send_data(number, first)
        self.flush()
        return number

    def request(
        self,
        method: str,
        host: str,
        path: str,
        headers: dict[str, str] | Headers | None = None,
        body: Iterable[bytes] | None = None,
        trailers: Headers | None = None,
    ) -> Response:
        """With `trailers`, the body's end is theirs. Headers as a list are sent as they are."""
        sent = headers
        if not isinstance(sent, list):
            sent = list({"user-agent": "Mozilla/5.0", "accept": "*/*", **(sent or {})}.items())
        pseudo = [(":method", method), (":scheme", self.scheme), (":authority", host), (":path", path)]
        number = self.begin([*pseudo, *sent], end=body is None and trailers is None)
        for part in body or ():
            self.send(number, part)
        with contextlib.suppress(h2.exceptions.StreamClosedError, OSError):  # answered before its end
            if trailers is not None:
                self.wire.send_headers(number, trailers, end_stream=True)
            elif body is not None:
                self.wire.end_stream(number)
            self.flush()
        return self.answer(number)

    def get(self, host: str, path: str, headers: dict[str, str] | None = None) -> Response:
        return self.request("GET", host, path, headers)

    def send(self, number: int, data: bytes) -> None:
        while data and not self.streams[number].is_over:
            room = min(self.wire.local_flow_control_window(number), self.wire.max_outbound_frame_size)
            if room <= 0:  # Less than nothing: HAProxy's settings came after the first part (RFC 9113 §6.9.2).
                self.receive()
                continue
            self.wire.send_data(number, data[:room])
            data = data[room:]
            self.flush()

    def answer(self, number: int) -> Response:
        while not self.streams[number].is_over:
            self.receive()
        return self.streams[number].response

    def receive(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionResetError("the connection was closed")
        for event in self.wire.receive_data(data):
            stream = self.streams.get(getattr(event, "stream_id", 0) or 0)
            if stream is None:
                continue
            if isinstance(event, h2.events.ResponseReceived):
                stream.headers |= {str(name): str(value) for name, value in event.headers or ()}
            elif isinstance(event, h2.events.TrailersReceived):
                stream.trailers |= {str(name): str(value) for name, value in event.headers or ()}
            elif isinstance(event, h2.events.DataReceived):
                stream.body += event.data
                self.wire.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                stream.reset, stream.is_over = int(event.error_code), True
            elif isinstance(event, h2.events.StreamEnded):
                stream.is_over = True
        self.flush()


class ClearH2(H2):
    """In clear, from its first byte (h2c, RFC 9113 §3.3)."""

    scheme = "http"

    def connect(self, address: Address, name: str | None, client: ssl.SSLContext | None) -> socket.socket:
        return self._open.enter_context(socket.create_connection(address, DEADLINE))
