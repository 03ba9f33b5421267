"""HTTP/2 without TLS, from proxies in front: on a listener that allows it, with the same judgment as over HTTP/1.1."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.rendering import Rows
from tests.live.grpc_origin import GrpcOrigin, grpc_origin, message
from tests.live.origins import Origin
from tests.live.over_h2 import OverClearH2
from tests.live.stack import Stack
from tests.live.tls import ClearH2
from tests.rows import SECRET, rows

FORM = {"content-type": "application/x-www-form-urlencoded"}
ATTACK = "1%27%20OR%20%271%27%3D%271"
PROXY = "127.0.0.0/8"
GRPC = [("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", "grpc-test/1"), ("x-gp-test", SECRET)]


@pytest.fixture(scope="module")
def calls() -> Iterator[GrpcOrigin]:
    with grpc_origin() as running:
        yield running


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin, calls: GrpcOrigin) -> Iterator[Stack]:
    """The first listener allows it. No virtual host has HTTPS."""
    policies: dict[str, dict[str, Any]] = {
        "Block": {"enforcement_mode": "block", "body_limit_kib": 16},
        "Few": {
            "enforcement_mode": "block",
            "client_limits": True,
            "rate_limit_requests": 2,
            "rate_limit_window_seconds": 60,
        },
        "Calls": {"enforcement_mode": "block", "allowed_content_types": ["application/grpc"]},
    }
    common: dict[str, Any] = {"servers": [{"address": server.address}], "health_check": False}
    hosts = {
        "shop.test": {**common, "policy": "Block"},
        "few.test": {**common, "policy": "Few"},
        "calls.test": {**common, "policy": "Calls", "server_protocol": "http2", "streaming": True},
    }
    hosts["calls.test"]["servers"] = [{"address": calls.address}]
    bound = [{"path": "/quiet", "enforcement_mode": "detect_only"}]

    def given(port: int | None) -> Rows:
        listeners = [{"address": f"127.0.0.1:{port}", "http2": True}] if port else []
        traffic = {"client_ip_source": "x_forwarded_for", "trusted_networks": [PROXY], "listeners": listeners}
        return rows(policies, hosts, traffic, paths=bound)

    with Stack(haproxy, given(None), listeners=2) as running:
        running.again(given(running.address[1]))
        yield running


@pytest.fixture
def proxy(stack: Stack) -> OverClearH2:
    return OverClearH2.of(stack)


def test_requests_are_the_visitors_and_are_inspected(proxy: OverClearH2, server: Origin) -> None:
    named = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}
    answer = proxy.request("GET", "shop.test", "/a?b=c", named)

    assert (answer.status, answer.seen["target"], answer.seen["version"]) == (200, "/a?b=c", "HTTP/1.1")
    seen = answer.seen_headers
    assert (seen["x-forwarded-for"], seen["x-forwarded-proto"], seen["host"]) == ("203.0.113.7", "https", "shop.test")
    assert proxy.logged(answer)["client"] == "203.0.113.7"
    before = len(server.received)
    assert proxy.get("shop.test", f"/?q={ATTACK}").status == 403
    assert proxy.request("POST", "shop.test", "/", FORM, f"q={ATTACK}".encode()).status == 403
    assert proxy.chunked("shop.test", [b"q=", ATTACK.encode()], FORM["content-type"]).status == 403
    assert proxy.get("shop.test", f"/quiet?q={ATTACK}").status == 200
    assert proxy.get("shop.test", f"/qui%65t?q={ATTACK}").status == 403
    assert proxy.get("unknown.test", "/").status == 421
    assert len(server.received) == before + 1


@pytest.mark.parametrize("sized", [True, False])
def test_a_body_over_the_limit_is_rejected_however_it_is_sent(proxy: OverClearH2, server: Origin, sized: bool) -> None:
    before, body = len(server.received), b"a=" + b"x" * 20_000
    answer = (
        proxy.request("POST", "shop.test", "/", FORM, body)
        if sized
        else proxy.chunked("shop.test", [body[:9], body[9:]], FORM["content-type"])
    )

    assert (answer.status, len(server.received)) == (413, before)


def test_fields_after_a_body_reach_no_server(proxy: OverClearH2, server: Origin) -> None:
    before = len(server.received)
    sent = [("user-agent", "Mozilla/5.0"), ("accept", "*/*"), *FORM.items()]
    with proxy.client(None) as client, contextlib.suppress(ConnectionError):
        client.request("POST", "shop.test", "/", sent, [b"a=b"], [("x-forwarded-for", "203.0.113.9")])

    assert "203.0.113.9" not in "".join(server.received[before:])


def test_limits_count_each_stream(proxy: OverClearH2) -> None:
    with proxy.client(None) as client:
        visitor = {"x-forwarded-for": "203.0.113.20"}
        answers = [client.get("few.test", "/", visitor).status for _ in range(3)]

        assert (answers, client.get("few.test", "/", {"x-forwarded-for": "203.0.113.21"}).status) == (
            [200, 200, 429],
            200,
        )


def test_grpc_passes_in_both_directions(stack: Stack, calls: GrpcOrigin) -> None:
    pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "calls.test"), (":path", "/shop.Orders/Chat")]
    with ClearH2(stack.address, None) as client:
        number = client.begin([*pseudo, *GRPC], end=False)
        stream, sent = client.streams[number], b""
        for text in (b"first", b"second"):
            client.send(number, message(text))
            sent += message(text)
            while stream.body != sent:
                client.receive()
        client.wire.end_stream(number)
        client.flush()
        answer = client.answer(number)

    assert (answer.status, stream.trailers) == (200, {"grpc-status": "0", "grpc-message": "fine"})
    assert calls.requests[-1]["x-waf-body"] == "not-inspected"


def test_other_listeners_speak_http_1_alone(stack: Stack) -> None:
    with pytest.raises(ConnectionError), ClearH2(stack.addresses[1], None) as client:
        client.get("shop.test", "/")


def test_nothing_switches_to_it(stack: Stack) -> None:
    switch = {"upgrade": "h2c", "connection": "upgrade, http2-settings", "http2-settings": "AAMAAABkAARAAAAAAAIAAAAA"}
    answer = stack.get("shop.test", "/", switch)

    assert answer.status == 200
    assert {"upgrade", "http2-settings"}.isdisjoint(answer.seen_headers)
