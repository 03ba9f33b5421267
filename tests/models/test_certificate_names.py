"""Names that a certificate can be made for."""

import pytest
from pydantic_core import PydanticCustomError

from guardpanel.models.certificates.certificate import certificate_name


@pytest.mark.parametrize(("typed", "name"), [("[2001:DB8::1]", "2001:db8::1"), (" 192.0.2.7 ", "192.0.2.7")])
def test_an_address_is_canonical(typed: str, name: str) -> None:
    assert certificate_name(typed) == name


@pytest.mark.parametrize("typed", ["fe80::1%eth0", "[fe80::1%a; b]"])
def test_an_address_has_no_zone(typed: str) -> None:
    """It is in no certificate, and may be any text."""
    with pytest.raises(PydanticCustomError, match="without a zone"):
        certificate_name(typed)
