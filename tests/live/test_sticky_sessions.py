"""Sticky sessions: a visitor stays with one server over all that happens to the others."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from guardpanel.rendering import Rows
from tests.live.origins import Origin, origin
from tests.live.over_h2 import OverH2
from tests.live.stack import Stack
from tests.live.wire import Response
from tests.rows import rows

STICKY = {"sticky_sessions": "cookie", "sticky_cookie": "app"}
CHECK = {"health_check": True, "health_check_interval": 1, "health_check_rise": 1}
"A server is DOWN after three failed checks: a single one takes longer than its second by chance, on a machine that stalls."


@pytest.fixture(scope="module")
def three() -> Iterator[list[Origin]]:
    with ExitStack() as running:
        yield [running.enter_context(origin()) for _ in range(3)]


def given(servers: list[Origin], **of_servers: dict[str, Any]) -> Rows:
    """`of_servers`: further fields of a server, by its place (`s0`)."""
    listed = [{"address": server.address, **of_servers.get(f"s{at}", {})} for at, server in enumerate(servers)]
    hosts = {
        "sticky.test": {**STICKY, **CHECK, "servers": listed},
        "tls.test": {**STICKY, "https": True, "sticky_same_site": "none", "servers": listed, "health_check": False},
        "plain.test": {"servers": listed, "health_check": False},
    }
    return rows(
        {"Block": {"enforcement_mode": "block"}}, {name: {"policy": "Block", **host} for name, host in hosts.items()}
    )


@pytest.fixture(scope="module")
def stack(haproxy: str, three: list[Origin]) -> Iterator[Stack]:
    with Stack(haproxy, given(three[:2])) as running:
        running.again(given(three[:2]))
        yield running


def cookie_of(answer: Response) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


def visit(stack: Stack, host: str, cookie: str) -> Response:
    return stack.get(host, "/", {"cookie": f"theirs=1; {cookie}"})


def visitors(stack: Stack) -> dict[int, str]:
    """A cookie for each of two servers."""
    first = [stack.get("sticky.test", "/") for _ in range(4)]
    cookies = {answer.seen["port"]: cookie_of(answer) for answer in first}
    assert len(cookies) == 2
    return cookies


def assert_they_stay(stack: Stack, cookies: dict[int, str]) -> None:
    for port, cookie in cookies.items():
        for _ in range(3):
            answer = visit(stack, "sticky.test", cookie)
            assert (answer.seen["port"], answer.headers.get("set-cookie")) == (port, None)


def test_a_visitor_stays_with_a_server_and_servers_see_no_cookie_of_it(stack: Stack) -> None:
    answer = stack.get("sticky.test", "/")
    name, _, rest = answer.headers["set-cookie"].partition("=")
    value, *attributes = (part.strip().lower() for part in rest.split(";"))

    assert (name, set(attributes)) == ("app", {"path=/", "httponly", "samesite=lax"})
    assert "127.0.0.1" not in value and str(answer.seen["port"]) not in value
    assert visit(stack, "sticky.test", f"app={value}").seen_headers["cookie"] == "theirs=1"
    assert "set-cookie" not in stack.get("plain.test", "/").headers
    assert_they_stay(stack, visitors(stack))


def test_no_cache_keeps_a_response_that_sets_it(stack: Stack, three: list[Origin]) -> None:
    cacheable = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    for server in three:
        server.answers["/cached"] = [cacheable]

    assert stack.get("sticky.test", "/cached").headers["cache-control"].endswith("private")
    assert "private" not in stack.get("plain.test", "/cached").headers["cache-control"]


def test_it_is_for_https_where_the_virtual_host_has_it(stack: Stack) -> None:
    attributes = OverH2.of(stack).get("tls.test", "/").headers["set-cookie"].lower().replace(" ", "").split(";")[1:]

    assert set(attributes) == {"path=/", "httponly", "secure", "samesite=none"}


def test_one_that_was_made_up_gets_a_server_and_a_new_one(stack: Stack) -> None:
    for value in ("", "0123456789abcdef", "s1", "127.0.0.1:80", "a" * 5000):
        answer = visit(stack, "sticky.test", f"app={value}")
        assert answer.status == 200
        assert cookie_of(answer) != f"app={value}"


def test_it_is_good_after_a_reload_with_others_before_it_and_after_a_restart(stack: Stack, three: list[Origin]) -> None:
    cookies = visitors(stack)

    stack.reload(given([three[2], three[1], three[0]]))
    assert_they_stay(stack, cookies)

    stack.restart()
    assert_they_stay(stack, cookies)
    stack.reload(given(three[:2]))


def test_a_server_that_drains_keeps_its_visitors_and_one_that_is_down_does_not(
    stack: Stack, three: list[Origin]
) -> None:
    cookies = visitors(stack)
    drained, other = three[0], three[1]

    stack.reload(given(three[:2], s0={"draining": True}))
    assert_they_stay(stack, cookies)
    assert {stack.get("sticky.test", "/").seen["port"] for _ in range(4)} == {other.port}

    stack.reload(given(three[:2], s0={"enabled": False}))
    answer = visit(stack, "sticky.test", cookies[drained.port])
    assert (answer.seen["port"], cookie_of(answer)) == (other.port, cookies[other.port])

    stack.reload(given(three[:2]))
    drained.status = 503
    stack.wait_for_server("be_1", "s1", "DOWN")
    answer = visit(stack, "sticky.test", cookies[drained.port])
    assert (answer.seen["port"], cookie_of(answer)) == (other.port, cookies[other.port])
    drained.status = 200
    stack.wait_for_server("be_1", "s1", "UP")
    assert_they_stay(stack, cookies)
