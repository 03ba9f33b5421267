"""Bodies around a policy's limit, and how they are sent."""

import hashlib

import pytest

from guardpanel.rendering import Rows
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.wire import Response, head
from tests.rows import SECRET, rows

KIB = 1024
LIMIT = 16 * KIB
ATTACK = b"<script>alert(document.cookie)</script>"
FORM = "application/x-www-form-urlencoded"
UPLOAD = "multipart/form-data; boundary=xyz"


def form(length: int, ending: bytes = b"y" * len(ATTACK)) -> bytes:
    """A form whose last bytes are the ending, in fields that are not too many and not too long."""
    fields = b"".join(b"f%03d=%b&" % (at, b"x" * 994) for at in range(length // 1000))
    rest = length - len(fields) - len(ending) - 2
    return fields[: length - len(ending) - 2] + b"x" * max(rest, 0) + b"z=" + ending


def pieces(body: bytes, size: int = 4000) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def upload(length: int, ending: bytes = b"y" * len(ATTACK)) -> bytes:
    """A file, and a field after it."""
    part = b'--xyz\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
    field = part % (b"note", b"", ending) + b"--xyz--\r\n"
    file = part % (b"file", b'; filename="a.bin"\r\nContent-Type: application/octet-stream', b"")
    return file[:-2] + b"x" * (length - len(file) - len(field)) + b"\r\n" + field


def whole(answer: Response, body: bytes) -> bool:
    return bool(answer.seen["length"] == len(body) and answer.seen["digest"] == hashlib.sha256(body).hexdigest())


def hosts(server: Origin, *names: str) -> dict[str, dict[str, object]]:
    common = {"servers": [{"address": server.address}], "health_check": False, "https": True}
    return {f"{name.lower()}.test": {"policy": name, **common} for name in names}


SMALL = {"enforcement_mode": "block", "body_limit_kib": LIMIT // KIB}
SLOW = {**SMALL, "upload_seconds": 1, "upload_rate_kib": 1}
POLICIES: dict[str, dict[str, object]] = {
    "Refuse": SMALL,
    "Pass": {**SMALL, "over_limit": "pass"},
    "Watch": {**SMALL, "enforcement_mode": "detect_only"},
    "Begin": {**SMALL, "over_limit": "inspect_beginning"},
    "Slow": SLOW,
    "SlowWatch": {**SLOW, "enforcement_mode": "detect_only"},
    "Seven": {**SMALL, "body_limit_kib": 7, "over_limit": "inspect_beginning"},
}


def small(server: Origin, *names: str) -> Rows:
    """These policies, each with a virtual host of its name, and `plain.test` without one."""
    plain = {"plain.test": {"servers": [{"address": server.address}], "health_check": False}}
    return rows({name: POLICIES[name] for name in names}, hosts(server, *names) | plain)


def sent(stack: Stack, host: str, body: bytes, way: str, kind: str = FORM) -> Response:
    if way == "chunked":
        return stack.chunked(host, pieces(body), kind)
    return stack.post(host, body, kind)


def head_of(host: str, **headers: str) -> bytes:
    sent = {"user-agent": "m", "accept": "*/*", "content-type": FORM, "x-gp-test": SECRET}
    return head("POST", host, "/", sent | {name.replace("_", "-"): value for name, value in headers.items()})


def ways(test: object) -> object:
    return pytest.mark.parametrize("way", ["with its length", "chunked"])(test)


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)
