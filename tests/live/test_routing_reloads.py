"""Visitors notice nothing of a reload."""

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from guardpanel.rendering import Rows
from tests.haproxies import branch
from tests.live.origins import Origin
from tests.live.stack import Stack, wait_until
from tests.live.wire import head
from tests.rows import SECRET, rows

QUERY = "/?q=1%27%20OR%20%271%27%3D%271"


def given(server: Origin, **policy: Any) -> Rows:
    host = {"servers": [{"address": server.address}], "health_check": False, "policy": "One"}
    return rows({"One": {"enforcement_mode": "block", **policy}}, {"shop.test": host})


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    with Stack(haproxy, given(server)) as running:
        yield running


def test_what_was_changed_is_live_after_a_reload(stack: Stack, server: Origin) -> None:
    assert stack.get("shop.test", QUERY).status == 403

    stack.reload(given(server, inbound_anomaly_threshold=1000))

    assert stack.get("shop.test", QUERY).status == 200
    stack.reload(given(server))
    assert stack.get("shop.test", QUERY).status == 403


class Visitor(threading.Thread):
    """Keeps its connection; opens a new one when HAProxy closes it with an answer, as browsers do."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = stack
        self.leaves = threading.Event()
        self.lost: list[str] = []
        self.held_up: list[str] = []
        self.answers = 0

    def run(self) -> None:
        connection = None
        while not self.leaves.is_set():
            for target, expected in (("/", 200), (QUERY, 403)):
                connection = connection or self.stack.connect()
                try:
                    connection.sendall(kept_open(target))
                    answer = self.stack.answer(connection, kept_open(target))
                except OSError as error:
                    self.lost.append(repr(error))
                    connection = None
                    continue
                if answer.status != expected or answer.verdict["error"]:
                    self.lost.append(f"{answer.status} {answer.verdict}")
                if answer.verdict["again"]:
                    self.held_up.append(answer.verdict["request-id"])
                self.answers += 1
                if answer.headers.get("connection") == "close":
                    connection.close()
                    connection = None
        if connection:
            connection.close()


def kept_open(target: str) -> bytes:
    sent = {"user-agent": "m", "accept": "*/*", "x-gp-test": SECRET}
    return head("GET", "shop.test", target, sent).replace(b"Connection: close\r\n", b"")


def have_gone_on(visitors: list[Visitor], before: list[int]) -> bool:
    return all(now.answers > then + 5 for now, then in zip(visitors, before, strict=True))


def test_no_request_of_a_kept_connection_is_lost_or_held_up_by_reloads(stack: Stack, server: Origin) -> None:
    visitors = [Visitor(stack) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    try:
        for threshold in (6, 7, 8, 9, 5):
            before = [visitor.answers for visitor in visitors]
            stack.reload(given(server, outbound_anomaly_threshold=threshold))
            wait_until(partial(have_gone_on, visitors, before), "every visitor goes on")
    finally:
        for visitor in visitors:
            visitor.leaves.set()
        for visitor in visitors:
            visitor.join()

    assert [visitor.lost for visitor in visitors] == [[], [], [], []]
    # An agent that stays when HAProxy takes its leave (HAPROXY-DISCONNECT) holds requests up until they are asked again. So does
    # 2.6.12 by itself, now and then (haproxy/haproxy issue 2478).
    if branch(stack.haproxy) != "2.6":
        assert [visitor.held_up for visitor in visitors] == [[], [], [], []]
