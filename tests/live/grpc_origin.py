"""A server that speaks HTTP/2 alone, in clear or over TLS: it returns gRPC's messages as they come, and its status in trailers."""

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h2.config
import h2.connection
import h2.events

from tests.live.origins import Certificate

Headers = list[tuple[str, str]]


def message(data: bytes) -> bytes:
    """With gRPC's prefix: not compressed, and its length."""
    return struct.pack(">BI", 0, len(data)) + data


@dataclass
class GrpcOrigin:
    port: int
    requests: list[dict[str, str]] = field(default_factory=list)
    "Their headers."
    trailers: Headers = field(default_factory=list)
    "Of all requests."
    bodies: bytes = b""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


class _Connection:
    """The frames of one connection. What is no gRPC gets its headers back, as tests/live/origins.py does."""

    def __init__(self, origin: GrpcOrigin) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="latin-1")
        self.origin, self.wire = origin, h2.connection.H2Connection(config)
        self.wire.initiate_connection()
        self.calls: set[int] = set()

    def take(self, data: bytes) -> None:
        for event in self.wire.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.begin(event.stream_id or 0, {str(name): str(value) for name, value in event.headers or ()})
            elif isinstance(event, h2.events.DataReceived):
                number = event.stream_id or 0
                self.wire.acknowledge_received_data(event.flow_controlled_length or 0, number)
                self.origin.bodies += event.data or b""
                if number in self.calls and event.data:
                    self.send(number, event.data)
            elif isinstance(event, h2.events.TrailersReceived):
                self.origin.trailers += [(str(name), str(value)) for name, value in event.headers or ()]
            elif isinstance(event, h2.events.StreamEnded) and event.stream_id in self.calls:
                self.wire.send_headers(event.stream_id or 0, [("grpc-status", "0"), ("grpc-message", "fine")], True)

    def send(self, number: int, data: bytes) -> None:
        """Tests send less than a stream's window at a time."""
        largest = self.wire.max_outbound_frame_size
        for at in range(0, len(data), largest):
            self.wire.send_data(number, data[at : at + largest])

    def begin(self, number: int, headers: dict[str, str]) -> None:
        self.origin.requests.append(headers)
        if headers.get("content-type") == "application/grpc":
            self.calls.add(number)
            self.wire.send_headers(number, [(":status", "200"), ("content-type", "application/grpc")])
            return
        received = {"method": headers[":method"], "version": "HTTP/2", "headers": [*headers.items()]}
        self.wire.send_headers(number, [(":status", "200"), ("content-type", "application/json")])
        self.wire.send_data(number, json.dumps(received).encode(), end_stream=True)


def _serve(origin: GrpcOrigin, plain: socket.socket, context: ssl.SSLContext | None) -> None:
    with contextlib.suppress(OSError, h2.exceptions.ProtocolError), contextlib.ExitStack() as opened:
        connection = opened.enter_context(context.wrap_socket(plain, server_side=True) if context else plain)
        frames = _Connection(origin)
        connection.sendall(frames.wire.data_to_send())
        while data := connection.recv(65_536):
            frames.take(data)
            connection.sendall(frames.wire.data_to_send())


def _accept(origin: GrpcOrigin, listener: socket.socket, context: ssl.SSLContext | None) -> None:
    with contextlib.suppress(OSError):
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=_serve, args=(origin, plain, context), daemon=True).start()


@contextlib.contextmanager
def grpc_origin(certificate: Certificate | None = None, folder: Path | None = None) -> Iterator[GrpcOrigin]:
    """On a free port; with a certificate, over TLS."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        origin, context = GrpcOrigin(listener.getsockname()[1]), None
        if certificate is not None and folder is not None:
            path = folder / f"{origin.port}.pem"
            path.write_bytes(certificate.key + certificate.chain)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(path)
            context.set_alpn_protocols(["h2"])
        threading.Thread(target=_accept, args=(origin, listener, context), daemon=True).start()
        yield origin
        listener.shutdown(socket.SHUT_RDWR)
