"""Bodies that stall, are late or end too soon, where a policy gives them as little time as there can be."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.live.bodies import ATTACK, KIB, LIMIT, chunk, form, head_of, hosts, ways, whole
from tests.live.origins import Origin
from tests.live.stack import Stack, wait_until
from tests.rows import rows

pytestmark = pytest.mark.pairwise


@pytest.fixture(scope="module")
def hurried(haproxy: str, server: Origin) -> Iterator[Stack]:
    """Policies with as little time for a body as there can be."""
    least = {"enforcement_mode": "block", "body_limit_kib": LIMIT // KIB, "upload_seconds": 1, "upload_rate_kib": 1024}
    policies = {
        "Refuse": least,
        "Watch": {**least, "enforcement_mode": "detect_only", "over_limit": "refuse"},
        "Begin": {**least, "over_limit": "inspect_beginning"},
        "Pass": {**least, "over_limit": "pass"},
    }
    with Stack(haproxy, rows(policies, hosts(server, *policies))) as running:
        yield running


def test_a_body_that_stalls_is_given_up_and_told(hurried: Stack, server: Origin) -> None:
    before = len(server.begun)

    answer = hurried.send(head_of("refuse.test", content_length="100"), b"the beginning")

    assert answer.status == 408
    assert len(server.begun) == before
    wait_until(lambda: [line["status"] for line in hurried.access_log() if line["verdict"] == "slow"] == [408], "told")


@ways
@pytest.mark.parametrize("host", ["watch.test", "begin.test", "pass.test"])
def test_a_body_that_is_late_passes_where_nothing_is_refused(
    hurried: Stack, server: Origin, host: str, way: str
) -> None:
    """The server gets all of it while the client waits for an answer to its beginning; and what came in time was judged."""
    body, before = form(3000), len(server.begun)
    framing = {"transfer_encoding": "chunked"} if way == "chunked" else {"content_length": str(len(body))}
    with hurried.connect() as connection:
        connection.sendall(head_of(host, **framing))
        connection.sendall(chunk(body[:1000]) if way == "chunked" else body[:1000])
        wait_until(lambda: len(server.begun) > before, "the server has the request")
        connection.sendall(chunk(body[1000:]) + b"0\r\n\r\n" if way == "chunked" else body[1000:])
        answer = hurried.answer(connection, b"POST ")

    assert whole(answer, body)
    assert answer.seen_headers["x-waf-body"] == "first-1000"
    assert (answer.verdict["verdict"], answer.verdict["rules"], answer.verdict["partial"]) == ("slow", "", "request")


def test_what_came_of_a_late_body_is_judged(hurried: Stack, server: Origin) -> None:
    blocked = hurried.send(head_of("begin.test", content_length="3000"), b"z=" + ATTACK + b"&more=")
    before = len(server.begun)
    with hurried.connect() as connection:
        connection.sendall(head_of("watch.test", content_length="3000") + b"z=" + ATTACK + b"&more=")
        wait_until(lambda: len(server.begun) > before, "the server has the request")
        connection.sendall(b"x" * 3000)
        watched = hurried.answer(connection, b"POST ")

    assert blocked.status == 403
    assert watched.status == 200
    assert "941100" in watched.verdict["rules"].split(",")


def is_logged_as_bad(stack: Stack, host: str) -> bool:
    return any(line["host"] == host and line["status"] == 400 for line in stack.access_log())


def test_a_client_that_disconnects_mid_body_is_not_an_event(hurried: Stack, server: Origin) -> None:
    before = len(server.begun)
    for host in ("refuse.test", "watch.test"):
        with hurried.connect() as connection:
            connection.sendall(head_of(host, content_length="100") + b"a=1")
        wait_until(partial(is_logged_as_bad, hurried, host), host)

    assert len(server.begun) == before
    assert all(line["status"] != 408 for line in hurried.access_log() if line["status"] == 400)
