"""Whom a list would reject by accident."""

from guardpanel.services.access.lockout import locked_out, plain_address


def test_a_link_local_client_is_known_without_its_zone() -> None:
    """As sockets name it. HAProxy has no zones."""
    yours = plain_address("fe80::1%eth0")

    assert locked_out({yours: "your own address"}, ["fe80::/64"]) == ["fe80::/64 contains fe80::1, your own address."]
