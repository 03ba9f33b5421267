"""Virtual hosts over TLS: which handshake gets what, what a connection may ask for, and the WAF over HTTP/2 as over HTTP/1.1."""

import ssl
from collections.abc import Iterator

import pytest

from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.tls import H2, context, handshake, leaf
from tests.live.wire import Response, head
from tests.rows import SECRET, rows

QUERY = "/?q=1%27%20OR%20%271%27%3D%271"
SCRIPT = b"<script>alert(document.cookie)</script>"
FORM = {"content-type": "application/x-www-form-urlencoded"}
TEST = {"x-gp-test": SECRET}


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    common = {"servers": [{"address": server.address}], "health_check": False, "https": True, "policy": "Block"}
    hosts = {
        "shop.test *.wild.test": {**common, "hsts_seconds": 300},
        "moved.test": {**common, "https_redirect": True},
        "modern.test": {**common, "tls_profile": "modern"},
        "watch.test": {**common, "policy": "Watch"},
        "begun.test new.test *.new.test": {**common, "https_redirect": True, "hsts_seconds": 300},
        "plain.test": {**common, "https": False, "hsts_seconds": 300, "https_redirect": True},
    }
    policies = {"Block": {"enforcement_mode": "block"}, "Watch": {}}
    ordered = {"name": "New", "source": "acme", "names": ["new.test", "*.new.test"], "challenge": "dns-01"}
    with Stack(haproxy, rows(policies, hosts, certificates=[ordered])) as running:
        yield running


def over_tls(
    stack: Stack, name: str | None, host: str, target: str = "/", headers: dict[str, str] | None = None
) -> Response:
    request = head("GET", host, target, {"user-agent": "Mozilla/5.0", "accept": "*/*", **TEST, **(headers or {})})
    with handshake(stack.tls_address, name) as connection:
        connection.sendall(request)
        return stack.answer(connection, request)


def test_http_1_and_2_reach_the_server_over_tls(stack: Stack) -> None:
    first = over_tls(stack, "shop.test", "shop.test", "/a?b=1")
    with H2(stack.tls_address, "shop.test") as client:
        answers = [first, client.get("shop.test", "/a?b=1", TEST), client.get("SHOP.test:443", "/a?b=1", TEST)]

    for answer in answers:
        assert answer.seen["target"] == "/a?b=1"
        assert answer.seen_headers["x-forwarded-proto"] == "https"
        assert answer.headers["strict-transport-security"] == "max-age=300"
        assert stack.logged(answer)["scheme"] == "https"
    assert "strict-transport-security" not in stack.get("shop.test", "/").headers


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_profile_decides_the_version_for_its_own_names_alone(stack: Stack, version: ssl.TLSVersion) -> None:
    with handshake(stack.tls_address, "shop.test", context(version)) as connection:
        assert connection.version() in {"TLSv1.2", "TLSv1.3"}
    if version is ssl.TLSVersion.TLSv1_3:
        with handshake(stack.tls_address, "modern.test", context(version)) as connection:
            assert connection.version() == "TLSv1.3"
    else:
        with pytest.raises(ssl.SSLError), handshake(stack.tls_address, "modern.test", context(version)):
            pass


def test_a_connection_is_only_good_for_names_that_ask_for_the_same(stack: Stack) -> None:
    assert over_tls(stack, "shop.test", "watch.test").status == 200
    assert over_tls(stack, "any.wild.test", "shop.test").status == 200
    assert over_tls(stack, None, "shop.test").status == 200
    assert over_tls(stack, "modern.test", "modern.test").status == 200
    for name, host in [("shop.test", "modern.test"), ("modern.test", "shop.test"), (None, "modern.test")]:
        refused = over_tls(stack, name, host)
        assert (refused.status, refused.verdict["verdict"]) == (421, "misdirected"), (name, host)
    with H2(stack.tls_address, "shop.test") as client:
        assert client.get("modern.test", "/", TEST).status == 421
        assert client.get("shop.test", "/", TEST).status == 200


def test_what_is_not_served_over_tls_is_not(stack: Stack) -> None:
    refused = over_tls(stack, "plain.test", "plain.test")

    assert (refused.status, refused.verdict["verdict"]) == (421, "misdirected")
    assert "strict-transport-security" not in refused.headers
    assert over_tls(stack, "shop.test", "unknown.test").verdict["verdict"] == "unknown_host"
    assert stack.get("plain.test", "/").status == 200


def test_http_is_redirected_to_the_listener_of_https(stack: Stack, server: Origin) -> None:
    def visited(target: str, headers: dict[str, str] | None = None) -> Response:
        return stack.send(head("GET", "Moved.test:8080", target, headers or {}))

    port = stack.tls_address[1]
    assert visited("/a//b?c=%0d%0a&d").headers["location"] == f"https://moved.test:{port}/a//b?c=%0d%0a&d"
    assert visited("//evil.test/").headers["location"] == f"https://moved.test:{port}//evil.test/"
    assert visited(QUERY).status == 308
    assert visited("/.well-known/acme-challenge/abc").status == 200
    assert over_tls(stack, "moved.test", "moved.test").status == 200
    assert stack.get("moved.test", "/").status == 200, "the panel's own test asks the policy"


def test_a_hostname_whose_first_certificate_is_ordered_waits_alone(stack: Stack) -> None:
    def visited(host: str) -> tuple[int, str | None]:
        over_http = stack.send(head("GET", host, "/", {}))
        return over_http.status, over_tls(stack, host, host).headers.get("strict-transport-security")

    assert visited("begun.test") == (308, "max-age=300")
    assert visited("new.test") == visited("any.new.test") == (200, None)


def over_h2(stack: Stack, host: str, **request: object) -> Response:
    given = {"method": "GET", "path": "/", "headers": {}, **request}
    headers = {**TEST, **given.pop("headers")}  # type: ignore[dict-item]
    with H2(stack.tls_address, host) as client:
        return client.request(host=host, headers=headers, **given)  # type: ignore[arg-type]


ATTACKS: dict[str, dict[str, object]] = {
    "query": {"path": QUERY},
    "header": {"headers": {"referer": "http://x/?q=1' OR '1'='1"}},
    "cookie": {"headers": {"cookie": "session=1' OR '1'='1"}},
    "form": {"method": "POST", "headers": FORM, "body": [b"a=1&q=" + SCRIPT]},
    "form with a length": {
        "method": "POST",
        "headers": {**FORM, "content-length": str(6 + len(SCRIPT))},
        "body": [b"a=1&q=" + SCRIPT],
    },
    "form in many frames": {"method": "POST", "headers": FORM, "body": [bytes([byte]) for byte in b"a=1&q=" + SCRIPT]},
    "body of a GET": {"headers": FORM, "body": [b"a=1&q=" + SCRIPT]},
    "JSON": {"method": "PUT", "headers": {"content-type": "application/json"}, "body": [b'{"q": "%b"}' % SCRIPT]},
}


@pytest.mark.parametrize("place", ATTACKS)
def test_the_waf_sees_over_http_2_what_it_sees_over_http_1(stack: Stack, server: Origin, place: str) -> None:
    before = len(server.received)

    blocked = over_h2(stack, "shop.test", **ATTACKS[place])
    watched = over_h2(stack, "watch.test", **ATTACKS[place])

    assert (blocked.status, blocked.verdict["verdict"], blocked.verdict["rule"]) == (403, "blocked", "949110")
    assert watched.status == 200
    assert "949110" in watched.verdict["rules"].split(",")
    assert len(server.received) == before + 1
    assert stack.logged(blocked)["verdict"] == "blocked"


def test_bodies_arrive_whole_over_http_2(stack: Stack) -> None:
    for host in ("shop.test", "watch.test"):
        for size in (0, 1, 70_000, 131_072):
            sent = over_h2(stack, host, method="POST", headers={"content-type": "text/plain"}, body=[b"x" * size])
            assert (sent.seen["length"], sent.verdict["verdict"]) == (size, ""), (host, size)
    over = over_h2(stack, "shop.test", method="POST", headers={"content-type": "text/plain"}, body=[b"x" * 131_073])
    assert (over.status, over.verdict["verdict"]) == (413, "over_limit")
    passed = over_h2(stack, "watch.test", method="POST", headers={"content-type": "text/plain"}, body=[b"x" * 131_073])
    assert (passed.seen["length"], passed.verdict["verdict"]) == (131_073, "over_limit")
    assert passed.seen_headers["x-waf-body"] == "not-inspected"


def test_fields_after_a_body_reach_no_server_over_http_2(stack: Stack, server: Origin) -> None:
    trailers = [("x-forwarded-for", "192.0.2.66"), ("x-gp-probe", "x")]
    for host in ("shop.test", "watch.test"):
        for headers in (FORM, {**FORM, "content-length": "3"}):
            answer = over_h2(stack, host, method="POST", headers=headers, body=[b"a=1"], trailers=trailers)
            if answer.status == 200:
                assert answer.seen["trailers"] == []
            else:
                assert (answer.status, answer.verdict["verdict"]) == (400, "trailers")


def test_a_websocket_opens_over_http_2(stack: Stack) -> None:
    pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", "shop.test")]
    with H2(stack.tls_address, "shop.test") as client:
        number = client.begin(
            [*pseudo, (":path", "/echo"), ("user-agent", "Mozilla/5.0"), ("accept", "*/*")], end=False
        )
        while not client.streams[number].headers:
            client.receive()
        client.send(number, b"\x81\x05hello")
        answer = client.answer(number)

        assert (answer.status, answer.body) == (200, b"\x81\x05hello")


def test_which_handshake_gets_the_default_certificate(stack: Stack) -> None:
    default = ssl.PEM_cert_to_DER_cert(stack.facts.default_certificate.decode().split("-----BEGIN PRIVATE")[0])

    for name in ("shop.test", "SHOP.Test", "a.wild.test", "wild.test", "unknown.test", None):
        assert leaf(stack.tls_address, name) == default, name
