"""How often a client may ask, and how much at once: who is over a limit is told so, nobody else notices, and a reload forgets nothing."""

import contextlib
import json
import math
import os
import re
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.origins import Origin
from tests.live.stack import DEADLINE, Stack, wait_until
from tests.live.test_h2 import pseudo
from tests.live.tls import H2
from tests.live.wire import Part, Response, head
from tests.rows import maps_of, rows

PROXY = "127.0.2.1"
"Says who the client is, so that one machine can be many."

ATTACK = "/?q=1%27%20OR%20%271%27%3D%271"

MOST, LONG, AT_ONCE = 4, 3600, 2

LARGE = 200 * 1024

PART = 600 * 1024
"Bytes: twice this is more than Data permits."

WAITING = 3
"At most twice this of a client are in progress or wait."

CONNECTIONS, PLACES = 200, 20
"Requests that may wait: a tenth of the connections, in equal shares for HAProxy's threads."

COLD_SECONDS = 12
"2.6 and 2.8: a worker that did not follow another one passes nothing on before."

POLICIES: dict[str, dict[str, Any]] = {
    "Block": {"rate_limit_requests": MOST, "rate_limit_window_seconds": LONG, "requests_at_once": 1000},
    "Watch": {"rate_limit_requests": 1, "rate_limit_window_seconds": LONG, "enforcement_mode": "detect_only"},
    "Slides": {"rate_limit_requests": 1, "rate_limit_window_seconds": 2},
    "Few": {"rate_limit_requests": 1000, "rate_limit_window_seconds": LONG, "requests_at_once": AT_ONCE},
    "Large": {"rate_limit_requests": 2, "rate_limit_window_seconds": LONG, "body_limit_kib": 4096},
    "Open": {
        "rate_limit_requests": 2,
        "rate_limit_window_seconds": LONG,
        "limit_by": "path",
        "fail_mode": "open",
        "body_limit_kib": 4096,
    },
    "Network": {"rate_limit_requests": 2, "rate_limit_window_seconds": LONG, "limit_by": "network"},
    "Path": {"rate_limit_requests": 2, "rate_limit_window_seconds": LONG, "limit_by": "path"},
    "Key": {
        "rate_limit_requests": 2,
        "rate_limit_window_seconds": LONG,
        "limit_by": "header",
        "limit_by_name": "X-API-Key",
    },
    "Cookie": {
        "rate_limit_requests": 2,
        "rate_limit_window_seconds": LONG,
        "limit_by": "cookie",
        "limit_by_name": "session_id",
    },
    "Errors": {"rate_limit_requests": 1000, "rate_limit_window_seconds": LONG, "errors_per_period": 3},
    "Data": {"rate_limit_requests": 1000, "rate_limit_window_seconds": LONG, "mib_per_period": 1},
    "Delay": {
        "rate_limit_requests": 3,
        "rate_limit_window_seconds": 1,
        "requests_at_once": WAITING,
        "limit_delay_seconds": 30,
    },
    "Briefly": {"rate_limit_requests": 1, "rate_limit_window_seconds": LONG, "limit_delay_seconds": 1},
    "Queue": {
        "rate_limit_requests": 1,
        "rate_limit_window_seconds": LONG,
        "requests_at_once": WAITING,
        "limit_delay_seconds": 30,
    },
    "Leave": {
        "rate_limit_requests": 1,
        "rate_limit_window_seconds": LONG,
        "requests_at_once": PLACES // 2,
        "limit_delay_seconds": 30,
    },
    "Unlimited": {"client_limits": False, "rate_limit_requests": 1},
}
OPEN = 6

LISTS: list[dict[str, Any]] = [{"name": "Office", "kind": "allow", "entries": ["198.51.100.0/24"]}]


def state(server: Origin) -> Any:
    common = {"servers": [{"address": server.address}], "health_check": False}
    given = {"enforcement_mode": "block", "client_limits": True, "allowed_content_types": ["application/octet-stream"]}
    hosts = {f"{name.lower()}.test": {**common, "policy": name} for name in POLICIES}
    hosts["block2.test"] = hosts["block.test"]
    hosts["path2.test"] = hosts["path.test"]
    hosts |= {f"{name}2.test": {**hosts[f"{name}.test"], "https": True} for name in ("leave", "unlimited")}
    hosts["off.test"] = {**hosts["block.test"], "enforcement_mode": "off"}
    traffic = {"client_ip_source": "x_forwarded_for", "trusted_networks": [PROXY], "max_connections": CONNECTIONS}
    return rows({name: {**given, **own} for name, own in POLICIES.items()}, hosts, traffic, address_lists=LISTS)


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    slowly: list[Part] = [b"x", 0.2] * 600
    for status in (401, 404, 500):
        server.answers[f"/{status}"] = [f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()]
    server.answers["/part"] = [f"HTTP/1.1 200 OK\r\nContent-Length: {PART}\r\n\r\n".encode(), b"x" * PART]
    server.answers["/long"] = [f"HTTP/1.1 200 OK\r\nContent-Length: {2 * PART}\r\n\r\n".encode(), b"x" * PART, *slowly]
    server.answers["/hold"] = [b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n", *slowly]
    with Stack(haproxy, state(server), list_maps=maps_of(LISTS)) as running:
        running.again(state(server))
        yield running


def request(client: str, host: str, target: str = "/", body: bytes = b"", **headers: str) -> bytes:
    sent = {"user-agent": "Mozilla/5.0", "accept": "*/*", "x-forwarded-for": client, **headers}
    if body:
        sent |= {"content-type": "application/octet-stream", "content-length": str(len(body))}
    return head("POST" if body else "GET", host, target, sent) + body


def connected(stack: Stack, sent: bytes) -> socket.socket:
    connection = socket.create_connection(stack.address, DEADLINE, source_address=(PROXY, 0))
    connection.sendall(sent)
    return connection


def ask(stack: Stack, client: str, host: str, target: str = "/", body: bytes = b"") -> Response:
    sent = request(client, host, target, body)
    with connected(stack, sent) as connection:
        return stack.answer(connection, sent)


def statuses(stack: Stack, client: str, host: str, times: int, body: bytes = b"") -> list[int]:
    return [ask(stack, client, host, body=body).status for _ in range(times)]


def verdicts(stack: Stack, client: str, number: int) -> list[str]:
    """Of a client's requests, which are so many, sorted: HAProxy's threads write their lines in either order."""
    wait_until(lambda: len(lines_of(stack, client)) == number, "HAProxy has written its log")
    return sorted(line["verdict"] for line in lines_of(stack, client))


def lines_of(stack: Stack, client: str) -> list[dict[str, Any]]:
    return [line for line in lines(stack) if line["client"] == client]


def lines_to(stack: Stack, hosts: set[str]) -> list[dict[str, Any]]:
    return [line for line in lines(stack) if line["host"] in hosts]


def lines(stack: Stack) -> list[dict[str, Any]]:
    text = (stack.folder / "access.json").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


def in_progress(stack: Stack, table: str, key: str) -> int:
    match = re.search(rf"key={re.escape(key)} .*conn_cur=(\d+)", stack.command(f"@1 show table {table}"))
    return int(match[1]) if match else 0


def test_so_many_requests_pass_and_no_more(stack: Stack, server: Origin) -> None:
    client, reached = "203.0.113.1", len(server.received)

    assert statuses(stack, client, "block.test", MOST) == [200] * MOST
    refused = ask(stack, client, "block2.test", ATTACK)  # To another virtual host of the policy.

    assert (refused.status, refused.headers["retry-after"]) == (429, str(LONG + LONG // MOST))
    assert b"Too many requests" in refused.body
    assert len(server.received) == reached + MOST
    assert verdicts(stack, client, MOST + 1) == ["-"] * MOST + ["limited"]
    assert statuses(stack, "203.0.113.2", "block.test", 1) == [200]  # Somebody else.
    assert statuses(stack, client, "few.test", 1) == [200]  # Another policy.


def with_header(stack: Stack, client: str, host: str, **headers: str) -> int:
    sent = request(client, host, "/", b"", **headers)
    with connected(stack, sent) as connection:
        return stack.answer(connection, sent).status


def test_neighbors_count_together_where_the_policy_counts_networks(stack: Stack) -> None:
    passed = [statuses(stack, f"203.0.114.{number}", "network.test", 1) for number in (1, 2)]
    assert passed == [[200], [200]]
    assert statuses(stack, "203.0.114.250", "network.test", 1) == [429]
    assert statuses(stack, "203.0.115.1", "network.test", 1) == [200]
    assert statuses(stack, "2001:db8:0:17::1", "network.test", 2) == [200, 200]
    assert statuses(stack, "2001:db8:0:ff::2", "network.test", 1) == [429]
    assert statuses(stack, "2001:db8:0:100::2", "network.test", 1) == [200]


SPELLINGS = ["/Login", "//login/", "/%6cogin;a?b", "/login%2F?c", "/login./", "/%4COGIN", "/./login"]
"Of /login, as servers might read them."

ODD = ["/a/../login", "/login:$i30:$x", "/%zz", "/%c0%afx"]
"Read in too many ways: they count as one. The WAF rejects some."


def test_each_path_counts_by_itself_however_it_is_written(stack: Stack) -> None:
    client, other = "203.0.116.1", "203.0.116.2"
    passed = [ask(stack, client, "path.test", path).status for path in ("/login", "/login/", "/login2", "/login2/x")]
    assert passed == [200] * 4
    assert {path: ask(stack, client, "path.test", path).status for path in SPELLINGS} == dict.fromkeys(SPELLINGS, 429)
    assert [ask(stack, client, "path.test", path).status for path in ("/login2", "/login2")] == [200, 429]
    assert [ask(stack, client, "path.test", path).status == 429 for path in ODD] == [False, False, True, True]
    elsewhere = [(other, "path.test", "/login"), (client, "path2.test", "/login"), (client, "path.test", "/")]
    assert [ask(stack, *place).status for place in elsewhere] == [200] * 3


@pytest.mark.parametrize(
    ("host", "header", "first", "second"),
    [
        ("key.test", "X-API-Key", "k'1\"%[src]", "k2"),
        ("cookie.test", "Cookie", "a=1; session_id=one; b=2", "session_id=two"),
    ],
)
def test_what_clients_send_counts_wherever_it_comes_from(
    stack: Stack, host: str, header: str, first: str, second: str
) -> None:
    sent = [with_header(stack, f"198.18.0.{number}", host, **{header: first}) for number in (1, 2, 3)]
    assert sent == [200, 200, 429]
    assert with_header(stack, "198.18.0.3", host, **{header: second}) == 200
    assert statuses(stack, "198.18.0.1", host, 3) == [200, 200, 429]  # Without it, by the address.
    assert with_header(stack, "198.18.0.1", host, **{header: second}) == 200


@pytest.mark.parametrize(
    ("client", "host", "sent"),
    [
        ("198.18.1.1", "key.test", "X-API-Key: mine\r\nX-API-Key: other{}\r\n"),
        ("198.18.1.2", "key.test", "X-API-Key: other{}\r\nX-API-Key: mine\r\n"),
        ("198.18.1.3", "cookie.test", "Cookie: session_id=mine; session_id=other{}\r\n"),
        ("198.18.1.4", "cookie.test", "Cookie: session_id=other{}\r\nCookie: session_id=mine\r\n"),
    ],
)
def test_of_several_none_hides_another_from_the_count(stack: Stack, client: str, host: str, sent: str) -> None:
    """A server may read the first where HAProxy reads the last."""
    statuses = []
    for number in range(3):
        whole = request(client, host).removesuffix(b"\r\n") + sent.format(number).encode() + b"\r\n"
        with connected(stack, whole) as connection:
            statuses.append(stack.answer(connection, whole).status)
    assert statuses == [200, 200, 429]


def test_so_many_errors_of_servers_and_no_more(stack: Stack) -> None:
    client = "203.0.113.11"
    asked_for = ["/404", ATTACK, "/500", "/401", "/", "/404", "/"]
    answers = [ask(stack, client, "errors.test", path) for path in asked_for]
    assert [answer.status for answer in answers] == [404, 403, 500, 401, 200, 404, 429]
    assert answers[-1].headers["retry-after"] == str(2 * LONG)
    assert ask(stack, "203.0.113.12", "errors.test").status == 200


def test_so_much_data_and_no_more(stack: Stack) -> None:
    client = "203.0.113.13"
    assert [ask(stack, client, "data.test", "/part").status for _ in range(2)] == [200, 200]
    wait_until(lambda: ask(stack, client, "data.test").status == 429, "HAProxy has counted the second one")
    assert ask(stack, client, "data.test").headers["retry-after"] == str(2 * LONG)
    assert ask(stack, "203.0.113.14", "data.test").status == 200


@pytest.mark.one_haproxy
def test_downloads_in_progress_count(stack: Stack) -> None:
    client = "203.0.113.15"
    assert ask(stack, client, "data.test", "/part").status == 200
    with connected(stack, request(client, "data.test", "/long")) as connection:
        received = 0
        while received < PART:
            received += len(connection.recv(65536))
        wait_until(lambda: ask(stack, client, "data.test").status == 429, "what came of it counts")


def test_what_is_over_a_limit_waits_for_room(stack: Stack) -> None:
    """However long it takes on a busy machine: each of them passes in the end, and others don't wait."""
    client = "203.0.113.16"
    before = time.monotonic()
    with contextlib.ExitStack() as stays:
        sent = request(client, "delay.test")
        waiting = [stays.enter_context(connected(stack, sent)) for _ in range(2 * WAITING)]
        assert ask(stack, "203.0.113.17", "delay.test").status == 200
        assert [stack.answer(connection, sent).status for connection in waiting] == [200] * 2 * WAITING
    assert time.monotonic() - before >= 1
    assert verdicts(stack, client, 2 * WAITING) == ["-"] * 2 * WAITING


def test_waits_end(stack: Stack) -> None:
    client = "203.0.113.18"
    assert ask(stack, client, "briefly.test").status == 200
    before = time.monotonic()
    rejected = ask(stack, client, "briefly.test")
    assert (rejected.status, rejected.headers["retry-after"]) == (429, str(2 * LONG))
    assert time.monotonic() - before >= 1
    assert ask(stack, client, "briefly.test", body=b"\0" * LARGE).status == 429  # Without a wait: it takes memory.
    assert verdicts(stack, client, 3) == ["-", "limited", "limited"]


def test_whoever_leaves_during_a_wait_gives_the_place_back_and_is_not_rejected(stack: Stack) -> None:
    """Streams of HTTP/2 that are reset: as many as the thread of their connection has places."""
    me, host = "127.0.0.1", "leave2.test"
    share = math.ceil(PLACES / int(stack.command("@1 show info").split("Nbthread: ")[1].split()[0]))

    def are_held(number: int) -> None:
        wait_until(lambda: in_progress(stack, "by_client", f"::ffff:{me}") == number, f"{number} wait")

    with H2(stack.tls_address, host) as client:
        assert client.get(host, "/").status == 200
        are_held(0)
        numbers = [client.begin(pseudo(authority=host), end=True) for _ in range(share)]
        are_held(share)
        for number in numbers:
            client.wire.reset_stream(number)
        client.flush()
        are_held(0)
        waiting = client.begin(pseudo(authority=host), end=True)
        assert client.get("unlimited2.test", "/").status == 200
        assert not client.streams[waiting].is_over
        hosts = {host, "unlimited2.test"}
        wait_until(lambda: len(lines_to(stack, hosts)) == share + 2, "HAProxy has written its log")
        assert Counter(line["verdict"] for line in lines_to(stack, hosts)) == {"-": 2, "aborted": share}


@pytest.mark.parametrize("host", ["unlimited.test", "off.test"])
def test_without_limits_nothing_is_counted(stack: Stack, host: str) -> None:
    assert statuses(stack, "203.0.113.3", host, MOST + 2) == [200] * (MOST + 2)


def test_who_is_on_an_allow_list_and_the_panel_have_no_limits(stack: Stack) -> None:
    assert statuses(stack, "198.51.100.7", "block.test", MOST + 2) == [200] * (MOST + 2)
    assert [stack.get("block.test", "/").status for _ in range(MOST + 2)] == [200] * (MOST + 2)


def test_a_network_of_ipv6_is_one_client(stack: Stack) -> None:
    clients = ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:1::3", "2001:db8:0:1::4"]

    assert [ask(stack, client, "block.test").status for client in clients] == [200] * MOST
    assert ask(stack, "2001:db8:0:1::5", "block.test").status == 429
    assert ask(stack, "2001:db8:0:2::5", "block.test").status == 200


def test_a_policy_that_only_detects_lets_pass_and_says_so(stack: Stack) -> None:
    client = "203.0.113.4"

    assert statuses(stack, client, "watch.test", 3) == [200] * 3

    assert verdicts(stack, client, 3) == ["-", "limited_passed", "limited_passed"]


def test_rejected_requests_do_not_count_so_that_there_is_room_again(stack: Stack) -> None:
    """However busy the machine is: the client never pauses."""
    wait_until(lambda: ask(stack, "203.0.113.5", "slides.test").status == 429, "a second one in 2 s")

    wait_until(lambda: ask(stack, "203.0.113.5", "slides.test").status == 200, "it is served again")


def test_so_many_requests_at_once_and_no_more(stack: Stack) -> None:
    client, key = "203.0.113.6", "4:203.0.113.6"
    with contextlib.ExitStack() as open_ones:
        held = [open_ones.enter_context(connected(stack, request(client, "few.test", "/hold"))) for _ in range(AT_ONCE)]
        wait_until(lambda: in_progress(stack, f"requests_per_{LONG}", key) == AT_ONCE, "both are in progress")

        refused = ask(stack, client, "few.test")
        assert (refused.status, refused.headers["retry-after"]) == (429, "5")
        assert ask(stack, "203.0.113.7", "few.test").status == 200

        held[0].close()
        wait_until(lambda: ask(stack, client, "few.test").status == 200, "there is room for one")


def test_large_bodies_count_as_any_request(stack: Stack) -> None:
    """2.6 has too few counters for everything that it counts of these."""
    client, body = "203.0.113.8", b"\0" * LARGE

    assert statuses(stack, client, "large.test", 3, body) == [200, 200, 429]
    assert statuses(stack, client, "large.test", 1) == [429]


def test_a_reload_forgets_nothing(stack: Stack, server: Origin) -> None:
    client = "203.0.113.9"
    wait_until(lambda: up_for(stack) >= COLD_SECONDS, "the first worker passes on what it counted")
    assert statuses(stack, client, "block.test", MOST - 1) == [200] * (MOST - 1)
    assert [ask(stack, client, "errors.test", "/404").status for _ in range(3)] == [404] * 3

    stack.reload(state(server))
    wait_until(lambda: f"key=1:{client} " in stack.command(f"@1 show table requests_per_{LONG}"), "it is passed on")

    assert statuses(stack, client, "block.test", 3) == [200, 429, 429]
    assert statuses(stack, client, "errors.test", 1) == [429]


def test_few_requests_wait(stack: Stack) -> None:
    """Of a client, and of all: others are rejected without a wait."""
    first, *others = [f"198.18.2.{number}" for number in range(1, 12 + len(os.sched_getaffinity(0)))]
    with contextlib.ExitStack() as stays:
        for client in (first, *others):
            assert ask(stack, client, "queue.test").status == 200
        waiting = [stays.enter_context(connected(stack, request(first, "queue.test"))) for _ in range(2 * WAITING)]
        wait_until(lambda: in_progress(stack, "by_client", f"::ffff:{first}") == 2 * WAITING, "all of them wait")
        assert ask(stack, first, "queue.test").status == 429
        waiting += [stays.enter_context(connected(stack, request(client, "queue.test"))) for client in others * 2]
        too_many = len(waiting) - PLACES - len(os.sched_getaffinity(0))
        wait_until(lambda: len(select.select(waiting, [], [], 0)[0]) >= too_many, "there is no place for them")
        assert not select.select(waiting[: 2 * WAITING], [], [], 0)[0]


def up_for(stack: Stack) -> int:
    """Seconds."""
    return int(stack.command("@1 show info").split("Uptime_sec: ")[1].split()[0])


def test_what_passes_without_a_verdict_is_counted_and_limited(stack: Stack) -> None:
    stack.stop_agent()
    stack.wait_for_server("waf_agent", "agent", "DOWN")
    before = stack.uninspected(OPEN)

    assert statuses(stack, "203.0.113.10", "open.test", 3) == [200, 200, 429]

    assert stack.uninspected(OPEN) == before + 2
