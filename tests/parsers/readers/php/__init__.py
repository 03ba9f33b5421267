"""PHP, as a web server runs it: php-cgi over FastCGI."""

import base64
import json
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tests.parsers.body import Body, Value
from tests.parsers.sockets import connected

SCRIPT = Path(__file__).with_name("read.php")
BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
"""Record types of the FastCGI specification, 1.0."""


@contextmanager
def php(binary: str, folder: Path) -> Iterator["Php"]:
    path = folder / "php.sock"
    settings = {"html_errors": "0", "display_errors": "0", "upload_tmp_dir": str(folder), "memory_limit": "256M"}
    process = subprocess.Popen(
        [binary, "-b", str(path), *[word for name, value in settings.items() for word in ("-d", f"{name}={value}")]],
        env={"PATH": os.environ["PATH"], "PHP_FCGI_MAX_REQUESTS": "100000000"},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with connected(path, process) as connection, connection.makefile("rb") as stream:
            yield Php(connection, stream)
    finally:
        process.kill()  # asked to end, it would wait for another request
        process.wait()


class Php:
    def __init__(self, connection: socket.socket, stream: BinaryIO) -> None:
        self.connection, self.stream = connection, stream

    def ask(self, body: Body) -> None:
        self.connection.sendall(request(body))

    def answer(self) -> list[Value]:
        output = answer(self.stream).partition(b"\r\n\r\n")[2]
        return [
            Value("php", place, tuple(decoded(part) for part in path), base64.b64decode(text))
            for place, path, text in json.loads(output)
        ]


def decoded(part: str) -> str:
    return base64.b64decode(part).decode("utf-8", "surrogateescape")


def request(body: Body) -> bytes:
    parameters = {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "POST", "REQUEST_URI": "/",
        "SCRIPT_NAME": "/read.php", "SCRIPT_FILENAME": str(SCRIPT), "QUERY_STRING": "", "REDIRECT_STATUS": "200",
        "CONTENT_TYPE": body.content_type, "CONTENT_LENGTH": str(len(body.content)),
    }  # fmt: skip
    keep = struct.pack(">HB5x", 1, 1)
    encoded = b"".join(pair(name.encode(), value.encode()) for name, value in parameters.items())
    return record(BEGIN, keep) + stream(PARAMS, encoded) + stream(STDIN, body.content)


def pair(name: bytes, value: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part) | 1 << 31) for part in (name, value)) + name + value


def stream(kind: int, content: bytes) -> bytes:
    return b"".join(record(kind, content[at : at + 65_535]) for at in range(0, len(content), 65_535)) + record(
        kind, b""
    )


def record(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBHHBx", 1, kind, 1, len(content), 0) + content


def answer(stream: BinaryIO) -> bytes:
    received = b""
    while True:
        head = stream.read(8)
        assert len(head) == 8, "php-cgi closed the connection"
        _, kind, _, length, padding = struct.unpack(">BBHHBx", head)
        content = stream.read(length)
        stream.read(padding)
        if kind == STDOUT:
            received += content
        elif kind == END:
            return received
