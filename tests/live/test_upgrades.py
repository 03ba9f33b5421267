"""What visitors may switch to: WebSockets, what a virtual host names, and nothing else."""

import contextlib
import http.client
import socket
from collections.abc import Iterator

import pytest

from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.wire import Response, head
from tests.rows import SECRET, rows


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    host = {"servers": [{"address": server.address}], "health_check": False, "policy": "Block"}
    given = rows(
        {"Block": {"enforcement_mode": "block"}},
        {
            "named.test": {**host, "upgrades": ["SPDY/3.1", "tcp"]},
            "other.test": {**host, "upgrades": ["irc"]},
            "plain.test": host,
            "brief.test": {**host, "tunnel_timeout": 1},
        },
    )
    with Stack(haproxy, given) as running:
        running.again(given)
        yield running


def switched(stack: Stack, host: str, *tokens: str, path: str = "/echo") -> tuple[Response, bytes]:
    """The answer, and what came back after it, if it was 101."""
    websocket = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13"}
    sent = {"user-agent": "Mozilla/5.0", "accept": "*/*", "x-gp-test": SECRET, **websocket}
    request = head("GET", host, path, sent).replace(b"Connection: close\r\n", b"Connection: keep-alive, Upgrade\r\n")
    lines = b"".join(b"Upgrade: %b\r\n" % token.encode() for token in tokens)
    with stack.connect() as connection, contextlib.closing(http.client.HTTPResponse(connection)) as raw:
        connection.sendall(request.removesuffix(b"\r\n") + lines + b"\r\n")
        if raw_status(connection) == 101:
            connection.sendall(b"\x00ping")
            connection.shutdown(1)
            answer = b""
            while piece := connection.recv(65_536):
                answer += piece
            top, _, rest = answer.partition(b"\r\n\r\n")
            headers = dict(line.decode().lower().split(": ", 1) for line in top.split(b"\r\n")[1:])
            return Response(101, headers, b""), rest
        raw.begin()
        return Response(raw.status, {name.lower(): value for name, value in raw.getheaders()}, raw.read()), b""


def test_a_silent_tunnel_has_its_own_time(stack: Stack) -> None:
    """One that was opened before, where it is longer, is still there then."""
    with opened(stack, "plain.test") as patient, opened(stack, "brief.test") as brief:
        assert brief.recv(65_536) == b""

        patient.sendall(b"ping")
        assert patient.recv(65_536) == b"ping"


@contextlib.contextmanager
def opened(stack: Stack, host: str) -> Iterator[socket.socket]:
    """A tunnel, on which nothing was sent."""
    sent = {"upgrade": "websocket", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13"}
    request = head("GET", host, "/echo", {"user-agent": "Mozilla/5.0", "accept": "*/*", **sent})
    with stack.connect() as connection:
        connection.sendall(request.replace(b"Connection: close", b"Connection: Upgrade"))
        top = b""
        while not top.endswith(b"\r\n\r\n"):
            piece = connection.recv(1)
            assert piece, top
            top += piece
        assert top.startswith(b"HTTP/1.1 101")
        yield connection


def raw_status(connection: object) -> int:
    """Of the answer that is there, which stays unread."""
    line = b""
    while len(line) < 12:
        line = connection.recv(12, 2)  # type: ignore[attr-defined] # MSG_PEEK
    return int(line[9:12])


@pytest.mark.parametrize(
    ("host", "sent", "asked"),
    [
        ("named.test", "SPDY/3.1", "spdy/3.1"),
        ("named.test", "spdy/3.1", "spdy/3.1"),
        ("named.test", "TCP", "tcp"),
        ("other.test", "irc", "irc"),
        ("plain.test", "WebSocket", "websocket"),
        ("named.test", "websocket", "websocket"),
    ],
)
def test_what_is_named_becomes_a_tunnel(stack: Stack, host: str, sent: str, asked: str) -> None:
    answer, echoed = switched(stack, host, sent)

    assert (answer.status, answer.headers["upgrade"], echoed) == (101, asked, b"\x00ping")


@pytest.mark.parametrize(
    ("host", "tokens"),
    [
        ("named.test", ["irc"]),
        ("named.test", ["SPDY/3"]),
        ("named.test", ["SPDY/3.1, irc"]),
        ("named.test", ["tcp", "irc"]),
        ("named.test", ["h2c"]),
        ("named.test", ["TLS/1.2"]),
        ("named.test", ["tcp x"]),
        ("named.test", ["1:tcp"]),
        ("other.test", ["tcp"]),
        ("plain.test", ["tcp"]),
        ("plain.test", ["SPDY/3.1"]),
    ],
)
def test_everything_else_is_a_plain_request(stack: Stack, host: str, tokens: list[str]) -> None:
    answer, _ = switched(stack, host, *tokens)

    assert "upgrade" not in answer.seen_headers
    assert "upgrade" not in answer.seen_headers.get("connection", "").lower()


@pytest.mark.parametrize("tokens", [["SPDY/3.1, h2c"], ["h2c, tcp"], ["tcp", "h2c"], ["h2c", "tcp"]])
def test_h2c_reaches_no_server_beside_a_name(stack: Stack, tokens: list[str]) -> None:
    """Some versions drop it themselves, so that the other one is alone."""
    answer, _ = switched(stack, "named.test", *tokens)

    if answer.status == 101:
        assert answer.headers["upgrade"] in {"tcp", "spdy/3.1"}
    else:
        assert "upgrade" not in answer.seen_headers


def test_the_request_for_a_switch_is_inspected(stack: Stack, server: Origin) -> None:
    before = len(server.received)

    answer, _ = switched(stack, "named.test", "tcp", path="/echo?q=1%27%20OR%20%271%27%3D%271")

    assert (answer.status, len(server.received)) == (403, before)
