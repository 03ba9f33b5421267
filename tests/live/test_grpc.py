"""HTTP/2 to servers, in clear and over TLS, and gRPC from a visitor over TLS through it."""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.live.grpc_origin import GrpcOrigin, grpc_origin, message
from tests.live.origins import Certificate, Origin, certificate
from tests.live.over_h2 import OverH2
from tests.live.stack import Stack, wait_until
from tests.live.tls import H2, Headers
from tests.rows import SECRET, rows

CHECK = {"health_check": True, "health_check_interval": 1, "health_check_rise": 1}
"A server is DOWN after three failed checks: a single one takes longer than its second by chance, on a machine that stalls."
GRPC = {"server_protocol": "http2", "streaming": True, "https": True, "policy": "Calls", **CHECK}
ATTACK = "/?q=1%27%20OR%20%271%27%3D%271"


@pytest.fixture(scope="module")
def clear() -> Iterator[GrpcOrigin]:
    with grpc_origin() as running:
        yield running


@pytest.fixture(scope="module")
def ours() -> Certificate:
    return certificate("calls.test")


@pytest.fixture(scope="module")
def sealed(ours: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrpcOrigin]:
    with grpc_origin(ours, tmp_path_factory.mktemp("grpc")) as running:
        yield running


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin, clear: GrpcOrigin, sealed: GrpcOrigin, ours: Certificate) -> Iterator[Stack]:
    calls = {
        "enforcement_mode": "block",
        "allowed_content_types": ["application/grpc", "application/json"],
        "upload_seconds": 1,
        "upload_rate_kib": 1024,
        "body_limit_kib": 16,
    }
    over_tls = {"tls_verify": "ca", "tls_ca": ours.authority, "tls_name": "calls.test"}
    hosts: dict[str, dict[str, Any]] = {
        "clear.test": {**GRPC, "servers": [{"address": clear.address}]},
        "sealed.test": {**GRPC, **over_tls, "servers": [{"address": f"https://{sealed.address}"}]},
        "waits.test": {**GRPC, "streaming": False, "servers": [{"address": clear.address}]},
        "old.test": {**GRPC, "servers": [{"address": server.address}]},
        "usual.test": {"https": True, "policy": "Calls", "servers": [{"address": server.address}], **CHECK},
        "off.test": {**GRPC, "enforcement_mode": "off", "servers": [{"address": clear.address}]},
        "passes.test": {**GRPC, "policy": "Watches", "servers": [{"address": clear.address}]},
    }
    given = rows({"Calls": calls, "Watches": {**calls, "enforcement_mode": "detect_only"}}, hosts)
    with Stack(haproxy, given) as running:
        running.again(given)
        yield running


def call(host: str, path: str = "/shop.Orders/Chat") -> Headers:
    pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", host), (":path", path)]
    own = {"content-type": "application/grpc", "te": "trailers", "user-agent": "grpc-test/1", "accept": "*/*"}
    return [*pseudo, *own.items(), ("x-gp-test", SECRET)]


def is_checked(origin: GrpcOrigin) -> bool:
    return any(request[":path"] == "/" and request[":method"] == "GET" for request in origin.requests)


def test_health_checks_speak_the_servers_protocol(stack: Stack, clear: GrpcOrigin, sealed: GrpcOrigin) -> None:
    for backend, origin in (("be_1", clear), ("be_2", sealed)):
        stack.wait_for_server(backend, "s1", "UP")
        wait_until(partial(is_checked, origin), "it has got a health check")
    stack.wait_for_server("be_4", "s1", "DOWN")
    stack.wait_for_server("be_5", "s1", "UP")


def test_the_protocol_to_servers_is_independent_of_the_visitors(stack: Stack) -> None:
    for channel in (stack, OverH2.of(stack)):
        versions = {
            host: channel.get(host, "/").seen["version"] for host in ("clear.test", "sealed.test", "usual.test")
        }
        assert versions == {"clear.test": "HTTP/2", "sealed.test": "HTTP/2", "usual.test": "HTTP/1.1"}


@pytest.mark.parametrize("host", ["clear.test", "sealed.test", "off.test", "passes.test"])
def test_messages_pass_in_both_directions_as_they_come(
    stack: Stack, clear: GrpcOrigin, sealed: GrpcOrigin, host: str
) -> None:
    origin = sealed if host == "sealed.test" else clear
    sent = b""
    with H2(stack.tls_address, host) as client:
        number = client.begin(call(host), end=False)
        stream = client.streams[number]
        for text in (b"first", b"second", b"x" * 40_000):
            client.send(number, message(text))
            sent += message(text)
            while stream.body != sent:
                client.receive()
        client.wire.end_stream(number)
        client.flush()
        answer = client.answer(number)

    assert (answer.status, stream.trailers) == (200, {"grpc-status": "0", "grpc-message": "fine"})
    seen = next(request for request in reversed(origin.requests) if request[":path"] == "/shop.Orders/Chat")
    assert seen["te"] == "trailers"
    assert seen.get("x-waf-body") == (None if host == "off.test" else "not-inspected")
    if host != "off.test":
        assert (answer.verdict["partial"], stack.logged(answer)["partial"]) == ("streamed", "streamed")


def test_without_the_flag_the_waf_waits_for_the_end(stack: Stack) -> None:
    with H2(stack.tls_address, "waits.test") as client:
        number = client.begin(call("waits.test"), end=False)
        client.send(number, message(b"first"))
        answer = client.answer(number)

    assert (answer.status, answer.verdict["verdict"]) == (408, "slow")


def test_headers_and_addresses_are_inspected_and_bodies_are_not(stack: Stack, clear: GrpcOrigin) -> None:
    channel, before = OverH2.of(stack), len(clear.requests)
    json_type = {"content-type": "application/json"}
    attack = b"{\"q\": \"1' OR '1'='1\"}"

    assert channel.get("clear.test", ATTACK).status == 403
    assert (
        channel.get("clear.test", "/", {"x-name": "<script>alert(1)</script>", "referer": "() { :;}; /bin/id"}).status
        == 403
    )
    assert channel.request("POST", "usual.test", "/", json_type, attack).status == 403
    assert len([request for request in clear.requests[before:] if request[":path"] != "/"]) == 0
    for http in (stack, channel):
        passed = http.request("POST", "clear.test", "/orders", json_type, attack)
        assert (passed.seen_headers["x-waf-body"], passed.verdict["partial"]) == ("not-inspected", "streamed")
    assert "x-waf-body" not in channel.get("clear.test", "/orders").seen_headers


def test_no_content_type_of_a_visitor_streams(stack: Stack, server: Origin) -> None:
    """And none keeps a body from it, however long it says it is."""
    grpc = {"content-type": "application/grpc"}

    attack = OverH2.of(stack).request("POST", "usual.test", "/?a=b", grpc, b"q=1' OR '1'='1")
    assert attack.verdict.get("partial") in {None, ""}
    long = stack.request(
        "POST", "clear.test", "/orders", {"content-type": "application/json"}, b"[" + b" " * 300_000 + b"]"
    )
    assert (long.status, long.verdict["partial"]) == (200, "streamed")


def test_fields_after_a_streamed_body_reach_no_server(stack: Stack, clear: GrpcOrigin) -> None:
    for host in ("clear.test", "off.test"):
        with H2(stack.tls_address, host) as client, contextlib.suppress(ConnectionError):  # the stream is reset
            client.request(
                "POST", host, "/late", call(host)[4:], [message(b"first")], [("x-forwarded-for", "203.0.113.9")]
            )

    assert clear.trailers == []
