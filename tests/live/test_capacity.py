"""No more at a time than there is memory for: who is one too many is told so, and the panel always gets in."""

import contextlib
import fcntl
import random
import socket
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.origins import Origin
from tests.live.stack import DEADLINE, Stack, wait_until
from tests.live.test_h2 import pseudo
from tests.live.tls import H2
from tests.live.wire import Part, Response, head
from tests.rows import rows

CONNECTIONS, PER_CLIENT, BODIES, BODIES_PER_CLIENT = 20, 6, 8, 4
"The last two follow from 256 MiB of memory and bodies of 4 MiB."

MIB = 1024 * 1024
LENGTH = 256 * 1024
"Of a large body."

PROXY = "127.0.2.1"


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    host = {"servers": [{"address": server.address}], "health_check": False}
    policy = {"body_limit_kib": 4096, "allowed_content_types": ["application/octet-stream"]}
    state = rows(
        {
            "Block": {**policy, "enforcement_mode": "block"},
            "Detect": {**policy, "enforcement_mode": "detect_only"},
            "Begin": {**policy, "enforcement_mode": "block", "over_limit": "inspect_beginning"},
        },
        {
            "block.test": {**host, "policy": "Block"},
            "detect.test": {**host, "policy": "Detect"},
            "begin.test": {**host, "policy": "Begin"},
            "plain.test": host,
            "gzip.test": {**host, "compression": True},
        },
        {
            "max_connections": CONNECTIONS,
            "max_requests_per_client": PER_CLIENT,
            "client_ip_source": "x_forwarded_for",
            "trusted_networks": [PROXY],
        },
    )
    slowly: list[Part] = [b"x", 0.2] * 600
    chunked, piece = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n%b\r\n" % (b"x" * 65536)
    server.answers["/big"] = [chunked, *[piece] * 512]
    server.answers["/large"] = [chunked, *[piece] * 8, b"0\r\n\r\n"]
    server.answers["/page"] = [chunked + piece + b"0\r\n\r\n"]
    server.answers["/unframed"] = [b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 65536]
    sized = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: 33554432\r\n\r\n"
    parts = [random.Random(1).randbytes(65_536)] * 512
    server.answers["/big.css"] = [sized % b"text/css", *parts]
    server.answers["/big.png"] = [sized % b"image/png", *parts]
    server.answers["/hold"] = [b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n", *slowly]
    with Stack(haproxy, state, memory_mib=256) as running:
        yield running


def visitor(stack: Stack, number: int, sent: bytes = b"") -> socket.socket:
    """From an address of its own."""
    return connected(stack, f"127.0.1.{number}", sent)


def connected(stack: Stack, peer: str, sent: bytes) -> socket.socket:
    connection = socket.socket()
    connection.settimeout(DEADLINE)
    connection.bind((peer, 0))
    connection.connect(stack.address)
    connection.sendall(sent)
    return connection


@contextlib.contextmanager
def visitors(connections: Iterator[socket.socket]) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connection) for connection in connections]


def answer_to(stack: Stack, number: int, host: str, target: str = "/", body: bytes = b"") -> Response:
    """By a visitor who has no secret."""
    headers = {"user-agent": "Mozilla/5.0", "accept": "*/*"}
    if body:
        headers |= {"content-type": "application/octet-stream", "content-length": str(len(body))}
    request = head("POST" if body else "GET", host, target, headers)
    with visitor(stack, number, request) as connection:
        with contextlib.suppress(ConnectionError):  # answered before the end
            connection.sendall(body)
        return stack.answer(connection, request)


def upload(host: str, length: int = LENGTH, **more: str) -> bytes:
    """The first half of it; of a long one less."""
    sent = {"content-type": "application/octet-stream", "content-length": str(length), **more}
    came = b"x" * min(length // 2, LENGTH)
    return head("POST", host, "/", {"user-agent": "Mozilla/5.0", "accept": "*/*", **sent}) + came


def entry(stack: Stack, table: str, key: str) -> int:
    """How many of its requests are in progress."""
    for line in stack.command(f"@1 show table {table}").splitlines():
        if f"key={key} " in line:
            return int(line.rsplit("conn_cur=", 1)[1].split()[0])
    return 0


def verdicts(stack: Stack) -> set[str]:
    return {line["verdict"] for line in stack.access_log()}


def test_visitors_are_served_while_large_answers_stall(stack: Stack) -> None:
    """They fill buffers as large as the largest inspected body: as many as there is memory for, and no page waits for them."""
    request = head("GET", "plain.test", "/big", {"user-agent": "Mozilla/5.0", "accept": "*/*"})
    with visitors(visitor(stack, number + 1, request) for number in range(BODIES)):
        wait_until(lambda: entry(stack, "large_answers", "1") == BODIES, "as many as there is memory for")

        assert answer_to(stack, 99, "plain.test", "/big").status == 503
        assert answer_to(stack, 99, "plain.test", "/page").status == 200
        assert answer_to(stack, 99, "plain.test", "/unframed").body == b"x" * 65536
        assert answer_to(stack, 99, "plain.test").status == 200
        wait_until(lambda: "bodies" in verdicts(stack), "it is in the log")
    wait_until(lambda: entry(stack, "large_answers", "1") == 0, "they are gone")
    assert answer_to(stack, 99, "plain.test", "/page").status == 200


@pytest.mark.parametrize(("host", "judged"), [("plain.test", True), ("detect.test", False)], ids=["judged", "unjudged"])
def test_one_client_does_not_take_every_place_for_large_answers(stack: Stack, host: str, judged: bool) -> None:
    """Also where the WAF is away: what passes without a verdict takes the counter of its client's share on 2.6."""
    request = head("GET", host, "/big", {"user-agent": "Mozilla/5.0", "accept": "*/*"})
    with agent(stack, there=judged), visitors(visitor(stack, 40, request) for _ in range(BODIES_PER_CLIENT)):
        wait_until(lambda: entry(stack, "large_answers", "1") == BODIES_PER_CLIENT, "its share is taken")

        assert answer_to(stack, 40, host, "/large").status == 503
        assert answer_to(stack, 40, host, "/page").status == 200
        other = answer_to(stack, 41, host, "/large")
        assert (other.status, len(other.text)) == (200, 8 * 65536)
    wait_until(lambda: entry(stack, "large_answers", "1") == 0, "they are gone")
    assert answer_to(stack, 40, host, "/large").status == 200


def test_what_is_compressed_counts_among_large_answers(stack: Stack) -> None:
    """It cannot be spliced, however it is framed."""
    accepts = {"user-agent": "Mozilla/5.0", "accept": "*/*", "accept-encoding": "gzip"}
    asked = [("/big.png", accepts), ("/big.css", {**accepts, "accept-encoding": "br"}), ("/big.css", accepts)]
    requests = [head("GET", "gzip.test", path, headers) for path, headers in asked]
    with visitors(visitor(stack, 60, request) for request in requests) as connections:
        for connection in connections:
            assert connection.recv(1, socket.MSG_PEEK), "it has begun"
        assert entry(stack, "large_answers", "1") == 1
    wait_until(lambda: entry(stack, "large_answers", "1") == 0, "they are gone")


@contextlib.contextmanager
def agent(stack: Stack, there: bool) -> Iterator[None]:
    if there:
        yield
        return
    stack.stop_agent()
    stack.wait_for_server("waf_agent", "agent", "DOWN")
    try:
        yield
    finally:
        stack.start_agent()
        stack.wait_for_server("waf_agent", "agent", "UP")


def test_an_excess_connection_is_rejected_but_not_the_panels(stack: Stack) -> None:
    with visitors(visitor(stack, number + 1) for number in range(CONNECTIONS)) as idle:
        wait_until(lambda: answer_to(stack, 99, "plain.test").status == 503, "visitors have all connections")
        refused = answer_to(stack, 99, "plain.test")

        assert refused.headers["retry-after"] == "5"
        assert refused.headers["connection"] == "close"
        assert "Too many requests" in refused.text
        assert stack.get("plain.test", "/").status == 200, "the panel's test"
        assert stack.get("plain.test", "/", {"x-gp-probe": stack.facts.secret}).verdict["checksum"]
        assert stack.probe().verdict["checksum"] == stack.bundle.checksum
        wait_until(lambda: "crowded" in verdicts(stack), "it is in the log")

        idle.pop().close()
        wait_until(lambda: answer_to(stack, 99, "plain.test").status == 200, "who waited gets in")


def test_one_client_has_no_more_requests_in_progress_than_it_may(stack: Stack) -> None:
    hold = head("GET", "plain.test", "/hold", {})
    with visitors(visitor(stack, 50, hold) for _ in range(PER_CLIENT)):
        wait_until(lambda: entry(stack, "by_client", "::ffff:127.0.1.50") == PER_CLIENT, "all are in progress")

        refused = answer_to(stack, 50, "plain.test")

        assert (refused.status, refused.headers["retry-after"]) == (429, "5")
        assert answer_to(stack, 51, "plain.test").status == 200, "somebody else"
        wait_until(lambda: "greedy" in verdicts(stack), "it is in the log")
    wait_until(lambda: answer_to(stack, 50, "plain.test").status == 200, "the client gets in again")


@pytest.mark.parametrize(("host", "length"), [("detect.test", 4000), ("begin.test", 5 * MIB)])
def test_a_body_that_may_pass_counts_among_the_requests_of_its_client_while_it_comes(
    stack: Stack, host: str, length: int
) -> None:
    """Thirty that stalled were held for one client who may have twenty. Who is behind a proxy is counted, not the proxy."""
    others = [upload(host, length, **{"x-forwarded-for": f"192.0.2.{number}"}) for number in range(BODIES_PER_CLIENT)]
    mine = upload(host, 4000, **{"x-forwarded-for": "203.0.113.9"})
    with visitors(connected(stack, PROXY, sent) for sent in [*others, *[mine] * PER_CLIENT]) as held:
        wait_until(lambda: entry(stack, "by_client", "::ffff:203.0.113.9") == PER_CLIENT, "all are waited for")

        with connected(stack, PROXY, mine) as one_more:
            refused = stack.answer(one_more, mine)
        with visitor(stack, 98, mine + b"x" * 2000) as forged:
            assert stack.answer(forged, mine).status == 200, "somebody else says that he is the client"
        held[-1].sendall(b"x" * 2000)
        admitted = stack.answer(held[-1], mine)

    assert (refused.status, refused.headers["retry-after"]) == (429, "5")
    assert (admitted.status, admitted.seen["length"]) == (200, 4000)
    wait_until(lambda: ("greedy", "203.0.113.9") in verdicts_by_client(stack), "it is in the log")
    wait_until(lambda: not entry(stack, "by_client", "::ffff:203.0.113.9"), "all are over")
    wait_until(lambda: not entry(stack, "large_bodies", "3"), "all places are free")


def verdicts_by_client(stack: Stack) -> set[tuple[str, str]]:
    return {(line["verdict"], line["client"]) for line in stack.access_log()}


def test_so_many_large_bodies_are_inspected_at_a_time(stack: Stack) -> None:
    """One more is refused while blocking, and passes marked where the policy fails open; small ones are as ever."""
    large, small = b"x" * LENGTH, b"x" * 1000
    with visitors(visitor(stack, 60 + number, upload("block.test")) for number in range(BODIES)):
        wait_until(lambda: entry(stack, "large_bodies", "1") == BODIES, "all slots are taken")
        before = stack.uninspected(2)

        assert answer_to(stack, 80, "block.test", body=large).status == 503
        passed = answer_to(stack, 81, "detect.test", body=large)
        assert (passed.status, passed.seen["length"]) == (200, LENGTH)
        assert passed.seen_headers["x-waf-error"] == "not-inspected"
        assert stack.uninspected(2) == before + 1
        assert answer_to(stack, 82, "block.test", body=small).status == 200
        wait_until(lambda: "bodies" in verdicts(stack), "it is in the log")
    wait_until(lambda: answer_to(stack, 83, "block.test", body=large).status == 200, "the slots are free again")


def test_a_large_body_that_may_pass_has_its_place_while_it_comes(stack: Stack, server: Origin) -> None:
    """Held without one, those of a policy that only detects took what memory there was. One more is not held: it passes."""
    with visitors(visitor(stack, 60 + number, upload("detect.test")) for number in range(BODIES)):
        wait_until(lambda: entry(stack, "large_bodies", "2") == BODIES, "all slots are taken")
        before = len(server.begun)

        with visitor(stack, 80, upload("detect.test")):
            wait_until(lambda: len(server.begun) > before, "it is at the server before it is complete")
            assert stack.uninspected(2)
        assert answer_to(stack, 82, "detect.test", body=b"x" * 1000).status == 200
    wait_until(lambda: answer_to(stack, 83, "block.test", body=b"x" * LENGTH).status == 200, "the slots are free again")


def test_a_body_over_the_limit_has_its_place_while_its_beginning_comes(stack: Stack) -> None:
    """Their beginnings fill as much memory as bodies within the limit: all had any number of places."""
    with visitors(visitor(stack, 60 + number, upload("begin.test", 5 * MIB)) for number in range(BODIES)):
        wait_until(lambda: entry(stack, "large_bodies", "3") == BODIES, "all slots are taken")

        assert answer_to(stack, 80, "begin.test", body=b"x" * (5 * MIB)).status == 503
        assert answer_to(stack, 81, "block.test", body=b"x" * LENGTH).status == 503, "the slots are every policy's"
        assert answer_to(stack, 82, "begin.test", body=b"x" * 1000).status == 200
    wait_until(lambda: answer_to(stack, 83, "begin.test", body=b"x" * LENGTH).status == 200, "the slots are free again")


def test_one_client_does_not_take_every_place_for_large_bodies(stack: Stack) -> None:
    with visitors(visitor(stack, 70, upload("block.test")) for _ in range(BODIES_PER_CLIENT)):
        wait_until(lambda: entry(stack, "large_bodies", "1") == BODIES_PER_CLIENT, "its share is taken")

        assert answer_to(stack, 70, "block.test", body=b"x" * LENGTH).status == 503
        assert answer_to(stack, 70, "begin.test", body=b"x" * LENGTH).status == 503
        assert answer_to(stack, 71, "block.test", body=b"x" * LENGTH).status == 200


@pytest.mark.http3
def test_what_begins_together_in_one_connection_takes_no_more_than_its_share(haproxy: str, server: Origin) -> None:
    """HAProxy from 3.2 on gave others a turn after every 50 rules: all of them looked before the first one had its place."""
    host = {"servers": [{"address": server.address}], "health_check": False, "https": True, "policy": "Block"}
    policy = {"body_limit_kib": 4096, "enforcement_mode": "block"}
    fields = [("content-type", "application/octet-stream"), ("content-length", f"{LENGTH}"), ("user-agent", "a")]
    with (
        Stack(haproxy, rows({"Block": policy}, {"shop.test": host})) as stack,
        H2(stack.tls_address, "shop.test") as client,
    ):
        numbers = [client.begin([*pseudo(method="POST"), *fields], end=False) for _ in range(20)]
        while sum(client.streams[number].is_over for number in numbers) < 10:
            client.receive()

        assert {client.streams[number].headers.get(":status") for number in numbers} == {None, "503"}
        assert entry(stack, "large_bodies", "1") == 10


def test_what_else_a_client_has_in_progress_takes_nothing_of_its_share_of_large_bodies(stack: Stack) -> None:
    with visitors(visitor(stack, 75, head("GET", "plain.test", "/hold", {})) for _ in range(BODIES_PER_CLIENT)):
        wait_until(lambda: entry(stack, "by_client", "::ffff:127.0.1.75") == BODIES_PER_CLIENT, "all are in progress")

        assert answer_to(stack, 75, "block.test", body=b"x" * LENGTH).status == 200
        assert answer_to(stack, 75, "detect.test", body=b"x" * LENGTH).seen_headers.get("x-waf-error") is None


def test_a_large_body_that_has_a_place_and_no_verdict_is_counted(stack: Stack) -> None:
    before = stack.uninspected(2)
    with agent(stack, there=False):
        passed = answer_to(stack, 76, "detect.test", body=b"x" * LENGTH)
        assert answer_to(stack, 77, "detect.test", body=b"x" * 1000).status == 200

    assert passed.seen_headers["x-waf-error"] == "not-inspected"
    assert stack.uninspected(2) == before + 2


def test_a_stalled_download_does_not_fill_buffers_of_the_size_of_the_largest_body(stack: Stack, server: Origin) -> None:
    """Ten of them took 110 MiB on 2.6 and 2.8."""
    answer = b"x" * (24 * MIB)
    server.answers["/download"] = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer), answer]
    before = resident(stack)
    with visitors(
        visitor(stack, 90 + number, head("GET", "plain.test", "/download", {})) for number in range(10)
    ) as downloads:
        wait_until(lambda: are_stalled(stack, downloads), "all are stalled")

        assert resident(stack) - before < 60


def are_stalled(stack: Stack, downloads: list[socket.socket]) -> bool:
    """Each has got a part that nobody reads, and neither that nor HAProxy grows any more."""
    queues, before = [*map(unread, downloads)], resident(stack)
    time.sleep(0.5)
    return all(queues) and queues == [*map(unread, downloads)] and abs(resident(stack) - before) < 1


def unread(connection: socket.socket) -> int:
    """Bytes that wait in the kernel (FIONREAD, tcp(7))."""
    return int.from_bytes(fcntl.ioctl(connection, termios.FIONREAD, bytes(4)), sys.byteorder)


def resident(stack: Stack) -> float:
    """MiB of the worker."""
    lines = [line.split() for line in stack.command("show proc").splitlines()]
    pid = next(fields[0] for fields in lines if fields[1:2] == ["worker"])
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def test_haproxy_does_not_read_the_machines_authorities_at_each_check_and_reload(stack: Stack) -> None:
    """On 2.6 that took more than the rest of the configuration."""
    assert "@system-ca" not in stack.command("@1 show ssl ca-file")
