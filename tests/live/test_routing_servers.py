"""Servers: TLS with verification, health checks, weights."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.origins import Certificate, Origin, certificate, origin
from tests.live.stack import Stack, wait_until
from tests.rows import rows

CHECK = {"health_check": True, "health_check_interval": 1, "health_check_rise": 1}
"A server is DOWN after three failed checks: a single one takes longer than its second by chance, on a machine that stalls."


@pytest.fixture(scope="module")
def ours() -> Certificate:
    return certificate("secure.test", "127.0.0.1")


@pytest.fixture(scope="module")
def secure(ours: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    with origin(ours, tmp_path_factory.mktemp("tls")) as running:
        yield running


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin, secure: Origin, ours: Certificate) -> Iterator[Stack]:
    plain, tls = {"address": server.address}, {"address": f"https://{secure.address}"}
    by_authority = {"tls_verify": "ca", "tls_ca": ours.authority}
    stranger = certificate("secure.test").authority
    hosts: dict[str, dict[str, Any]] = {
        "system.test": {"servers": [tls], "tls_name": "secure.test", "health_check": False},
        "system-checked.test": {"servers": [tls], "tls_name": "secure.test", **CHECK},
        "authority.test": {"servers": [tls], "tls_name": "secure.test", **by_authority, **CHECK},
        "secure.test": {"servers": [tls], **by_authority, **CHECK},
        "stranger.test": {
            "servers": [tls],
            "tls_name": "secure.test",
            "tls_verify": "ca",
            "tls_ca": stranger,
            **CHECK,
        },
        "wrong-name.test": {"servers": [tls], **by_authority, **CHECK},
        "localhost.test": {
            "servers": [{"address": f"https://localhost:{secure.port}"}],
            **by_authority,
            **CHECK,
        },
        "unverified.test": {"servers": [tls], "tls_verify": "off", **CHECK},
        "*.parent.test": {"servers": [tls], "tls_verify": "off", "health_check": False},
        "plain-to-tls.test": {"servers": [{"address": secure.address}], "health_check": False},
        "failing.test": {"servers": [plain], "health_check_status": "200-299", **CHECK},
        "spare.test": {"servers": [{"address": "127.0.0.1:1"}, {**plain, "backup": True}], **CHECK},
        "resting.test": {"servers": [{**plain, "enabled": False}], **CHECK},
        "weighted.test": {
            "servers": [{**plain, "weight": 3}, {"address": server.address, "weight": 1}],
            "health_check": False,
        },
        "later.test": {
            "servers": [{"address": "no-such-name.invalid", "resolve_later": True}],
            "health_check": False,
        },
        "checked.test": {
            "servers": [plain],
            **CHECK,
            "health_check_path": "/healthz?a=1&b=2",
            "health_check_host": "probe.test",
        },
    }
    with Stack(haproxy, rows({}, hosts)) as running:
        yield running


def backend(stack: Stack, host: str) -> str:
    line = next(line for line in stack.bundle.files["hosts.map"].decode().splitlines() if line.startswith(host + " "))
    return f"be_{line.split(' ')[1]}"


@pytest.mark.parametrize("host", ["authority.test", "secure.test", "unverified.test"])
def test_an_https_server_is_spoken_to_in_tls(stack: Stack, secure: Origin, host: str) -> None:
    stack.wait_for_server(backend(stack, host), "s1", "UP")

    assert stack.get(host, "/").seen["port"] == secure.port


def test_the_name_asked_for_is_the_one_given_else_the_hostname(stack: Stack, secure: Origin) -> None:
    for host, name in {
        "authority.test": "secure.test",
        "unverified.test": "unverified.test",
        "child.parent.test": "www.parent.test",
    }.items():
        secure.names.clear()
        stack.get(host, "/")
        assert name in secure.names


@pytest.mark.parametrize("host", ["system-checked.test", "stranger.test", "wrong-name.test", "localhost.test"])
def test_a_server_whose_certificate_does_not_hold_is_down(stack: Stack, secure: Origin, host: str) -> None:
    stack.wait_for_server(backend(stack, host), "s1", "DOWN")
    before = len(secure.received)

    assert stack.get(host, "/").status == 503
    assert len(secure.received) == before or host not in str(secure.received[before:])


def test_an_unknown_authority_is_refused_without_a_health_check_too(stack: Stack) -> None:
    assert stack.get("system.test", "/").status == 503
    assert stack.get("plain-to-tls.test", "/").status in {502, 503}


def test_a_server_that_fails_its_check_gets_no_requests_until_it_is_well(stack: Stack, server: Origin) -> None:
    stack.wait_for_server(backend(stack, "failing.test"), "s1", "UP")
    server.status = 500
    try:
        stack.wait_for_server(backend(stack, "failing.test"), "s1", "DOWN")
        assert stack.get("failing.test", "/").status == 503
    finally:
        server.status = 200
    stack.wait_for_server(backend(stack, "failing.test"), "s1", "UP")
    assert stack.get("failing.test", "/").status == 200


def test_a_check_asks_for_the_path(stack: Stack, server: Origin) -> None:
    wait_until(lambda: any("/healthz?a=1&b=2" in line for line in server.received), "the check's request")


def test_a_spare_server_takes_over(stack: Stack, server: Origin) -> None:
    stack.wait_for_server(backend(stack, "spare.test"), "s1", "DOWN")

    answer = stack.get("spare.test", "/")

    assert answer.seen["port"] == server.port
    assert answer.verdict["server"] == "s2"


def test_a_disabled_server_gets_nothing(stack: Stack) -> None:
    assert stack.servers(backend(stack, "resting.test"))["s1"] == "MAINT"
    assert stack.get("resting.test", "/").status == 503


def test_weights_share_the_requests(stack: Stack) -> None:
    answered = [stack.get("weighted.test", "/").verdict["server"] for _ in range(8)]

    assert (answered.count("s1"), answered.count("s2")) == (6, 2)


def test_an_unresolved_name_does_not_prevent_a_save(stack: Stack) -> None:
    assert stack.get("later.test", "/").status == 503
