"""Whom a list would reject by accident."""

from guardpanel.services.access.lockout import locked_out, plain_address


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
