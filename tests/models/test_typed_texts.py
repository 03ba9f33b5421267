"""Texts as people and programs type them: capitals of schemes, zones of addresses, halves of characters."""

import pytest
from pydantic import ValidationError

from guardpanel.errors import Invalid
from guardpanel.listen_addresses import host_and_port
from guardpanel.models.delivery.redirect import redirect_target
from guardpanel.models.listener import ListenerFields
from guardpanel.models.virtual_host import VirtualHostInput
from guardpanel.services.input import validated


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        ("HTTPS://New.example/Shop", "https://new.example/Shop"),
        ("Http://new.example", "http://new.example"),
        ("/HTTP://a", "/HTTP://a"),
    ],
)
def test_the_scheme_of_a_redirect_may_have_capitals(typed: str, target: str) -> None:
    assert redirect_target(typed) == redirect_target(target) == target


@pytest.mark.parametrize("zone", ["lo", "x y", "lo]:80 interface eth0", ""])
def test_a_listener_has_no_zone(zone: str) -> None:
    with pytest.raises(ValidationError, match="without a zone"):
        ListenerFields(address=f"[fe80::1%{zone}]:8080")


@pytest.mark.parametrize("zone", ["x y", "", "a\n", "a/b", "x" * 16])
def test_a_zone_is_a_network_interface(zone: str) -> None:
    assert host_and_port("[fe80::1%eth0.5]:8000") == ("fe80::1%eth0.5", 8000)
    with pytest.raises(ValueError, match="not a network interface"):
        host_and_port(f"[fe80::1%{zone}]:8000")


def test_half_a_character_is_refused_in_words() -> None:
    with pytest.raises(Invalid) as refused:
        validated(VirtualHostInput, {"hostnames": ["a.example"], "notes": "\ud83d"})

    assert refused.value.errors["notes"].message.startswith("Remove the character that is only half there")
