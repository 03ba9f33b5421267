"""What HAProxy cannot deliver: a page with the request's number, and an event with HAProxy's reason, found by that number."""

import asyncio
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from guardpanel.bundle import Bundle
from guardpanel.database import Database
from guardpanel.events.words import Kind
from guardpanel.ingest.run import Ingest
from guardpanel.rendering import Rows
from guardpanel.services.events import EventDetail, EventFilter, Events
from guardpanel.settings import Settings
from tests.live.origins import Origin, Part
from tests.live.stack import Stack, wait_until
from tests.live.wire import Response, head
from tests.ports import free_port
from tests.rows import rows

POLICIES = {
    "Blocks": {"enforcement_mode": "block", "body_limit_kib": 1},
    "Watches": {"enforcement_mode": "detect_only", "body_limit_kib": 1, "over_limit": "pass"},
}

ANSWERS: dict[str, Sequence[Part]] = {
    "/closes": [b""], "/garbage": [b"garbage\r\n\r\n"], "/hangs": [threading.Event()], "/fails": [b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"],
    "/busy": [b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"], "/missing": [b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"],
}  # fmt: skip

NUMBER = re.compile(rb"<code>([0-9a-f-]{36})</code>")


class HastyStack(Stack):
    """With timeouts of a few seconds in place of the rendered ones."""

    def publish(self, rows: Rows) -> Bundle:
        bundle = super().publish(rows)
        path = self.folder / "current" / "haproxy.cfg"
        path.write_text(re.sub(r"timeout (server|http-request) \d+s", r"timeout \1 3s", path.read_text()))
        return bundle


@pytest.fixture
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    with Stack(haproxy, state(server), events=True) as running:
        yield running


@pytest.fixture
def hasty(haproxy: str, server: Origin) -> Iterator[Stack]:
    with HastyStack(haproxy, state(server), events=True) as running:
        running.wait_for_server("be_6", "s1", "DOWN")
        yield running


def state(server: Origin) -> Rows:
    server.answers |= ANSWERS
    common = {"servers": [{"address": server.address}], "health_check": False}
    dead = {"servers": [{"address": f"127.0.0.1:{free_port()}"}]}
    hosts = {
        "shop.test": common, "blocks.test": {**common, "policy": "Blocks"}, "watches.test": {**common, "policy": "Watches"},
        "refuses.test": {**dead, "health_check": False}, "works.test": {**common, "maintenance": True},
        "down.test": {**dead, "health_check_interval": 1, "health_check_fall": 1},
    }  # fmt: skip
    return rows(POLICIES, hosts)


def visit(stack: Stack, host: str, target: str = "/", method: str = "GET", **headers: str) -> Response:
    return stack.send(head(method, host, target, {"user-agent": "Mozilla/5.0", "accept": "*/*", **headers}))


def break_off(stack: Stack, host: str, body: bytes, *, reset: bool = False, **headers: str) -> None:
    """An upload whose client goes away in the midst of it, once HAProxy waits for more."""
    sent = {"user-agent": "Mozilla/5.0", "accept": "*/*", "content-type": "application/x-www-form-urlencoded"}
    lines = len(stack.access_log())
    with stack.connect() as client:
        client.sendall(
            head(
                "POST", host, "/upload", {**sent, **{name.replace("_", "-"): value for name, value in headers.items()}}
            )
            + body
        )
        stack.wait_until_read(client)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: len(stack.access_log()) > lines, "the line is in the access log")


def events(stack: Stack, count: int) -> list[EventDetail]:
    """All, once there are so many."""

    async def read() -> list[EventDetail]:
        settings = Settings(data_dir=stack.folder)
        database = Database(settings.database)
        await database.migrate()
        events = Events(settings, database)
        try:
            with closing(Ingest(settings)) as ingest:
                ends = time.monotonic() + 60
                while True:
                    while ingest.step():
                        pass
                    items = (await events.page(EventFilter())).items
                    if len(items) >= count or time.monotonic() > ends:
                        break
                    await asyncio.sleep(0.05)
            assert (await events.page(EventFilter(kind=Kind.DELIVERY))).items == items
            details = await events.several([item.request_id for item in items])
            return [details[item.request_id] for item in items]
        finally:
            await events.close()
            await database.close()

    return asyncio.run(read())


def test_each_refusal_of_haproxy_has_a_number_and_an_event(hasty: Stack) -> None:
    """And what a server answers, whatever its status, has none."""
    for path in ("/fails", "/busy", "/missing", "/fine"):
        visit(hasty, "shop.test", path)
    requests = {
        ("shop.test", "/closes"): (502, "server_closed", 1), ("shop.test", "/garbage"): (502, "bad_response", 1),
        ("shop.test", "/hangs"): (504, "server_timeout", 1), ("refuses.test", "/"): (503, "server_refused", 4),
        ("down.test", "/"): (503, "no_server", 6), ("works.test", "/"): (503, "maintenance", 5),
        ("shop!.test", "/"): (400, "malformed", None), ("shop.test", "/" + "a" * 40_000): (414, "too_long", None),
    }  # fmt: skip
    answers = [visit(hasty, host, path) for host, path in requests]
    large = visit(hasty, "shop.test", "/", "GET", **{"x-large": "a" * 40_000})

    by_id = {event.item.request_id: event.item for event in events(hasty, len(requests) + 1)}

    assert len(by_id) == len(requests) + 1
    expected = [*requests.values(), (431, "too_long", None)]
    for answer, (status, reason, host) in zip([*answers, large], expected, strict=True):
        (number,) = NUMBER.findall(answer.body)
        item = by_id[number.decode()]
        assert (answer.status, item.status, item.reason) == (status, status, reason)
        assert (item.verdict, item.virtual_host_id) == ("undelivered", host)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_what_is_no_request_is_listed_without_a_host(hasty: Stack) -> None:
    """HAProxy answers it before it gives a number; a connection that says nothing is not one."""
    hasty.connect().close()
    malformed = hasty.send(b"NONSENSE\r\n\r\n")
    hosts = hasty.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\nHost: other.test\r\n\r\n")
    slow = hasty.send(b"GET / HT")

    items = [event.item for event in events(hasty, 3)]

    assert [malformed.status, hosts.status, slow.status] == [400, 400, 408]
    assert sorted((item.status, item.reason, item.virtual_host_id, item.path) for item in items) == [
        (400, "malformed", None, ""), (400, "malformed", None, ""), (408, "client_timeout", None, "")
    ]  # fmt: skip
    assert len({item.request_id for item in items}) == 3


def test_an_unreadable_body_is_recorded_with_its_host(stack: Stack) -> None:
    """HAProxy finds out while it waits for more of it, before any rule on requests."""
    sent = {"user-agent": "Mozilla/5.0", "accept": "*/*", "transfer-encoding": "chunked"}
    lines = len(stack.access_log())
    for host in ("blocks.test", "watches.test"):
        with stack.connect() as client:
            client.sendall(head("POST", host, "/upload", sent) + b"3\r\na=b\r\n")
            stack.wait_until_read(client)
            client.sendall(b"no chunk\r\n")
            while client.recv(4096):
                pass
    wait_until(lambda: len(stack.access_log()) >= lines + 2, "the lines are in the access log")

    items = [event.item for event in events(stack, 2)]

    assert [(item.status, item.reason) for item in items] == [(400, "malformed")] * 2
    assert sorted(item.host for item in items) == ["blocks.test", "watches.test"]


def test_an_aborted_upload_is_recorded_as_aborted(stack: Stack) -> None:
    """Neither as one that is too large, nor as one without a verdict."""
    for host in ("blocks.test", "watches.test"):
        break_off(stack, host, b"a=b", content_length="500")
        break_off(stack, host, b"a=b", content_length="500", reset=True)
        break_off(stack, host, b"3\r\na=b\r\n", transfer_encoding="chunked")
    break_off(stack, "watches.test", b"a=b", content_length="5000")

    items = [event.item for event in events(stack, 7)]

    assert [(item.verdict, item.reason, item.path) for item in items] == [
        ("undelivered", "client_aborted", "/upload")
    ] * 7
    assert sorted(item.virtual_host_id or 0 for item in items) == [2] * 3 + [3] * 4
