"""The WAF agent is away, hangs or comes back: closed means 503, open means passed, marked and counted."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.live.origins import Origin
from tests.live.processes import hanging
from tests.live.stack import Stack, wait_until
from tests.live.wire import head
from tests.rows import rows

QUERY = "/?q=1%27%20OR%20%271%27%3D%271"

POLICIES: dict[str, dict[str, Any]] = {
    "Blocks": {"enforcement_mode": "block"},
    "Watches": {"enforcement_mode": "detect_only"},
    "Closed": {"enforcement_mode": "detect_only", "fail_mode": "closed"},
    "Open": {"enforcement_mode": "block", "fail_mode": "open"},
    "Reads": {"enforcement_mode": "block", "response_inspection": True},
}
CLOSED, OPEN = ("blocks.test", "closed.test", "reads.test", "stricter.test"), ("watches.test", "open.test")
IDS = {"watches.test": 2, "open.test": 4}


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    common: dict[str, Any] = {"servers": [{"address": server.address}], "health_check": False}
    hosts = {f"{name.lower()}.test": {**common, "policy": name} for name in POLICIES}
    hosts["stricter.test"] = {**common, "policy": "Watches", "enforcement_mode": "block"}
    hosts["off.test"] = common
    with Stack(haproxy, rows(POLICIES, hosts), agent_seconds=2) as running:
        yield running


def test_without_an_agent_closed_refuses_and_open_passes_and_counts(stack: Stack, server: Origin) -> None:
    """At once: nobody waits for an agent that is known to be away, so nobody asks it again."""
    assert [stack.get(host, QUERY).status for host in CLOSED] == [403, 200, 403, 403]
    before = {host: stack.uninspected(IDS[host]) for host in OPEN}

    stack.stop_agent()
    stack.wait_for_server("waf_agent", "agent", "DOWN")

    reached = len(server.received)
    for host in CLOSED:
        for target in ("/", QUERY):
            answer = stack.get(host, target)
            assert answer.status == 503
            assert (answer.verdict["verdict"], answer.verdict["again"]) == ("unjudged", "")
            assert answer.verdict["request-id"] in answer.text
    assert len(server.received) == reached
    for host in OPEN:
        for target in ("/", QUERY):
            answer = stack.get(host, target)
            assert answer.seen_headers["x-waf-error"] == "not-inspected"
            assert (answer.verdict["verdict"], answer.verdict["again"]) == ("unjudged", "")
        assert stack.uninspected(IDS[host]) == before[host] + 2
    assert "x-waf-error" not in stack.get("off.test", "/").seen_headers

    stack.start_agent()
    stack.wait_for_server("waf_agent", "agent", "UP")
    assert [stack.get(host, QUERY).status for host in (*CLOSED, *OPEN)] == [403, 200, 403, 403, 200, 403]
    assert {host: stack.uninspected(IDS[host]) for host in OPEN} == {host: before[host] + 2 for host in OPEN}


def test_an_agent_that_dies_is_never_taken_for_a_yes(stack: Stack) -> None:
    """From the kill until the health check knows: each answer is a refusal, none is a pass."""
    stack.agent.kill()
    stack.agent.wait(60)
    statuses = []

    def down() -> bool:
        statuses.append(stack.get("blocks.test", "/").status)
        return stack.servers("waf_agent")["agent"].startswith("DOWN")

    wait_until(down, "the agent is known to be away")
    assert set(statuses) == {503}
    stack.start_agent()
    stack.wait_for_server("waf_agent", "agent", "UP")
    assert stack.get("blocks.test", "/").status == 200


def test_a_hanging_agent_costs_the_processing_timeout_and_no_pass(stack: Stack, server: Origin) -> None:
    before = stack.uninspected(IDS["open.test"])
    reached = len(server.received)
    requests = {
        host: head("GET", host, QUERY, {"user-agent": "m", "accept": "*/*"}) for host in ("blocks.test", "open.test")
    }

    with hanging(stack.agent.pid), contextlib.ExitStack() as open_ones:
        connections = {host: open_ones.enter_context(stack.connect()) for host in requests}
        for host, connection in connections.items():
            connection.sendall(requests[host])
        answers = {host: stack.answer(connection, requests[host]) for host, connection in connections.items()}

    assert answers["blocks.test"].status == 503
    assert answers["open.test"].seen_headers["x-waf-error"] == "not-inspected"
    assert len(server.received) == reached + 1
    assert stack.uninspected(IDS["open.test"]) == before + 1
    stack.wait_for_server("waf_agent", "agent", "UP")
    assert stack.get("blocks.test", QUERY).status == 403


def test_an_answer_that_cannot_be_judged_is_not_shown_by_a_closed_policy(stack: Stack, server: Origin) -> None:
    """The agent goes away between the request's verdict and the server's answer."""
    gone = threading.Event()
    server.answers["/slow"] = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n",
        gone,
        b"secret",
    ]
    request = head("GET", "reads.test", "/slow", {"user-agent": "m", "accept": "*/*"})
    reached = len(server.received)
    with stack.connect() as connection:
        connection.sendall(request)
        wait_until(lambda: len(server.received) > reached, "the server has the request")
        stack.agent.kill()
        stack.agent.wait(60)
        gone.set()
        answer = stack.answer(connection, request)

    assert answer.status == 503
    assert b"secret" not in answer.body
    stack.start_agent()
    stack.wait_for_server("waf_agent", "agent", "UP")


def test_a_message_that_haproxy_leaves_unsent_costs_time_and_no_request(stack: Stack) -> None:
    """As HAProxy 2.6.12 does it in a reload now and then (haproxy/haproxy issue 2478): the first message is lost here."""
    real = stack.folder / "real.sock"
    stack.stop_agent()  # with the connections that HAProxy has to it
    stack.start_agent()
    Path(stack.facts.agent_socket).rename(real)
    with Relay(Path(stack.facts.agent_socket), real) as relay:
        stack.wait_for_server("waf_agent", "agent", "UP")
        answer = stack.get("blocks.test", "/")
        attack = stack.get("blocks.test", QUERY)
    real.rename(stack.facts.agent_socket)

    assert relay.swallowed == 1
    assert (answer.status, answer.verdict["error"], answer.verdict["again"]) == (200, "", "1")
    assert attack.status == 403  # asked again or not: an older HAProxy may leave that message, too


NOTIFY = 3
"The type of the SPOP frame that carries messages (SPOE.txt, section 3.2.6)."


class Relay:
    """Between HAProxy and the agent; the first message never arrives, all else does."""

    def __init__(self, place: Path, real: Path) -> None:
        self.place, self.real = place, real
        self.swallowed = 0
        self.sockets = [socket.socket(socket.AF_UNIX)]
        self.threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self.sockets[0].bind(str(self.place))
        self.sockets[0].listen()
        self.threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self.sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for connection in self.sockets:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, agent = self.sockets[0].accept()[0], socket.socket(socket.AF_UNIX)
                self.sockets += [client, agent]
                agent.connect(str(self.real))
                for pair in ((client, agent), (agent, client)):
                    self.threads.append(threading.Thread(target=self._pass_on, args=pair))
                    self.threads[-1].start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), source.makefile("rb") as frames:
            while length := frames.read(4):
                body = frames.read(int.from_bytes(length, "big"))
                if body[0] == NOTIFY and not self.swallowed:
                    self.swallowed += 1
                    continue
                target.sendall(length + body)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
