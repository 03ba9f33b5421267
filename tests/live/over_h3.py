"""The same requests by HTTP/3: a client of QUIC that is driven packet by packet."""

import socket
import ssl
import time
from collections.abc import Iterable
from typing import Self

from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, QuicEvent, StreamReset
from aioquic.tls import SessionTicket
from cryptography.hazmat.primitives.serialization import Encoding

from tests.live.over_h2 import HOSTNAME, NO_ANSWER, OverH2
from tests.live.stack import Stack
from tests.live.tls import DEADLINE, Address, Headers, Stream
from tests.live.wire import Response


class Requests(H3Connection):
    def _check_content_length(self, stream: object) -> None:
        """It takes the length in an answer to HEAD for that of a body."""


class H3:
    """One connection. `with H3(address, "shop.test") as client: client.get("shop.test", "/")`."""

    def __init__(
        self,
        address: Address,
        name: str | None,
        *,
        certificate: str = "",
        ticket: SessionTicket | None = None,
        seconds: float = DEADLINE,
    ) -> None:
        configuration = QuicConfiguration(
            alpn_protocols=H3_ALPN, server_name=name, verify_mode=ssl.CERT_NONE, session_ticket=ticket
        )
        if certificate:
            configuration.load_cert_chain(certificate)
        self.tickets: list[SessionTicket] = []
        self.streams: dict[int, Stream] = {}
        self.is_open, self.end = False, ""
        self.address, self.ends = address, time.monotonic() + seconds
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(address)
        self.wire = QuicConnection(configuration=configuration, session_ticket_handler=self.tickets.append)
        self.http = Requests(self.wire)
        self.wire.connect(address, time.monotonic())
        self.flush()
        try:
            while not self.is_open:
                self.receive()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()
        self.flush()
        self.socket.close()

    @property
    def is_resumed(self) -> bool:
        return bool(self.wire.tls.session_resumed)

    @property
    def leaf(self) -> bytes:
        """The certificate that the handshake brought, DER."""
        certificate = self.wire.tls._peer_certificate
        return certificate.public_bytes(Encoding.DER) if certificate else b""

    def flush(self) -> None:
        for data, _ in self.wire.datagrams_to_send(time.monotonic()):
            self.socket.send(data)

    def begin(self, headers: Headers, *, end: bool) -> int:
        number = self.wire.get_next_available_stream_id()
        self.streams[number] = Stream()
        self.http.send_headers(number, [(name.encode(), value.encode("latin-1")) for name, value in headers], end)
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
        pseudo = [(":method", method), (":scheme", "https"), (":authority", host), (":path", path)]
        number = self.begin([*pseudo, *sent], end=body is None and trailers is None)
        for part in body or ():
            self.send(number, part)
        if trailers is not None:
            self.http.send_headers(number, [(name.encode(), value.encode()) for name, value in trailers], True)
        elif body is not None:
            self.send(number, b"", end=True)
        self.flush()
        return self.answer(number)

    def get(self, host: str, path: str, headers: dict[str, str] | None = None) -> Response:
        return self.request("GET", host, path, headers)

    def send(self, number: int, data: bytes, *, end: bool = False) -> None:
        self.http.send_data(number, data, end)
        self.flush()

    def answer(self, number: int) -> Response:
        while not self.streams[number].is_over:
            self.receive()
        return self.streams[number].response

    def receive(self) -> None:
        """What comes next: a packet, or the time for the next of ours."""
        now = time.monotonic()
        if self.end or now > self.ends:
            raise ConnectionResetError(self.end or "no answer in time")
        timer = self.wire.get_timer()
        self.socket.settimeout(max(0.001, min(self.ends, timer or self.ends) - now))
        try:
            self.wire.receive_datagram(self.socket.recv(65_536), self.address, time.monotonic())
        except TimeoutError:
            self.wire.handle_timer(time.monotonic())
        except ConnectionRefusedError as error:
            self.end = str(error)
        while (event := self.wire.next_event()) is not None:
            self.take(event)
        self.flush()

    def take(self, event: QuicEvent) -> None:
        match event:
            case HandshakeCompleted():
                self.is_open = True
            case ConnectionTerminated():
                self.end = f"closed with {event.error_code:#x} {event.reason_phrase}"
            case StreamReset() if event.stream_id in self.streams:
                stream = self.streams[event.stream_id]
                stream.reset, stream.is_over = event.error_code, True
        for heard in self.http.handle_event(event):
            stream = self.streams.get(getattr(heard, "stream_id", -1), Stream())
            if isinstance(heard, HeadersReceived):
                fields = stream.trailers if stream.headers else stream.headers
                fields |= {name.decode(): value.decode("latin-1") for name, value in heard.headers}
            elif isinstance(heard, DataReceived):
                stream.body += heard.data
            stream.is_over |= bool(getattr(heard, "stream_ended", False))


class OverH3(OverH2):
    """A view of a running stack whose virtual hosts have HTTP/3."""

    http = "3"

    def exchange(
        self, method: str, host: str, target: str, headers: dict[str, str], body: Iterable[bytes] | None
    ) -> Response:
        name = HOSTNAME.match(host)
        lines = [(field.lower(), value) for field, value in headers.items()]
        with H3(self.tls_address, name[0] if name else None) as client:
            try:
                return client.request(method, host, target, lines, body)
            except ConnectionError:
                return NO_ANSWER


def over(stack: Stack, http: str) -> Stack:
    """By that version of HTTP."""
    views = {"2": OverH2, "3": OverH3}
    return views[http].of(stack) if http in views else stack
