"""A virtual host that answers requests for hostnames that no virtual host has."""

from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.rendering import Rows
from tests.live.origins import Origin, origin
from tests.live.stack import Stack
from tests.live.tls import context, handshake
from tests.live.wire import head
from tests.rows import SECRET, rows

ATTACK = "/?q=1%27%20OR%20%271%27%3D%271"

REST = "3"
"The virtual host's id."


@pytest.fixture(scope="module")
def rest() -> Iterator[Origin]:
    with origin() as running:
        yield running


def state(server: Origin, rest: Origin, **fields: Any) -> Rows:
    common = {"servers": [{"address": server.address}], "health_check": False, "policy": "Block", "https": True}
    hosts = {
        "shop.test *.shop.test": common,
        "gone.test *.gone.test": {**common, "enabled": False},
        "*.rest.test rest.test": {**common, "servers": [{"address": rest.address}], "answers_unknown": True, **fields},
        "modern.test": {**common, "tls_profile": "modern"},
    }
    return rows({"Block": {"enforcement_mode": "block"}}, hosts)


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin, rest: Origin) -> Iterator[Stack]:
    with Stack(haproxy, state(server, rest, enabled=False)) as running:
        assert running.get("unknown.test", "/").status == 421
        running.again(state(server, rest))
        yield running


@pytest.mark.parametrize("host", ["unknown.test", "x.unknown.test", "192.0.2.8", "a.b.shop.test", "localhost:8080"])
def test_a_name_that_no_virtual_host_has_is_answered(channel: Stack, rest: Origin, host: str) -> None:
    answer = channel.get(host, "/some/where?a=1")

    assert (answer.seen["port"], answer.seen["target"]) == (rest.port, "/some/where?a=1")
    assert answer.seen_headers["host"] == answer.seen_headers["x-forwarded-host"] == host
    line = channel.logged(answer)
    assert (line["virtual_host"], line["host"]) == (REST, host.partition(":")[0])


def test_it_is_inspected_like_every_other(channel: Stack) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}

    in_address = channel.get("unknown.test", ATTACK)
    in_body = channel.request("POST", "unknown.test", "/", form, ATTACK[2:].encode())

    assert [answer.verdict["verdict"] for answer in (in_address, in_body)] == ["blocked", "blocked"]
    assert channel.logged(in_address)["virtual_host"] == REST


def test_names_of_others_go_where_they_went(channel: Stack, server: Origin) -> None:
    assert channel.get("shop.test", "/").seen["port"] == server.port
    assert channel.get("a.shop.test", "/").seen["port"] == server.port
    for name in ("gone.test", "a.gone.test"):
        answer = channel.get(name, "/")
        assert (answer.status, answer.verdict["verdict"]) == (421, "unknown_host")


def test_an_address_of_version_6_is_answered(stack: Stack, rest: Origin) -> None:
    assert stack.get("[2001:db8::1]:8080", "/").seen["port"] == rest.port


def test_without_a_host_it_gets_its_own_name(stack: Stack, rest: Origin) -> None:
    proof = f"x-gp-test: {SECRET}\r\nuser-agent: Mozilla/5.0\r\naccept: */*\r\n\r\n".encode()

    answer = stack.send(b"GET / HTTP/1.0\r\n" + proof)
    malformed = stack.send(b"GET / HTTP/1.1\r\n" + proof)

    assert (answer.seen["port"], answer.seen_headers["host"]) == (rest.port, "rest.test")
    assert malformed.status == 400


@pytest.mark.parametrize("host", ["", ":80", "a b", "shop.test, watch.test", "shop.test@evil.test", "*.shop.test"])
def test_what_is_no_hostname_is_still_malformed(stack: Stack, rest: Origin, host: str) -> None:
    before = len(rest.received)

    assert stack.get(host, "/").status == 400
    assert len(rest.received) == before


def test_a_handshake_for_other_demands_is_misdirected(stack: Stack) -> None:
    with handshake(stack.tls_address, "modern.test", context(h2=False)) as connection:
        connection.sendall(head("GET", "unknown.test", "/", {"x-gp-test": SECRET}))
        assert connection.recv(65536).startswith(b"HTTP/1.1 421")


def test_of_two_none_is_chosen_by_chance(stack: Stack, server: Origin, rest: Origin) -> None:
    """The oldest, should a restored state have two."""
    given = state(server, rest)
    both = [{**row, "answers_unknown": True} for row in given["virtualhost"]]
    stack.reload({**given, "virtualhost": both})

    assert stack.get("unknown.test", "/").seen["port"] == server.port
    stack.reload(state(server, rest))
