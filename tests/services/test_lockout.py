"""Whom a list would reject by accident."""

import httpx2
import pytest

from guardpanel.services.access.lockout import locked_out, plain_address
from tests.api.test_vhosts import VHOST, make


def test_a_link_local_client_is_known_without_its_zone() -> None:
    """As sockets name it. HAProxy has no zones."""
    yours = plain_address("fe80::1%eth0")

    assert locked_out({yours: "your own address"}, ["fe80::/64"]) == ["fe80::/64 contains fe80::1, your own address."]


def test_networks_that_contain_an_address_as_haproxy_looks_it_up_are_named() -> None:
    """What is in no IPv6 network of a map is looked up as the IPv4 address within it."""
    doors = {"::1": "this machine (loopback)", "2002:c000:207::1": "a server"}

    assert locked_out(doors, ["0.0.0.0/8", "192.0.2.7", "192.0.2.8", "203.0.113.0/24"]) == [
        "0.0.0.0/8 contains ::1, this machine (loopback).",
        "192.0.2.7 contains 2002:c000:207::1, a server.",
    ]


@pytest.mark.anyio
async def test_a_ban_that_rejects_a_server_of_a_path_is_questioned(ada_api: httpx2.AsyncClient) -> None:
    """An application that asks its own site, as many do."""
    await make(ada_api)
    own = ["http://198.51.100.7:3000 weight=5", "https://[2001:db8::7]:443"]
    bound = await ada_api.post(f"{VHOST}/policy-bindings", json={"path": "/api", "own_servers": own})
    assert bound.status_code == 201, bound.text

    for network in ("198.51.100.7", "2001:db8::/64"):
        answer = await ada_api.post("/api/v1/bans", json={"network": network})
        assert (answer.status_code, "a server." in answer.text) == (409, True), answer.text
