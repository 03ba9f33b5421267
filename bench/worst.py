"""Requests that cost the WAF much, by kind: up to a policy's body limit of 128 KiB and HAProxy's limits for heads."""

import json
from collections.abc import Callable

from bench.requests import FORM, as_field, request, text

LIMIT = 128 << 10
ROOM = 2 << 10
"What is left of the limit for names and brackets."
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=line"

NEARLY = {
    "words": as_field(text(LIMIT - ROOM)),
    "select": "select+" * ((LIMIT - ROOM) // 7),
    "quotes": "'a+" * ((LIMIT - ROOM) // 3),
    "brackets": "(a<" * ((LIMIT - ROOM) // 3),
    "escapes": "%2527" * ((LIMIT - ROOM) // 5),
    "paths": "..a/" * ((LIMIT - ROOM) // 4),
    "one letter": "a" * (LIMIT - ROOM),
}
"Texts that nearly are what rules look for, and so keep many of them busy."


def fields(count: int, value: str) -> bytes:
    return "&".join(f"f{at}={value}" for at in range(count)).encode()


def nested(depth: int, value: str) -> bytes:
    return ('{"a":' * depth + json.dumps(value) + "}" * depth).encode()


def items(count: int, value: str) -> bytes:
    return json.dumps([value] * count).encode()


def parts(count: int, value: str, kind: str = "") -> bytes:
    head = '--line\r\nContent-Disposition: form-data; name="f{}"' + kind + "\r\n\r\n{}\r\n"
    return ("".join(head.format(at, value) for at in range(count)) + "--line--\r\n").encode()


def multipart_in_multipart() -> bytes:
    inner = parts(300, text(200)).replace(b"line", b"inner").decode()
    return parts(1, inner, "\r\nContent-Type: multipart/mixed; boundary=inner")


def xml() -> bytes:
    return b"<a>" + b"".join(b"<b c='d'>%d e</b>" % at for at in range(6000)) + b"</a>"


def headers(count: int, value: str) -> str:
    return "".join(f"x-{at}: {value}\r\n" for at in range(count))


def cookies(count: int) -> str:
    return "cookie: " + "; ".join(f"c{at}=select 'a" for at in range(count)) + "\r\n"


def candidates(host: str) -> dict[str, dict[str, bytes]]:
    """Requests by kind and by name."""

    def post(kind: str, body: bytes) -> bytes:
        assert len(body) <= LIMIT, len(body)
        return request(host, kind, body)

    each: dict[str, Callable[[str], bytes]] = {
        "1,000 arguments": lambda value: post(FORM, fields(999, value)),
        "many JSON values": lambda value: post(JSON, items(900, value)),
        "multipart": lambda value: post(MULTIPART, parts(900, value)),
    }
    short = {"words": text(60), "select": "select a from", "quotes": "'a 'b 'c"}
    requests = {
        kind: {name: make(value.replace(" ", "+")) for name, value in short.items()} for kind, make in each.items()
    }
    requests["long field"] = {name: post(FORM, b"a=" + value.encode()) for name, value in NEARLY.items()}
    requests["deep JSON"] = {
        "900 deep": post(JSON, nested(900, text(64 << 10))),
        "10,000 deep": post(JSON, nested(10_000, "a")),
    }
    requests["many JSON values"]["9,000 short ones"] = post(JSON, items(9_000, "a b"))
    requests["multipart"]["in multipart"] = post(MULTIPART, multipart_in_multipart())
    requests["XML"] = {"6,000 elements": post("application/xml", xml())}
    requests["text/plain"] = {
        name: post("text/plain", value.encode()) for name, value in NEARLY.items() if name != "words"
    }
    requests["heads"] = {
        "80 headers": request(host, more=headers(80, "select 'a (b) from")),
        "400 cookies": request(host, more=cookies(400)),
        "a long query": request(host, path="/?" + fields(600, "'a+b").decode()),
    }
    return requests
