"""How many connections a server gets at a time, and what becomes of requests that wait for one."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, Self

import pytest

from tests.live.origins import Origin
from tests.live.stack import Stack, wait_until
from tests.live.wire import Response, head
from tests.rows import SECRET, rows

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    def host(most: int, seconds: int) -> dict[str, Any]:
        return {
            "servers": [{"address": server.address, "max_connections": most}],
            "health_check": False,
            "queue_timeout": seconds,
            "policy": "Block",
        }

    given = rows(
        {"Block": {"enforcement_mode": "block"}},
        {"hasty.test": host(2, 1), "patient.test": host(2, 60), "free.test": host(0, 1)},
    )
    with Stack(haproxy, given) as running:
        running.again(given)
        yield running


class Held:
    """Requests that the server holds, so many at a time, until all get their answer."""

    def __init__(self, stack: Stack, server: Origin, host: str) -> None:
        self.stack, self.server, self.host = stack, server, host
        self.released = threading.Event()
        self._open = ExitStack()
        server.answers["/held"] = [self.released, WHOLE]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._open.close()

    def begin(self, path: str = "/held") -> "Visit":
        return self._open.enter_context(closing(Visit(self.stack, self.host, path)))

    def wait_for(self, count: int, before: int) -> None:
        wait_until(lambda: len(self.server.begun) >= before + count, f"the server has {count}")


class Visit:
    """A request whose answer is read later."""

    def __init__(self, stack: Stack, host: str, path: str) -> None:
        self.stack = stack
        self.request = head("GET", host, path, {"user-agent": "Mozilla/5.0", "accept": "*/*", "x-gp-test": SECRET})
        self.connection = stack.connect()
        self.connection.sendall(self.request)

    def answer(self) -> Response:
        return self.stack.answer(self.connection, self.request)

    def close(self) -> None:
        self.connection.close()


def queued(stack: Stack, backend: str) -> int:
    columns, *lines = (line.split(",") for line in stack.command("@1 show stat").splitlines() if "," in line)
    own = next(line for line in lines if line[:2] == [backend, "BACKEND"])
    return int(own[columns.index("qcur")] or 0)


def test_what_waits_too_long_for_a_server_gets_503_in_words_and_reaches_none(stack: Stack, server: Origin) -> None:
    before = len(server.begun)
    with Held(stack, server, "hasty.test") as held:
        held.begin(), held.begin()
        held.wait_for(2, before)
        refused = held.begin("/late").answer()

    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    assert "All servers of this site are busy or unavailable." in refused.text
    assert stack.logged(refused)["ended"].startswith("sQ")
    assert not any("/late" in line for line in server.begun)


def test_what_waits_is_served_when_a_server_is_free(stack: Stack, server: Origin) -> None:
    before = len(server.begun)
    with Held(stack, server, "patient.test") as held:
        first = [held.begin(), held.begin()]
        held.wait_for(2, before)
        waits = held.begin("/next")
        wait_until(lambda: queued(stack, "be_2") == 1, "it waits in the queue")
        assert not any("/next" in line for line in server.begun)
        held.released.set()

        assert [visit.answer().status for visit in first] == [200, 200]
        assert waits.answer().seen["target"] == "/next"


def test_without_a_limit_nothing_waits(stack: Stack, server: Origin) -> None:
    before = len(server.begun)
    with Held(stack, server, "free.test") as held:
        visits = [held.begin() for _ in range(8)]
        held.wait_for(8, before)
        held.released.set()

        assert {visit.answer().status for visit in visits} == {200}
