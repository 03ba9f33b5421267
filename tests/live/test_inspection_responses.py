"""What a server must not say, where a policy asks to look at answers."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.wire import head
from tests.rows import SECRET, rows

LEAKS = {
    "/sql": b"<p>You have an error in your SQL syntax; check the manual for your MySQL server version</p>",
    "/php": b"<?php $password = 'secret'; mysql_connect('localhost', 'root', $password); ?>",
    "/path": b"Fatal error: require(): Failed opening required in C:\\inetpub\\wwwroot\\index.asp",
}
HARMLESS = b"<p>Welcome to the shop.</p>"


def answer(body: bytes, kind: str = "text/html") -> bytes:
    lines = [
        "HTTP/1.1 200 OK",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    for path, body in LEAKS.items():
        server.answers[path] = [answer(body) + body]
        server.answers[path + "/late"] = [answer(body), 0.02, body]
        chunk = b"%x\r\n%b\r\n" % (len(body), body)
        server.answers[path + "/chunked"] = [
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html;charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n",
            0.02,
            chunk,
            0.02,
            b"0\r\n\r\n",
        ]
    server.answers["/harmless"] = [answer(HARMLESS), 0.02, HARMLESS]
    server.answers["/not-modified"] = [b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"]
    piece = b"<p>piece</p>\n"
    for path, first, last in (
        ("/page", piece, piece),
        ("/leaks-first", LEAKS["/sql"], piece),
        ("/leaks-last", piece, LEAKS["/sql"]),
    ):
        head_lines = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
        pieces = [first, *[piece] * 5, last]
        server.answers[path] = [
            head_lines, *(part for piece in pieces for part in (b"%x\r\n%b\r\n" % (len(piece), piece), 0.3)), b"0\r\n\r\n"
        ]  # fmt: skip
        server.answers[path + "/thought-about"] = [0.2, *server.answers[path]]
        server.answers[path + "/thought-about-long"] = [2.0, *server.answers[path]]
    big = b"<p>" + b"word " * 100_000
    server.answers["/big"] = [answer(big) + big]
    server.answers["/big-leak"] = [answer(LEAKS["/sql"] + big) + LEAKS["/sql"] + big]
    binary = b"\0" * 300_000
    server.answers["/binary"] = [answer(binary, "image/png") + binary]
    common: dict[str, Any] = {"servers": [{"address": server.address}], "health_check": False, "https": True}
    policies: dict[str, dict[str, Any]] = {
        "Read": {"enforcement_mode": "block", "response_inspection": True},
        "Watch": {"enforcement_mode": "detect_only", "response_inspection": True},
        "Deaf": {"enforcement_mode": "block"},
        "Streams": {"enforcement_mode": "block", "response_inspection": True, "response_seconds": 1},
        "Holds": {
            "enforcement_mode": "block",
            "response_inspection": True,
            "response_seconds": 1,
            "streamed_responses": "hold_back",
        },
        "HoldsOpen": {
            "enforcement_mode": "detect_only",
            "response_inspection": True,
            "response_seconds": 1,
            "streamed_responses": "hold_back",
        },
    }
    hosts = {f"{name.lower()}.test": {**common, "policy": name} for name in policies}
    with Stack(haproxy, rows(policies, hosts)) as running:
        yield running


def at_once(stack: Stack, host: str, *paths: str) -> list[int]:
    """The status of each: what waits for its server waits beside the others."""
    with ThreadPoolExecutor(len(paths)) as pool:
        return [answer.status for answer in pool.map(lambda path: stack.get(host, path), paths)]


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("way", ["", "/late", "/chunked"])
def test_a_leak_is_stopped_where_the_policy_asks(channel: Stack, leak: str, way: str) -> None:
    stopped = channel.get("read.test", leak + way)

    assert stopped.status == 403
    assert stopped.verdict["verdict"] == "blocked"
    assert stopped.verdict["rule"] == "959100"
    assert LEAKS[leak] not in stopped.body
    assert stopped.verdict["request-id"] in stopped.text


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_passes_elsewhere(stack: Stack, leak: str) -> None:
    watched, unread = stack.get("watch.test", leak + "/late"), stack.get("deaf.test", leak + "/late")

    assert (watched.status, watched.body) == (200, LEAKS[leak])
    assert any(rule.startswith("95") for rule in watched.verdict["rules"].split(","))
    assert (unread.status, unread.body) == (200, LEAKS[leak])
    assert unread.verdict["rules"] == ""


@pytest.mark.parametrize("host", ["read.test", "watch.test"])
def test_harmless_answers_pass_unchanged(channel: Stack, host: str) -> None:
    passed = channel.get(host, "/harmless")

    assert (passed.status, passed.body, passed.verdict["error"]) == (200, HARMLESS, "")
    assert channel.get(host, "/not-modified").status == 304
    assert channel.request("HEAD", host, "/elsewhere").status == 200
    assert channel.get(host, "/elsewhere").seen["method"] == "GET"


def test_an_attack_in_the_request_is_stopped_before_the_server(stack: Stack, server: Origin) -> None:
    before = len(server.received)

    assert stack.get("read.test", "/?q=1%27%20OR%20%271%27%3D%271").verdict["rule"] == "949110"
    assert len(server.received) == before


def test_an_answer_larger_than_the_limit_passes_and_its_beginning_is_read(stack: Stack) -> None:
    passed = stack.get("read.test", "/big")

    assert (passed.status, len(passed.body)) == (200, 500_003)
    assert stack.get("read.test", "/big-leak").status == 403


def test_a_picture_is_neither_waited_for_nor_changed(stack: Stack) -> None:
    passed = stack.get("read.test", "/binary")

    assert (passed.status, len(passed.body), passed.verdict["error"]) == (200, 300_000, "")


def test_a_stream_of_events_is_not_held_back(stack: Stack, server: Origin) -> None:
    """The first event arrives before the server sends the second."""
    has_arrived = threading.Event()
    stream = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    server.answers["/stream"] = [stream, b"data: one\n\n", has_arrived, b"data: two\n\n"]
    with stack.connect() as connection:
        connection.sendall(head("GET", "read.test", "/stream", {"x-gp-test": SECRET}))
        first = b""
        while b"data: one" not in first:
            first += connection.recv(65536)
        has_arrived.set()

    assert b"data: two" not in first


def test_a_visitor_cannot_hide_a_leak_by_asking_for_compression(stack: Stack, server: Origin) -> None:
    headers = {"accept-encoding": "gzip, br"}

    assert "accept-encoding" not in stack.get("read.test", "/x", headers).seen_headers
    assert stack.get("deaf.test", "/x", headers).seen_headers["accept-encoding"] == "gzip, br"


def test_the_log_has_the_verdict_of_the_answer(stack: Stack) -> None:
    line = stack.logged(stack.get("read.test", "/sql"))

    assert (line["status"], line["verdict"], line["rule"]) == (403, "blocked", "959100")


@pytest.mark.parametrize("host", ["streams.test", "holdsopen.test", "read.test"])
def test_a_page_that_takes_longer_than_its_time_streams_on(stack: Stack, host: str) -> None:
    """Never 504: it takes 2 s, of which it may be held back one, or five."""
    answer = stack.get(host, "/page")

    assert (answer.status, answer.body.count(b"piece")) == (200, 7)
    assert answer.verdict["rules"] == ""
    whole = host == ("read.test" if stack.facts.holds_responses else "holdsopen.test")
    assert answer.verdict["partial"] == ("" if whole else "response")
    assert answer.verdict["verdict"] == ("unjudged" if host == "holdsopen.test" and not whole else "")


def test_what_came_of_a_streamed_page_is_judged(stack: Stack) -> None:
    assert stack.get("streams.test", "/leaks-first").status == 403
    assert stack.get("streams.test", "/leaks-last").status == 200


def test_a_page_that_is_held_back_until_it_is_complete_passes_only_when_judged(stack: Stack) -> None:
    """2.6 waits for its end; later ones until the policy's time is over, and then it counts as not judged."""
    answers = at_once(stack, "holds.test", "/page", "/leaks-first", "/leaks-last")

    assert answers == ([503, 403, 503] if stack.facts.holds_responses else [200, 403, 403])


def test_a_server_that_takes_its_time_before_its_headers_does_not_end_the_holding_back(stack: Stack) -> None:
    """HAProxy's time begins when it asks the server; where it is over before the headers come, the whole page is waited for."""
    soon = at_once(stack, "holds.test", "/leaks-first/thought-about", "/leaks-last/thought-about")
    late = at_once(stack, "holds.test", "/page/thought-about-long", "/leaks-last/thought-about-long")

    assert soon == ([403, 503] if stack.facts.holds_responses else [403, 403])
    assert late == [200, 403]
    assert stack.get("streams.test", "/page/thought-about").verdict["partial"] == "response"
