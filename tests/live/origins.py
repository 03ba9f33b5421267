"""Servers behind HAProxy: each answers with what it received, so that a test sees what came through."""

import base64
import contextlib
import datetime as dt
import hashlib
import http.server
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Part = bytes | float | threading.Event
"A piece of an answer, or what the next one waits for: seconds, or an event."


@dataclass
class Origin:
    port: int
    answers: dict[str, Sequence[Part]] = field(default_factory=dict)
    "Raw answers by path; other paths get what was received, as JSON."
    holds: dict[str, threading.Event] = field(default_factory=dict)
    "What the usual answer of a path waits for."
    begun: list[str] = field(default_factory=list)
    "Request lines, before the body is read."
    received: list[str] = field(default_factory=list)
    "Request lines, when the body is there."
    names: list[str | None] = field(default_factory=list)
    "The names asked for in TLS (SNI)."
    status: int = 200
    https_only: str = ""
    "The path that redirects to https whoever did not come by it, as applications do."

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    origin: Origin

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is part of the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def answer(self) -> None:
        origin = self.server.origin
        origin.begun.append(self.requestline)
        body = self.body()
        origin.received.append(self.requestline)
        if self.path == origin.https_only and self.headers.get("x-forwarded-proto") != "https":
            self.send_response(301)
            self.send_header("location", f"https://{self.headers.get('x-forwarded-host')}{self.path}")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        if self.path == "/echo" and "upgrade" in self.headers:
            self.echo()
            return
        parts = origin.answers.get(self.path.split("?")[0])
        if parts is not None:
            self.close_connection = True
            for part in parts:
                if isinstance(part, bytes):
                    self.wfile.write(part)
                    self.wfile.flush()
                elif isinstance(part, threading.Event):
                    part.wait(60)
                else:
                    time.sleep(part)
            return
        if self.path in origin.holds:
            origin.holds[self.path].wait(60)
        request = {
            "method": self.command,
            "target": self.requestline.split()[1],
            "version": self.request_version,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "trailers": self.trailers,
            "length": len(body),
            "digest": hashlib.sha256(body).hexdigest(),
            "port": origin.port,
        }
        text = json.dumps(request).encode()
        self.send_response(origin.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.send_header("x-gp-action", "forged by the server")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def echo(self) -> None:
        """A WebSocket (RFC 6455 §4.2.2), or another protocol, that returns what it gets first, and closes."""
        key = self.headers.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        for name, value in [
            ("upgrade", self.headers["upgrade"]),
            ("connection", "upgrade"),
            ("sec-websocket-accept", accept),
        ]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.connection.recv(65_536))
        self.close_connection = True

    def body(self) -> bytes:
        """What a chunked one has after its end goes to `trailers`, as it came."""
        self.trailers: list[str] = []
        if "chunked" in self.headers.get("transfer-encoding", ""):
            content = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            while line := self.rfile.readline().strip():
                self.trailers.append(line.decode("latin-1"))
            return content
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Quiet: the tests look at answers."""


@contextlib.contextmanager
def origin(
    certificate: "Certificate | None" = None, folder: Path | None = None, at: tuple[str, int] = ("127.0.0.1", 0)
) -> Iterator[Origin]:
    """A server on a free port; with a certificate it speaks TLS."""
    server = _Server(at, _Handler)
    server.origin = Origin(server.server_address[1])
    if certificate is not None and folder is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        path = folder / f"{server.origin.port}.pem"
        path.write_bytes(certificate.key + certificate.chain)
        context.load_cert_chain(path)
        context.sni_callback = lambda _, name, __: server.origin.names.append(name)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.origin
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Certificate:
    authority: str
    "The authority's certificate, as an operator would paste it."
    chain: bytes
    key: bytes


def certificate(*names: str) -> Certificate:
    """A certificate for these names (or IP addresses) and the authority that signed it."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "guardpanel test authority")])
    authority = (
        _dated(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        _dated(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), authority_name, key)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Certificate(
        authority=authority.public_bytes(serialization.Encoding.PEM).decode(),
        chain=leaf.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def _dated(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
