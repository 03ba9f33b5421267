"""From the Host header to a virtual host, and what no visitor may say."""

from collections.abc import Iterator

import pytest

from tests.live.origins import Origin, origin
from tests.live.over_h2 import NO_ANSWER
from tests.live.stack import Stack
from tests.live.wire import head
from tests.rows import SECRET, rows

QUERY = "/?q=1%27%20OR%20%271%27%3D%271"


@pytest.fixture(scope="module")
def other() -> Iterator[Origin]:
    with origin() as running:
        yield running


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin, other: Origin) -> Iterator[Stack]:
    common = {"servers": [{"address": server.address}], "health_check": False, "policy": "Block", "https": True}
    hosts = {
        "shop.test www.shop.test": common,
        "*.wild.test": common,
        "under_score.test *.x_y.test": common,
        "exact.wild.test": {**common, "servers": [{"address": other.address}]},
        "münchen.test": common,
        "192.0.2.7": common,
        "watch.test": {**common, "policy": "Watch"},
        "off.test": {"servers": [{"address": server.address}], "health_check": False, "https": True},
        "gone.test gone.wild.test *.gone.test": {**common, "enabled": False},
    }
    with Stack(haproxy, rows({"Block": {"enforcement_mode": "block"}, "Watch": {}}, hosts)) as running:
        yield running


@pytest.mark.parametrize(
    "host",
    [
        "shop.test",
        "www.shop.test",
        "SHOP.Test",
        "shop.test:8080",
        "shop.test.",
        "Shop.Test.:80",
        "any.wild.test",
        "ANY.wild.test:443",
        "Under_Score.test",
        "_a.x_y.test:8080",
        "xn--mnchen-3ya.test",
        "192.0.2.7",
        "192.0.2.7:8080",
    ],
)
def test_a_known_name_reaches_its_server(channel: Stack, server: Origin, host: str) -> None:
    answer = channel.get(host, "/some/where?a=1")

    assert answer.seen["port"] == server.port
    assert answer.seen["target"] == "/some/where?a=1"
    received = host.removesuffix(":443") if channel.http == "2" else host  # HAProxy leaves out the scheme's own port
    assert answer.seen_headers["host"] == received
    assert answer.seen_headers["x-forwarded-host"] == received


@pytest.mark.parametrize(
    "host",
    [
        "unknown.test",
        "x.shop.test",
        "a.b.wild.test",
        "wild.test",
        ".wild.test",
        "*.wild.test",
        "evil.test/.wild.test",
        "a b.wild.test",
        "gone.test",
        "x.gone.test",
        "shop.test, watch.test",
        "shop.test,watch.test",
        "watch.test shop.test",
        "[::1]",
        "[::1]:8080",
        "[2001:db8::1]",
        "192.0.2.8",
        "shop.test:evil",
        "shop.test@evil.test",
        "evil.test@shop.test",
        "shop.test\\@evil.test",
        "-",
        "",
        ":80",
        "shop",
        "shop.test.evil.test",
        "shoptest",
        "visitors",
        "be_1",
        "x" * 300,
    ],
)
def test_any_other_name_reaches_no_server(channel: Stack, server: Origin, host: str) -> None:
    before = len(server.received)

    answer = channel.get(host, "/")

    refused = {400, 421} if channel.scheme == "http" else {400, 421, NO_ANSWER.status}
    assert answer.status in (refused if not host.isalnum() else {421})
    assert len(server.received) == before


def test_an_unknown_name_is_answered_with_421_before_anything_else(channel: Stack) -> None:
    answer = channel.get("unknown.test", QUERY)

    assert answer.status == 421
    assert (answer.verdict["verdict"], answer.verdict["application"]) == ("unknown_host", "")
    assert answer.verdict["request-id"] in answer.text


def test_an_exact_name_beats_a_wildcard(channel: Stack, server: Origin, other: Origin) -> None:
    assert channel.get("exact.wild.test", "/").seen["port"] == other.port
    assert channel.get("EXACT.WILD.test.:1", "/").seen["port"] == other.port
    assert channel.get("exact2.wild.test", "/").seen["port"] == server.port


def test_a_disabled_host_does_not_fall_to_a_wildcard(channel: Stack, server: Origin) -> None:
    assert channel.get("still.wild.test", "/").seen["port"] == server.port
    before = len(server.received)

    answer = channel.get("GONE.wild.test:80", "/")

    assert (answer.status, answer.verdict["verdict"], len(server.received)) == (421, "unknown_host", before)
    line = channel.logged(answer)
    assert (line["host"], line["virtual_host"]) == ("gone.wild.test", "-")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: shop.test\r\nHost: watch.test\r\n\r\n",
        b"GET http://watch.test/ HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        b"GET http://watch.test/ HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : shop.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: shop.test\r\n folded: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"GET / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: +5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        b"GET / \x00HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: shop.test\r\nX: a\rb\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\r\n",
    ],
)
def test_a_request_that_can_be_read_in_two_ways_reaches_no_server(
    stack: Stack, server: Origin, request_: bytes
) -> None:
    before = len(server.received)

    with stack.connect() as connection:
        connection.sendall(request_)
        answer = connection.recv(65536)

    assert (
        answer[:12] in {b"HTTP/1.1 400", b"HTTP/1.0 400", b"HTTP/1.1 405", b"HTTP/1.1 501", b"HTTP/1.1 422", b""}
        or answer[:3] == b"\0\0\0"
    )
    assert len(server.received) == before


def test_the_same_host_twice_reaches_the_server_once(stack: Stack) -> None:
    answer = stack.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\nHost: shop.test\r\nConnection: close\r\n\r\n")

    assert answer.status == 400 or [name for name, _ in answer.seen["headers"]].count("host") == 1


def test_a_header_named_in_connection_still_reaches_the_server(stack: Stack) -> None:
    request = head("GET", "watch.test", "/", {}).replace(
        b"Connection: close", b"Connection: close, X-Forwarded-For, Cookie\r\nCookie: a=1"
    )

    headers = stack.send(request).seen_headers

    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert "x-forwarded-for" not in headers.get("connection", "").lower()


def test_both_lengths_are_read_as_chunks_and_the_server_gets_one(stack: Stack, server: Origin) -> None:
    both = {
        "content-length": "4",
        "transfer-encoding": "chunked",
        "x-gp-test": SECRET,
        "content-type": "text/plain",
    }

    answer = stack.send(head("POST", "watch.test", "/", both), b"5\r\nhello\r\n0\r\n\r\n")

    assert answer.status in {400, 413} or (answer.seen["length"] == 5 and "content-length" not in answer.seen_headers)


def test_an_absolute_address_is_judged_and_routed_like_any_other(stack: Stack) -> None:
    assert stack.get("shop.test", "http://shop.test/a").seen["target"] in {"/a", "http://shop.test/a"}
    assert stack.get("shop.test", "http://shop.test").seen["target"] in {"/", "http://shop.test/"}
    assert stack.request("OPTIONS", "shop.test", "http://shop.test").seen["target"] == "*"
    assert stack.get("shop.test", "http://shop.test" + QUERY).status == 403


def test_a_tunnel_is_refused(stack: Stack, server: Origin) -> None:
    before = len(server.received)

    for host in ("shop.test", "watch.test", "off.test"):
        assert stack.request("CONNECT", host, f"{host}:80").status == 405
    assert len(server.received) == before


def test_no_upgrade_but_websocket_reaches_a_server(stack: Stack) -> None:
    """A server that accepts h2c would hide every later request of the connection from the WAF."""
    for host in ("watch.test", "off.test"):
        upgrade = {"upgrade": "h2c", "http2-settings": "AAMAAABkAARAAAAAAAIAAAAA"}
        request = head("GET", host, "/", upgrade).replace(b"Connection: close", b"Connection: Upgrade, HTTP2-Settings")
        headers = stack.send(request).seen_headers
        assert not {"upgrade", "http2-settings"} & set(headers)
        assert "upgrade" not in headers.get("connection", "").lower()

    request = head(
        "GET",
        "watch.test",
        "/",
        {"upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "x" * 22 + "=="},
    )
    headers = stack.send(request.replace(b"Connection: close", b"Connection: Upgrade")).seen_headers
    assert (headers["upgrade"], headers["connection"].lower()) == ("websocket", "upgrade")


def test_clients_cannot_forge_our_headers(channel: Stack) -> None:
    forged = {
        "x-gp-test": "wrong",
        "x-gp-application": "p1",
        "x-gp-action": "deny",
        "X-GP-Attack": "1",
        "x-gp-anything": "1",
        "x-gp-probe": "wrong",
        "X-Waf-Body": "inspected",
        "x-waf-error": "none",
    }
    for host in ("watch.test", "off.test"):
        answer = channel.get(host, "/", forged)

        assert not [name for name in answer.seen_headers if name.startswith(("x-gp-", "x-waf-"))]
        assert answer.verdict == {}


def test_a_forged_probe_or_attack_header_changes_no_verdict(channel: Stack) -> None:
    assert channel.get("shop.test", "/", {"X-GP-Attack": "1"}).verdict["rules"] == ""
    assert channel.get("shop.test", QUERY, {"x-gp-application": "-"}).status == 403
    assert channel.get("shop.test", QUERY, {"x-gp-probe": "wrong"}).status == 403
    assert channel.get("shop.test", "/", {"X-GP-Attack": "1"}).status == 200


def test_forwarding_headers_are_ours(channel: Stack) -> None:
    forged = {
        "X-Forwarded-For": "192.0.2.1",
        "x-forwarded-proto": "https",
        "X-Forwarded-Host": "evil.test",
        "X-Request-Id": "mine",
        "Forwarded": "for=192.0.2.1",
        "X-Real-IP": "192.0.2.1",
        "X-Forwarded-Port": "443",
        "X_Forwarded_For": "192.0.2.1",
        "X_Forwarded_Host": "evil.test",
        "X_Real_IP": "192.0.2.1",
        "X-Forwarded-Prefix": "/x",
    }
    for host in ("watch.test", "off.test"):
        answer = channel.get(host, "/", forged)

        ours = {
            name: value
            for name, value in answer.seen["headers"]
            if name.replace("_", "-").startswith(("x-", "forwarded"))
        }
        assert ours == {
            "x-forwarded-for": "127.0.0.1",
            "x-real-ip": "127.0.0.1",
            "x-forwarded-proto": channel.scheme,
            "x-forwarded-host": host,
            "x-request-id": answer.verdict["request-id"],
        }
        assert len([name for name, _ in answer.seen["headers"] if name == "x-forwarded-for"]) == 1


def test_a_server_cannot_speak_in_our_name_either(channel: Stack) -> None:
    answer = channel.get("watch.test", "/", {"x-gp-test": "wrong"})

    assert answer.status == 200
    assert answer.verdict == {}
    assert channel.get("watch.test", "/").verdict["action"] == ""


def test_the_secret_probe_is_answered_whatever_the_host(channel: Stack) -> None:
    for host in ("unknown.test", "shop.test"):
        answer = channel.get(host, QUERY, {"x-gp-probe": SECRET})

        assert answer.status == 200
        assert answer.verdict["checksum"] == channel.bundle.checksum
    assert channel.get("unknown.test", "/", {"x-gp-probe": "wrong"}).status == 421
