"""What a virtual host does with requests and responses: each effect on a real request, and again after a reload."""

import contextlib
import http.client
from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.models.delivery import SECURITY_LINES
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.wire import head
from tests.rows import rows

ODD = [
    '%[src]"\\ #{}', "%", "100%", "%%", "%ci", "%{+Q}o", "'", "a'b'c", '"', "\\", "a\\", "\\n", "# a", "a # b", "$HOME", "${HOME}", '"${HOME}"',
    "if TRUE", "-- a", "{{ 7*7 }}", "`id`", "%0d%0aX: y", "</a.css>; rel=preload, <b>", "a;b|c&d", "é😀", "{", "}{", "]", "[src]", "a, b",
    "default-src 'self'; img-src *", '{"group":"a","max_age":1}',
]  # fmt: skip
"Values that arrive as they were typed."


def header_rules(host: int) -> list[dict[str, Any]]:
    own: list[dict[str, Any]] = [
        {"direction": "request", "header": "X-Who", "value": "{client_ip} {hostname} {scheme} {country} {request_id}"},
        {"direction": "request", "header": "X-Twice", "value": "later", "position": 200},
        {"direction": "request", "header": "X-Twice", "value": "earlier", "position": 1},
        {"direction": "request", "action": "add", "header": "X-Seen", "value": "{client_ip}%"},
        {"direction": "request", "action": "remove", "header": "X-Secret"},
        {"direction": "request", "action": "remove", "header": "Accept-Encoding"},
        {"direction": "response", "action": "remove", "header": "Server"},
        {"direction": "response", "header": "X-Request-ID", "value": "{request_id}"},
    ]
    return [{"virtual_host_id": host, **rule} for rule in own]


def odd_rules(host: int, values: list[str], direction: str) -> list[dict[str, Any]]:
    return [
        {"virtual_host_id": host, "direction": direction, "header": f"X-Odd-{number}", "value": value}
        for number, value in enumerate(values)
    ]


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    host: dict[str, Any] = {"servers": [{"address": server.address}], "health_check": False, "policy": "Site"}
    hosts = {
        "plain.test": host,
        "headers.test": host,
        "odd.test": host,
        "unless.test": {**host, "security_headers": "unless_set"},
        "always.test": {**host, "security_headers": "always"},
        "any.test": {**host, "cors_origins": ["*"]},
        "cors.test": {
            **host,
            "cors_origins": ["https://app.test", "https://other.test:8443"],
            "cors_methods": ["GET", "PUT"],
            "cors_headers": ["X-Token"],
            "cors_credentials": True,
        },
    }
    rules = [*header_rules(2), *odd_rules(3, ODD, "request"), *odd_rules(3, ODD, "response")]
    given = rows({"Site": {"enforcement_mode": "block"}}, hosts, header_rules=rules)
    with Stack(haproxy, given, agent_seconds=60, countries="127.0.0.0/8 NL\n") as running:
        running.reload(given)
        yield running


SENT = {"x-secret": "1", "x-seen": "forged", "accept-encoding": "gzip", "x-who": "forged"}


def test_headers_of_requests_are_set_added_and_removed_in_order(stack: Stack) -> None:
    before = stack.get("plain.test", "/", SENT)
    assert {name: before.seen_headers[name] for name in SENT} == SENT

    answer = stack.get("headers.test", "/", SENT)

    seen = answer.seen["headers"]
    assert [value for name, value in seen if name == "x-seen"] == ["forged", "127.0.0.1%"]
    assert answer.seen_headers["x-twice"] == "later"
    assert {"x-secret", "accept-encoding"}.isdisjoint(answer.seen_headers)
    number = answer.verdict["request-id"]
    assert answer.seen_headers["x-who"] == f"127.0.0.1 headers.test http NL {number}"
    assert answer.headers["x-request-id"] == number


def test_headers_of_responses_are_those_of_the_server_alone(stack: Stack) -> None:
    """Pages of HAProxy's own have none of them."""
    assert "server" in stack.get("plain.test", "/").headers
    assert "server" not in stack.get("headers.test", "/").headers

    blocked = stack.get("headers.test", "/?q=1%27%20OR%20%271%27%3D%271")
    assert (blocked.status, "x-request-id" in blocked.headers) == (403, False)


def test_values_arrive_as_they_were_typed(stack: Stack) -> None:
    answer = stack.get("odd.test", "/")

    for headers in (answer.seen_headers, answer.headers):
        arrived = [headers[f"x-odd-{number}"].encode("latin-1").decode() for number in range(len(ODD))]
        assert arrived == ODD


OWN = [
    "X-Content-Type-Options: own",
    "Referrer-Policy: no-referrer",
    "Content-Security-Policy: default-src 'self'",
    "X-Frame-Options: DENY",
    "Permissions-Policy: usb=()",
    "Cross-Origin-Opener-Policy: unsafe-none",
]
FRAMED = ["content-security-policy: Frame-Ancestors https://partner.example"]


def served(server: Origin, path: str, lines: list[str]) -> None:
    text = "\r\n".join(["HTTP/1.1 200 OK", "Content-Length: 2", *lines, "Connection: close", "", ""])
    server.answers[path] = [text.encode() + b"ok"]


def pairs(stack: Stack, host: str, path: str, headers: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """The headers of a response, in lower case, each with its value, however often there is one."""
    with stack.connect() as connection, contextlib.closing(http.client.HTTPResponse(connection)) as response:
        connection.sendall(head("GET", host, path, {"user-agent": "Mozilla/5.0", "accept": "*/*", **(headers or {})}))
        response.begin()
        return [(name.lower(), value) for name, value in response.getheaders()]


def security_lines(stack: Stack, host: str, path: str) -> set[str]:
    names = {line.partition(":")[0].lower() for line in SECURITY_LINES}
    return {f"{name}: {value}" for name, value in pairs(stack, host, path) if name in names}


def lines(*texts: str) -> set[str]:
    return {f"{name.lower()}: {value}" for name, value in (text.split(": ", 1) for text in texts)}


def test_security_headers_are_added_where_the_server_sends_none(stack: Stack, server: Origin) -> None:
    served(server, "/own", OWN)
    served(server, "/framed", FRAMED)

    assert security_lines(stack, "plain.test", "/") == set()
    assert security_lines(stack, "unless.test", "/") == lines(*SECURITY_LINES)
    assert security_lines(stack, "unless.test", "/own") == lines(*OWN)
    others = [line for line in SECURITY_LINES if "frame" not in line.lower()]
    assert security_lines(stack, "unless.test", "/framed") == lines(*FRAMED, *others)


def test_security_headers_replace_those_of_the_server(stack: Stack, server: Origin) -> None:
    """But for a Content-Security-Policy, which demands more than that."""
    served(server, "/own", OWN)
    served(server, "/framed", FRAMED)

    assert security_lines(stack, "always.test", "/own") == lines(*SECURITY_LINES, OWN[2])
    without_frames = [line for line in SECURITY_LINES if "frame-ancestors" not in line]
    assert security_lines(stack, "always.test", "/framed") == lines(*FRAMED, *without_frames)


PREFLIGHT = {"access-control-request-method": "PUT", "access-control-request-headers": "x-token"}
SAYS = "access-control-allow-"


def allowed(headers: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix(SAYS): value for name, value in headers.items() if name.startswith(SAYS)}


@pytest.mark.parametrize(
    ("origin", "allows"),
    [
        ("https://app.test", True),
        ("https://other.test:8443", True),
        ("https://other.test", False),
        ("http://app.test", False),
        ("https://app.test.evil.test", False),
        ("https://xapp.test", False),
        ("https://APP.test", False),
        ("null", False),
    ],
)
def test_scripts_of_allowed_origins_may_read(stack: Stack, server: Origin, origin: str, allows: bool) -> None:
    served(server, "/cors", [f"{SAYS}Origin: https://evil.test", f"{SAYS}Methods: DELETE", "Vary: Accept"])
    server.received.clear()

    asked = stack.request("OPTIONS", "cors.test", "/cors", {"origin": origin, **PREFLIGHT})
    assert (asked.status, server.received, asked.body) == (204, [], b"")
    assert "origin" in asked.headers["vary"]
    wanted = {"origin": origin, "credentials": "true", "methods": "GET, PUT", "headers": "X-Token"}
    assert allowed(asked.headers) == (wanted if allows else {})
    assert asked.headers.get("access-control-max-age") == ("600" if allows else None)

    answer = pairs(stack, "cors.test", "/cors", {"origin": origin})
    assert allowed(dict(answer)) == ({"origin": origin, "credentials": "true"} if allows else {})
    assert {value for name, value in answer if name == "vary"} == {"Accept", "Origin"}


def test_any_origin_may_read_without_credentials(stack: Stack) -> None:
    of_evil = {"origin": "https://evil.test"}

    asked = stack.request("OPTIONS", "any.test", "/", {**of_evil, **PREFLIGHT})
    assert (asked.status, allowed(asked.headers)) == (204, {"origin": "*", "methods": "GET, HEAD, POST"})
    assert allowed(stack.get("any.test", "/", of_evil).headers) == {"origin": "*"}
    assert allowed(stack.get("any.test", "/").headers) == {}


def test_other_requests_are_the_servers(stack: Stack) -> None:
    """OPTIONS that is no pre-flight, one without an origin, and a virtual host without CORS. The WAF comes first."""
    origin = {"origin": "https://app.test"}
    asked = [("cors.test", origin), ("cors.test", PREFLIGHT), ("plain.test", origin | PREFLIGHT)]
    for host, headers in asked:
        assert stack.request("OPTIONS", host, "/", headers).seen["method"] == "OPTIONS"
    attack = stack.request("OPTIONS", "cors.test", "/?q=1%27%20OR%20%271%27%3D%271", origin | PREFLIGHT)
    assert attack.status == 403


def test_two_origins_are_none(stack: Stack) -> None:
    """The one that is compared is the one that is named."""
    usual = "GET / HTTP/1.1\r\nHost: cors.test\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\nConnection: close\r\n"
    mixed = [("https://app.test", "https://evil.test"), ("https://evil.test", "https://app.test")]

    asked = [f"{usual}Origin: {first}\r\nOrigin: {last}\r\n\r\n" for first, last in mixed]
    named = [allowed(stack.send(text.encode()).headers).get("origin") for text in asked]

    assert named == [None, "https://app.test"]
