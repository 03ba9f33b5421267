"""Every line of the access log is one JSON object, whatever a visitor sends."""

import contextlib
import json
import socket
import struct
from collections.abc import Iterator

import pytest

from tests.live.origins import Origin
from tests.live.stack import Stack, wait_until
from tests.rows import rows

NASTY = [
    b'GET /?a="quoted"&b=\\ HTTP/1.1\r\nHost: shop.test\r\n\r\n',
    b'GET /"},{"status":999,"x":" HTTP/1.1\r\nHost: shop.test\r\n\r\n',
    b"GET /%0a%0d%00%22 HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b"GET /\xff\xfe\xc3\x28 HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b"GET /\xe2\x80\xae\xc2\x85\xe2\x80\xa8 HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b"GET /\x01\x02\x1b[31m HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b'GET / HTTP/1.1\r\nHost: a"b\\c\x7f.test\r\n\r\n',
    b"GET / HTTP/1.1\r\nHost: \xff\xc3\x28.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: \t\x0b.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: " + b'"' * 20000 + b"\r\n\r\n",
    b"GET /" + b'"' * 3000 + b" HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b"GET /" + b"\x80" * 5000 + b" HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b"GET /" + b"x" * 60000 + b" HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b"GET /" + b"x" * 200000 + b" HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b"\"}'{ / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b"M'#$%&*+-.^_`|~ / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b"X" * 5000 + b" / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b"\x00\x01\x02\x03\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 10\r\n\r\nhalf",
    b"",
]


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    host = {
        "policy": "Block",
        "servers": [{"address": server.address}, {"address": "127.0.0.1:1"}],
        "health_check": False,
    }
    with Stack(haproxy, rows({"Block": {"enforcement_mode": "block"}}, {"shop.test *.wild.test": host})) as running:
        yield running


def test_every_line_is_json(stack: Stack) -> None:
    for request in NASTY:
        with stack.connect() as connection, contextlib.suppress(OSError):  # it may answer before the end
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    with stack.connect() as connection:  # a reset in the middle of a request
        connection.sendall(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 9\r\n\r\nx")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    last = stack.logged(stack.get("shop.test", "/the-last-one"))
    assert last["path"] == "/the-last-one"
    wait_until(lambda: len(stack.access_log()) >= len(NASTY) - 2, "the lines are in the access log, in any order")
    lines = stack.access_log()
    fields = {frozenset(line) for line in lines}
    assert len(fields) == 1
    assert not any(line["status"] == 999 for line in lines)
    for line in lines:
        assert isinstance(line["status"], int)
        assert isinstance(line["time"], float)
        assert isinstance(line["milliseconds"], int)
        assert len(json.dumps(line)) < 16384


def test_a_line_tells_what_happened(stack: Stack) -> None:
    answer = stack.get("shop.test", '/a"b\\c?q=1%27%20OR%20%271%27%3D%271')

    line = stack.logged(answer)
    assert line["path"] == '/a"b\\c?q=1%27%20OR%20%271%27%3D%271'
    assert (line["host"], line["virtual_host"], line["method"], line["status"]) == (
        "shop.test",
        "1",
        "GET",
        403,
    )
    assert (line["verdict"], line["action"], line["rule"]) == ("blocked", "deny", "949110")
    assert line["application"] == stack.bundle.applications[0].name
    assert "949110" in line["rules"].split(",")
    assert line["panel"] == "1"


def test_the_wide_world_gets_no_server_header_from_us(stack: Stack) -> None:
    for target in ("/?q=1%27%20OR%20%271%27%3D%271", "/"):
        assert "haproxy" not in str(stack.get("shop.test", target).headers).lower()
