"""What could never have an effect is refused with words, in every list that an operator writes."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from guardpanel.models.networks import Networks
from guardpanel.models.policies.content_types import ContentTypes
from guardpanel.models.policies.policy_lists import Masks, Methods, Skips

DEAD: list[tuple[Any, str, str]] = [
    (Skips, "/a/./b", "never matches"),
    (Skips, "/./", "never matches"),
    (Skips, "/assets/.", "never matches"),
    (Masks, "authorization:", "Enter authorization"),
    (Masks, ".password", "Enter password"),
    (Masks, "[pin]", "Enter pin."),
    (Masks, "[]", "never matches a field"),
    (ContentTypes, "application/x$y", "OWASP CRS rejects content types with $"),
    (ContentTypes, "text/a!b*", "OWASP CRS rejects content types with !"),
    (Methods, "CONNECT", "HAProxy rejects it"),
    (Networks, "224.0.0.0/8", "can’t be the address of a connection"),
    (Networks, "ff02::1", "can’t be the address of a connection"),
    (Networks, "0.0.0.0", "can’t be the address of a connection"),
    (Networks, "255.255.255.255", "can’t be the address of a connection"),
    (Networks, "::", "can’t be the address of a connection"),
    (Networks, "::/7", "contains every IPv4 address"),
    (Networks, "::fffe:0:0/95", "contains every IPv4 address"),
]

ALIVE: list[tuple[Any, str]] = [
    (Skips, "/.well-known/"),
    (Skips, "/a/.b"),
    (Masks, "user[pin]"),
    (Masks, "a[]"),
    (Masks, "*.password"),
    (Masks, "@cards"),
    (ContentTypes, "application/vnd.api+json"),
    (Networks, "fe80::/10"),
    (Networks, "2001:db8::/32"),
]


@pytest.mark.parametrize(("kind", "typed", "words"), DEAD)
def test_a_value_without_an_effect_is_refused(kind: Any, typed: str, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python([typed])

    assert words in str(refused.value)


@pytest.mark.parametrize(("kind", "typed"), ALIVE)
def test_its_like_with_an_effect_is_taken(kind: Any, typed: str) -> None:
    assert TypeAdapter(kind).validate_python([typed]) == [typed]
