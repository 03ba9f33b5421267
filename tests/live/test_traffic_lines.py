"""HAProxy's own lines, as each version writes them: counted by path and client, and listed in the access log."""

import json
from collections.abc import Iterator

import pytest

from guardpanel.events.busiest import Kind, whole
from guardpanel.events.traffic import REQUESTS
from guardpanel.events.words import Reason, Verdict
from guardpanel.ingest.traffic import LOGGED, Counts
from guardpanel.services.events.access_log import LogFilter, LogLine, read_back
from tests.live.origins import Origin
from tests.live.stack import Stack, wait_until
from tests.live.tls import H2
from tests.live.wire import head
from tests.rows import rows

PLAIN = {"user-agent": "Mozilla/5.0", "accept": "*/*"}


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    host = {"servers": [{"address": server.address}], "health_check": False, "https": True, "policy": "Block"}
    down = {**host, "servers": [{"address": "127.0.0.1:1"}]}
    policies = {"Block": {"enforcement_mode": "block"}}
    with Stack(haproxy, rows(policies, {"shop.test": host, "down.test": down})) as running:
        yield running


def lines_of(stack: Stack, virtual_host_id: int, number: int) -> list[LogLine]:
    """Oldest first, once there are so many."""
    log, lines = stack.folder / "access.json", list[LogLine]()

    def written() -> bool:
        lines[:] = reversed(read_back(log, LogFilter(virtual_host_id)).lines)
        return len(lines) == number

    wait_until(written, "the lines are in the access log")
    return lines


def test_a_path_has_one_name_over_both_versions_of_http(stack: Stack) -> None:
    """HAProxy logs the whole URL over HTTP/2."""
    with H2(stack.tls_address, "shop.test") as client:
        assert client.get("shop.test", "/orders/17?token=secret", PLAIN).status == 200
    assert stack.send(head("GET", "shop.test", "/orders/18", PLAIN)).status == 200
    assert stack.send(head("GET", "shop.test", "/orders/19?a=1%27%20OR%20%271%27=%271", PLAIN)).status == 403
    # HAProxy's threads that answer one after the other log in any order.
    lines = sorted(lines_of(stack, 1, 3), key=lambda line: line.path)
    assert [(line.path, line.has_query, line.status, line.verdict) for line in lines] == [
        ("/orders/17", True, 200, None), ("/orders/18", False, 200, None), ("/orders/19", True, 403, Verdict.BLOCKED),
    ]  # fmt: skip
    counts = Counts()
    for line in stack.access_log():
        counts.add(LOGGED.decode(json.dumps(line).encode()))
    of_host = {kind: group.names for (kind, host, _), group in counts.groups.items() if host == 1}
    assert {name: whole(row)[REQUESTS] for name, row in of_host[Kind.PATH].items()} == {"/orders/{number}": 3}
    assert {name: whole(row)[REQUESTS] for name, row in of_host[Kind.CLIENT].items()} == {"127.0.0.1": 3}


def test_what_no_server_answered_is_listed_with_its_reason(stack: Stack) -> None:
    assert stack.send(head("GET", "down.test", "/", PLAIN)).status == 503
    (line,) = lines_of(stack, 2, 1)
    assert (line.verdict, line.reason, line.status) == (Verdict.UNDELIVERED, Reason.SERVER_REFUSED, 503)
