"""Visitors notice nothing of a reload."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.origins import Origin
from tests.live.stack import Stack, head
from tests.rows import SECRET, Rows, rows

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


def test_no_request_of_a_kept_connection_is_lost_across_reloads(stack: Stack, server: Origin) -> None:
    """Clients that keep their connection open; one that HAProxy closed after an answer is opened again, as browsers do."""
    ended, lost = threading.Event(), []
    counts = [0] * 4

    def visit(number: int) -> None:
        passes = head("GET", "shop.test", "/", {"user-agent": "m", "accept": "*/*", "x-gp-test": SECRET})
        attack = head("GET", "shop.test", QUERY, {"user-agent": "m", "accept": "*/*", "x-gp-test": SECRET})
        connection = None
        while not ended.is_set():
            for request, expected in ((passes, 200), (attack, 403)):
                connection = connection or stack.connect()
                try:
                    connection.sendall(request.replace(b"Connection: close\r\n", b""))
                    answer = stack.answer(connection, request)
                except OSError as error:
                    lost.append(repr(error))
                    connection = None
                    continue
                if answer.status != expected or answer.verdict["error"]:
                    lost.append(f"{answer.status} {answer.verdict}")
                counts[number] += 1
                if answer.headers.get("connection") == "close":
                    connection.close()
                    connection = None
        if connection:
            connection.close()

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(len(counts))]
    for visitor in visitors:
        visitor.start()
    try:
        for threshold in (6, 7, 8, 9, 5):
            stack.reload(given(server, outbound_anomaly_threshold=threshold))
    finally:
        ended.set()
        for visitor in visitors:
            visitor.join()

    assert lost == []
    assert min(counts) > 20
