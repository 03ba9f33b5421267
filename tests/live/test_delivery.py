"""What a virtual host does with requests and responses: each effect on a real request, and again after a reload."""

import contextlib
import gzip
import http.client
from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.models.delivery.security_headers import SECURITY_LINES
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.wire import head
from tests.ports import free_port
from tests.rows import rows

ODD = [
    '%[src]"\\ #{}', "%", "100%", "%%", "%ci", "%{+Q}o", "'", "a'b'c", '"', "\\", "a\\", "\\n", "# a", "a # b", "$HOME", "${HOME}", '"${HOME}"',
    "if TRUE", "-- a", "{{ 7*7 }}", "`id`", "%0d%0aX: y", "</a.css>; rel=preload, <b>", "a;b|c&d", "é😀", "{", "}{", "]", "[src]", "a,   b",
    "default-src 'self'; img-src *", '{"group":"a","max_age":1}',
]  # fmt: skip
"Values that arrive as they were typed."


HOSTS: dict[str, dict[str, Any]] = {
    "plain.test": {},
    "headers.test": {},
    "odd.test": {},
    "unless.test": {"security_headers": "unless_set"},
    "always.test": {"security_headers": "always"},
    "named.test": {"server_host": "app.internal:8080"},
    "slow.test": {"server_timeout": 1},
    "gone.test": {"retries": 0},
    "again.test": {"retries": 1},
    "gzip.test": {"compression": True, "compression_types": ["text/css", "text/html"]},
    "read.test": {"policy": "Reads", "compression": True, "compression_types": ["text/html"]},
    "any.test": {"cors_origins": ["*"]},
    "cors.test": {
        "cors_origins": ["https://app.test", "https://other.test:8443"],
        "cors_methods": ["GET", "PUT"],
        "cors_headers": ["X-Token"],
        "cors_credentials": True,
    },
}
NOBODY_LISTENS = {"gone.test", "again.test"}


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
    closed = f"127.0.0.1:{free_port()}"
    hosts = {
        name: {
            "servers": [{"address": closed if name in NOBODY_LISTENS else server.address}],
            "health_check": False,
            "policy": "Site",
            **fields,
        }
        for name, fields in HOSTS.items()
    }
    vary = {
        "direction": "response",
        "header": "Vary",
        "value": "Accept",
        "virtual_host_id": [*HOSTS].index("cors.test") + 1,
    }
    rules = [vary, *header_rules(2), *odd_rules(3, ODD, "request"), *odd_rules(3, ODD, "response")]
    block = {"enforcement_mode": "block"}
    given = rows({"Site": block, "Reads": {**block, "response_inspection": True}}, hosts, header_rules=rules)
    with Stack(haproxy, given, agent_seconds=60, countries="127.0.0.0/8 NL\n") as running:
        running.again(given)
        yield running


OTHER_SPELLINGS = {"x_secret": "1", "x.who": "forged", "x_twice": "forged"}
SENT = {"x-secret": "1", "x-seen": "forged", "accept-encoding": "gzip", "x-who": "forged", **OTHER_SPELLINGS}


def test_headers_of_requests_are_set_added_and_removed_in_order(stack: Stack) -> None:
    before = stack.get("plain.test", "/", SENT)
    assert {name: before.seen_headers[name] for name in SENT} == SENT

    answer = stack.get("headers.test", "/", SENT)

    seen = answer.seen["headers"]
    assert [value for name, value in seen if name == "x-seen"] == ["forged", "127.0.0.1%"]
    assert answer.seen_headers["x-twice"] == "later"
    assert {"x-secret", "accept-encoding", *OTHER_SPELLINGS}.isdisjoint(answer.seen_headers)
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
    served(server, "/cors", [f"{SAYS}Origin: https://evil.test", f"{SAYS}Methods: DELETE", "Vary: Cookie"])
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
    unasked = stack.get("any.test", "/").headers
    assert (allowed(unasked), unasked.get("vary")) == ({"origin": "*"}, None), "caches may give it to anybody"


def test_other_requests_are_the_servers(stack: Stack) -> None:
    """OPTIONS that is no pre-flight, one without an origin, and a virtual host without CORS. The WAF comes first."""
    origin = {"origin": "https://app.test"}
    asked = [
        ("cors.test", origin),
        ("cors.test", PREFLIGHT),
        ("any.test", PREFLIGHT),
        ("plain.test", origin | PREFLIGHT),
    ]
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


def test_servers_get_a_fixed_host(stack: Stack) -> None:
    assert stack.get("plain.test", "/").seen_headers["host"] == "plain.test"

    seen = stack.get("named.test", "/").seen_headers

    assert (seen["host"], seen["x-forwarded-host"]) == ("app.internal:8080", "named.test")


def test_a_silent_server_has_its_own_time(stack: Stack, server: Origin) -> None:
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    server.answers["/silent"], server.answers["/silent-for-long"] = [1.5, late], [300.0, late]

    assert (stack.get("plain.test", "/silent").status, stack.get("slow.test", "/silent-for-long").status) == (200, 504)


def test_connections_are_tried_as_often_as_it_was_set(stack: Stack) -> None:
    """And never where the server got the request."""

    def retries(host_id: int) -> int:
        columns, *lines = (line.split(",") for line in stack.command("@1 show stat").splitlines() if "," in line)
        (own,) = (line for line in lines if line[:2] == [f"be_{host_id}", "BACKEND"])
        return sum(int(own[columns.index(name)] or 0) for name in ("wretr", "wredis"))

    assert [stack.get(host, "/").status for host in ("gone.test", "again.test")] == [503, 503]

    assert [retries(list(HOSTS).index(host) + 1) for host in ("gone.test", "again.test")] == [0, 1]


PAGE = b"<p>" + b"compressible " * 500


def typed(server: Origin, path: str, content_type: str, body: bytes = PAGE) -> None:
    text = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    server.answers[path] = [text.encode() + body]


def test_listed_types_are_compressed_for_who_accepts_it(stack: Stack, server: Origin) -> None:
    for path, content_type in (
        ("/a.css", "text/css"),
        ("/a.html", "text/html; charset=utf-8"),
        ("/a.png", "image/png"),
    ):
        typed(server, path, content_type)

    def encoding(host: str, path: str, accepted: str = "gzip, br") -> str | None:
        answer = stack.get(host, path, {"accept-encoding": accepted})
        body = gzip.decompress(answer.body) if "content-encoding" in answer.headers else answer.body
        assert body == PAGE
        return answer.headers.get("content-encoding")

    assert [encoding("gzip.test", path) for path in ("/a.css", "/a.html", "/a.png")] == ["gzip", "gzip", None]
    assert encoding("gzip.test", "/a.css", "br") is None
    assert encoding("plain.test", "/a.css") is None
    assert "accept-encoding" not in stack.get("gzip.test", "/", {"accept-encoding": "gzip"}).seen_headers
    assert "accept-encoding" in stack.get("gzip.test", "/a.css", {"accept-encoding": "gzip"}).headers["vary"].lower()


@pytest.mark.parametrize("host", ["gzip.test", "read.test"])
@pytest.mark.parametrize(
    ("accepted", "client", "compressed"),
    [
        ("gzip", "Mozilla/5.0", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", "Mozilla/5.0", True),
        ("*", "Mozilla/5.0", True),
        ("GZIP", "Mozilla/5.0", True),
        ("br", "Mozilla/5.0", False),
        ("br, zstd, xgzip", "Mozilla/5.0", False),
        ("gzip;q=0, br", "Mozilla/5.0", False),
        ("gzip; q=0.000", "Mozilla/5.0", False),
        ("gzip", "Mozilla/4.0", False),
    ],
)
def test_no_server_is_asked_to_compress(
    stack: Stack, server: Origin, host: str, accepted: str, client: str, compressed: bool
) -> None:
    """Also for visitors for whom HAProxy does not: the WAF reads their responses, too."""
    typed(server, "/a.html", "text/html")
    sent = {"accept-encoding": accepted, "user-agent": client}

    assert "accept-encoding" not in stack.get(host, "/", sent).seen_headers
    assert stack.get(host, "/a.html", sent).headers.get("content-encoding") == ("gzip" if compressed else None)


def test_what_the_waf_reads_is_compressed_afterwards(stack: Stack, server: Origin) -> None:
    typed(server, "/fine.html", "text/html")
    typed(
        server,
        "/leak.html",
        "text/html",
        PAGE + b"You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version",
    )
    accepts = {"accept-encoding": "gzip"}

    fine, leak = (stack.get("read.test", path, accepts) for path in ("/fine.html", "/leak.html"))

    assert (fine.status, fine.headers.get("content-encoding"), gzip.decompress(fine.body)) == (200, "gzip", PAGE)
    assert (leak.status, leak.verdict["verdict"]) == (403, "blocked")
