"""The health address that load balancers in front ask: who gets an answer, which one, and that no site loses a path by it."""

from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.rendering import Rows
from tests.live.origins import Origin
from tests.live.stack import Stack, wait_until
from tests.live.wire import Response, head
from tests.rows import rows

PATH = "/health-of-haproxy"

ASKS = {"health_path": PATH, "health_networks": ["127.0.0.0/8"]}


def state(server: Origin, traffic: dict[str, Any], **fields: Any) -> Rows:
    common = {"servers": [{"address": server.address}], "health_check": False, "policy": "Block"}
    hosts = {
        "shop.test *.wild.test": common,
        "gone.test": {**common, "enabled": False},
        "rest.test": {**common, **fields},
    }
    return rows({"Block": {"enforcement_mode": "block"}}, hosts, traffic)


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    with Stack(haproxy, state(server, {})) as running:
        assert asked(running).status == 421
        running.again(state(server, ASKS))
        yield running


def asked(stack: Stack, host: str = "10.0.0.5:8080", path: str = PATH, method: str = "GET") -> Response:
    """As a visitor: without the panel's secret."""
    return stack.send(head(method, host, path, {}))


@pytest.mark.parametrize("host", ["10.0.0.5:8080", "[2001:db8::1]", "lb.internal", "a.b.wild.test"])
def test_it_answers_for_names_that_no_virtual_host_has(stack: Stack, host: str) -> None:
    answer = asked(stack, host)

    assert (answer.status, answer.text) == (200, "ok")
    assert answer.headers["cache-control"] == "no-store"


def test_it_answers_without_a_name_and_to_head(stack: Stack) -> None:
    assert stack.send(f"GET {PATH} HTTP/1.0\r\n\r\n".encode()).status == 200
    assert stack.send(f"GET {PATH} HTTP/1.1\r\nConnection: close\r\n\r\n".encode()).status == 200
    assert asked(stack, method="HEAD").status == 200


@pytest.mark.parametrize("host", ["shop.test", "SHOP.test.:80", "a.wild.test"])
def test_the_path_of_a_site_stays_its_own(stack: Stack, host: str) -> None:
    assert asked(stack, host).seen["target"] == PATH


@pytest.mark.parametrize(("host", "path", "method"), [
    ("gone.test", PATH, "GET"), ("lb.internal", f"{PATH}/", "GET"), ("lb.internal", "/", "GET"), ("lb.internal", PATH, "POST"),
])  # fmt: skip
def test_nothing_else_is_answered(stack: Stack, host: str, path: str, method: str) -> None:
    assert asked(stack, host, path, method).status == 421


def test_it_leaves_no_line_in_the_log(stack: Stack) -> None:
    asked(stack)
    last = stack.get("unknown.test", PATH + "?seen")

    stack.logged(last)
    own = [line for line in stack.access_log() if line["path"] == PATH and line["host"] == "10.0.0.5"]
    assert {line["status"] for line in own} <= {421}  # Before there was one.


def test_drained_it_says_so_and_visitors_are_served(stack: Stack, server: Origin) -> None:
    stack.reload(state(server, {**ASKS, "health_drain": True}))

    answer = asked(stack)
    assert (answer.status, answer.text) == (503, "draining")
    assert asked(stack, "shop.test").status == 200
    stack.reload(state(server, ASKS))
    assert asked(stack).status == 200


def test_for_others_it_is_a_path_like_any_other(stack: Stack, server: Origin) -> None:
    stack.reload(state(server, {**ASKS, "health_networks": ["192.0.2.0/24"]}))
    assert asked(stack).status == 421

    stack.reload(state(server, ASKS, answers_unknown=True))
    assert asked(stack).text == "ok"
    assert asked(stack, path="/other").seen["target"] == "/other"
    stack.reload(state(server, ASKS))


def test_of_those_whom_a_trusted_proxy_names_their_address_counts(stack: Stack, server: Origin) -> None:
    trusting = {**ASKS, "client_ip_source": "x_forwarded_for", "trusted_networks": ["127.0.0.0/8"]}
    stack.reload(state(server, trusting))

    assert asked(stack).status == 200
    assert stack.send(head("GET", "lb.internal", PATH, {"x-forwarded-for": "203.0.113.7"})).status == 421
    stack.reload(state(server, ASKS))


def test_without_the_agent_it_says_so(stack: Stack) -> None:
    stack.stop_agent()
    wait_until(lambda: asked(stack).status == 503, "the agent is missed")

    assert asked(stack).text == "no WAF agent"
    stack.start_agent()
    wait_until(lambda: asked(stack).status == 200, "the agent is back")
