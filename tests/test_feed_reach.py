"""From where lists may be downloaded."""

from ipaddress import ip_address

import pytest

from guardpanel.feed_reach import FeedReach, list_networks


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "240.0.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
        "2002:7f00:1::", "64:ff9b::a00:1", "64:ff9b::7f00:1", "2001:db8::1", "2001:0:a00:1::", "fec0::1", "::7f00:1",
        "::ffff:0:7f00:1", "64:ff9b:1::a00:1", "100::1", "5f00::1", "fd00:ec2::254", "100.100.100.200", "192.0.0.192",
        "168.63.129.16", "0.1.2.3",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused_unless_it_is_named(address: str) -> None:
    assert not FeedReach().allows(ip_address(address))
    everything = FeedReach(list_networks("0.0.0.0/0, ::/0"))
    assert everything.allows(ip_address(address))


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe", "64:ff9b::909:909"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert FeedReach().allows(ip_address(address))


def test_keys_leave_this_machine_over_https_alone() -> None:
    for scheme, address, allowed in (
        ("http", "127.0.0.1", True), ("http", "::1", True), ("https", "127.0.0.1", True), ("http", "10.0.0.1", True),
        ("http", "9.9.9.9", False), ("https", "9.9.9.9", True), ("https", "192.168.0.1", False), ("http", "169.254.169.254", False),
        ("http", "0.0.0.0", False), ("http", "::ffff:127.0.0.1", False),
    ):  # fmt: skip
        reach = FeedReach(list_networks("10.0.0.0/8")).for_crowdsec(scheme)
        assert reach.allows(ip_address(address)) is allowed, (scheme, address)


def test_networks_of_the_settings_are_read_or_named() -> None:
    assert FeedReach(list_networks("10.0.0.0/8")).allows(ip_address("10.9.9.9"))
    assert not FeedReach(list_networks("10.0.0.0/8")).allows(ip_address("192.168.0.1"))
    assert list_networks(" ") == ()
    with pytest.raises(ValueError, match=r"GUARDPANEL_FEED_NETWORKS: .* has host bits set"):
        list_networks("10.0.0.1/8")
