"""What only HTTP/2 can say: pseudo-headers, forbidden fields, streams that stall or end wrong, tunnels. What both versions can say is
asked of both where it is tested (`channel`)."""

import json
from collections.abc import Iterator

import pytest

from tests.live.origins import Origin
from tests.live.over_h2 import OverH2
from tests.live.stack import Stack, wait_until
from tests.live.test_client_address import FORGED, STRANGER, received
from tests.live.tls import H2, Headers
from tests.live.wire import Response
from tests.rows import SECRET, rows

pytestmark = pytest.mark.one_haproxy

QUERY = "/?q=1%27%20OR%20%271%27%3D%271"
PLAIN = [("user-agent", "Mozilla/5.0"), ("accept", "*/*"), ("x-gp-test", SECRET)]
FORM = [*PLAIN, ("content-type", "application/x-www-form-urlencoded")]


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    common = {"servers": [{"address": server.address}], "health_check": False, "https": True}
    hurried = {"enforcement_mode": "block", "upload_seconds": 1, "upload_rate_kib": 1024, "body_limit_kib": 16}
    policies: dict[str, dict[str, object]] = {
        "Block": {"enforcement_mode": "block"},
        "Watch": {},
        "Hurried": hurried,
        "Pass": {"over_limit": "pass"},
    }
    hosts = {
        "shop.test": {**common, "policy": "Block"},
        "watch.test": {**common, "policy": "Watch"},
        "hurried.test": {**common, "policy": "Hurried"},
        "pass.test": {**common, "policy": "Pass"},
        "off.test": common,
    }
    with Stack(haproxy, rows(policies, hosts)) as running:
        yield running


def answer_to(stack: Stack, headers: Headers, body: bytes | None = None, *, is_open: bool = False) -> Response | None:
    """Headers as they are. None: the stream or the connection was reset. `is_open`: more would follow them."""
    with H2(stack.tls_address, "shop.test") as client:
        try:
            number = client.begin(headers, end=body is None and not is_open)
            if body is not None:
                client.send(number, body)
                client.wire.end_stream(number)
                client.flush()
            return client.answer(number)
        except ConnectionError:
            return None


def pseudo(path: str = "/", authority: str | None = "shop.test", method: str = "GET") -> Headers:
    fields = [(":method", method), (":scheme", "https"), (":path", path)]
    return fields if authority is None else [*fields, (":authority", authority)]


@pytest.mark.parametrize("host", ["watch.test", "off.test"])
def test_nothing_that_a_stranger_says_of_itself_reaches_a_server(stack: Stack, host: str) -> None:
    answer = OverH2.of(stack).get(host, "/", {name.lower(): "203.0.113.9" for name in FORGED})

    headers = received(answer)
    assert "203.0.113.9" not in json.dumps(headers)
    assert (headers["x-forwarded-for"], headers["x-real-ip"]) == ([STRANGER], [STRANGER])
    assert (headers["x-forwarded-proto"], headers["x-forwarded-host"]) == (["https"], [host])
    assert all(len(values) == 1 for values in headers.values())


def test_names_in_capitals_reach_no_rule_and_no_server(stack: Stack, server: Origin) -> None:
    before = len(server.received)

    for name in ("X-GP-Probe", "X-Forwarded-For", "Host"):
        assert answer_to(stack, [*pseudo(), (name, "x"), *PLAIN]) is None
    assert len(server.received) == before


def test_the_authority_decides_whatever_host_says(stack: Stack, server: Origin) -> None:
    for hosts in (["watch.test"], ["unknown.test"], ["watch.test", "shop.test"], ["shop.test:443"], [""]):
        fields = [("host", host) for host in hosts]
        before = len(server.received)
        attack, harmless = (
            answer_to(stack, [*pseudo(QUERY), *fields, *PLAIN]),
            answer_to(stack, [*pseudo(), *fields, *PLAIN]),
        )

        assert attack is None or attack.status in {400, 403}, hosts
        assert harmless is None or harmless.status == 400 or harmless.seen_headers["host"] == "shop.test", hosts
        assert len(server.received) <= before + 1


def test_host_alone_is_as_good_as_an_authority_and_none_is_400(stack: Stack) -> None:
    alone = answer_to(stack, [*pseudo(authority=None), ("host", "shop.test"), *PLAIN])
    attack = answer_to(stack, [*pseudo(QUERY, authority=None), ("host", "shop.test"), *PLAIN])
    two = answer_to(stack, [*pseudo(authority=None), ("host", "shop.test"), ("host", "watch.test"), *PLAIN])
    none = answer_to(stack, [*pseudo(authority=None), *PLAIN])

    assert alone and alone.seen_headers["host"] == "shop.test"
    assert attack and attack.status == 403
    assert two is None or two.status == 400 or received(two)["host"] == [stack.logged(two)["host"]]
    assert none is None or none.status == 400


WRONG: dict[str, Headers] = {
    "connection": [*pseudo(), ("connection", "x-forwarded-for"), *PLAIN],
    "upgrade": [*pseudo(), ("upgrade", "h2c"), *PLAIN],
    "transfer-encoding": [*pseudo(), ("transfer-encoding", "chunked"), *PLAIN],
    "te": [*pseudo(), ("te", "chunked"), *PLAIN],
    "a line feed in a value": [*pseudo(), ("x", "a\nx-gp-probe: 1"), *PLAIN],
    "a line feed in a name": [*pseudo(), ("x\nhost", "a"), *PLAIN],
    "a zero in a value": [*pseudo(), ("x", "a\0b"), *PLAIN],
    "a colon in a name": [*pseudo(), ("x:y", "a"), *PLAIN],
    "a space in a name": [*pseudo(), ("host ", "watch.test"), *PLAIN],
    "an unknown pseudo-header": [*pseudo(), (":x", "a"), *PLAIN],
    "a pseudo-header after others": [(":method", "GET"), (":scheme", "https"), *PLAIN, (":path", "/"), (":authority", "shop.test")],
    "two methods": [(":method", "POST"), *pseudo(), *PLAIN],
    "two paths": [*pseudo(), (":path", "/admin"), *PLAIN],
    "two authorities": [*pseudo(), (":authority", "watch.test"), *PLAIN],
    "no path": [(":method", "GET"), (":scheme", "https"), (":authority", "shop.test"), *PLAIN],
    "an empty path": [*pseudo(""), *PLAIN],
    "an absolute path": [*pseudo("https://watch.test/"), *PLAIN],
    "a path without a slash": [*pseudo("admin"), *PLAIN],
    "a path with a space": [*pseudo("/ HTTP/1.1\r\nx: y"), *PLAIN],
    "a method with a space": [*pseudo(method="GET /x"), *PLAIN],
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_http_2_forbids_reaches_no_server(stack: Stack, server: Origin, what: str) -> None:
    before = len(server.received)

    answer = answer_to(stack, WRONG[what])

    assert answer is None or answer.status in {400, 421}
    assert len(server.received) == before


@pytest.mark.parametrize(("length", "body"), [("4", b"a=1&b=2"), ("9", b"a=1"), ("+3", b"a=1"), ("3, 3", b"a=1x")])
def test_a_length_that_is_not_the_bodys_reaches_no_server(
    stack: Stack, server: Origin, length: str, body: bytes
) -> None:
    before = len(server.received)

    answer = answer_to(stack, [*pseudo(method="POST"), *FORM, ("content-length", length)], body)

    assert answer is None or answer.status in {400, 413}
    assert len(server.received) == before


def test_an_upload_that_stalls_is_given_up_and_the_connection_goes_on(stack: Stack, server: Origin) -> None:
    before = len(server.begun)
    with H2(stack.tls_address, "hurried.test") as client:
        for length in ([("content-length", "100")], []):
            number = client.begin([*pseudo(authority="hurried.test", method="POST"), *FORM, *length], end=False)
            client.send(number, b"a=1")
            stalled = client.answer(number)
            assert (stalled.status, stalled.verdict["verdict"]) == (408, "slow")
            assert stack.logged(stalled)["verdict"] == "slow"
        assert len(server.begun) == before
        assert client.get("hurried.test", "/", dict(PLAIN)).status == 200


def test_what_is_refused_early_leaves_the_other_streams_alone(stack: Stack) -> None:
    with H2(stack.tls_address, "shop.test") as client:
        waiting = client.begin([*pseudo(method="POST"), *FORM], end=False)
        client.send(waiting, b"a=")
        announced = client.begin([*pseudo(method="POST"), *FORM, ("content-length", "1000000")], end=False)
        too_large = client.answer(announced)
        long = client.get("shop.test", "/" + "p" * 8200, dict(PLAIN))
        client.send(waiting, b"1")
        client.wire.end_stream(waiting)
        client.flush()

        assert (too_large.status, too_large.verdict["verdict"]) == (413, "over_limit")
        assert (long.status, client.answer(waiting).status) == (414, 200)


@pytest.mark.parametrize("first", [b"", b"a=1"])
def test_a_length_over_the_limit_counts_before_the_body_is_there(stack: Stack, server: Origin, first: bytes) -> None:
    """HAProxy may count what came instead, and would wait for the rest."""
    length, before = ("content-length", "1000000"), len(server.begun)
    with H2(stack.tls_address, "hurried.test") as client:
        number = client.begin([*pseudo(authority="hurried.test", method="POST"), *FORM, length], end=False, first=first)
        refused = client.answer(number)
        assert (refused.status, refused.verdict["verdict"]) == (413, "over_limit")
    with H2(stack.tls_address, "pass.test") as client:
        number = client.begin([*pseudo(authority="pass.test", method="POST"), *FORM, length], end=False, first=first)
        wait_until(lambda: len(server.begun) > before, "the server has the beginning")
        client.send(number, b"x" * (1_000_000 - len(first)))
        client.wire.end_stream(number)
        client.flush()
        passed = client.answer(number)

    assert (passed.seen["length"], passed.verdict["verdict"]) == (1_000_000, "over_limit")


def tunnel(path: str, protocol: str = "websocket") -> Headers:
    return [*pseudo(path, method="CONNECT"), (":protocol", protocol), *PLAIN]


def test_a_tunnel_is_refused(stack: Stack, server: Origin) -> None:
    before = len(server.received)

    answer = answer_to(stack, [(":method", "CONNECT"), (":authority", "shop.test:80"), *PLAIN])

    assert answer and answer.status == 405
    assert len(server.received) == before


def test_an_attack_in_the_address_of_a_websocket_is_blocked(stack: Stack, server: Origin) -> None:
    before = len(server.received)

    for protocol in ("websocket", "connect-udp", "x"):
        answer = answer_to(stack, tunnel(QUERY, protocol), is_open=True)
        assert answer is None or answer.status in {400, 403, 405}, protocol
    blocked = answer_to(stack, tunnel(QUERY), is_open=True)

    assert blocked and (blocked.status, blocked.verdict["verdict"]) == (403, "blocked")
    assert len(server.received) == before


def test_no_protocol_but_websocket_gets_a_tunnel(stack: Stack) -> None:
    """It is an ordinary request to the server, whose answer ends the stream."""
    with H2(stack.tls_address, "watch.test") as client:
        headers = [*pseudo(authority="watch.test", method="CONNECT"), (":protocol", "connect-ip"), *PLAIN]
        try:
            number = client.begin(headers, end=False)
            client.wire.end_stream(number)
            client.flush()
            answer = client.answer(number)
        except ConnectionError:
            return

    assert answer.status in {400, 405} or (answer.seen["method"] == "GET" and "upgrade" not in answer.seen_headers)
