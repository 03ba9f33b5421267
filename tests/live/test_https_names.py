"""Which certificate a handshake gets, by its name: exact, wildcard, chosen, default, and none where unknown names are refused."""

import ssl
from collections.abc import Iterator

import pytest

from guardpanel.certificates.served import ServedCertificate, ServedCertificates
from guardpanel.models.certificates.certificate import Source
from guardpanel.rendering import Rows
from tests.certificates.made import NOW, leaf, made
from tests.live.stack import Stack
from tests.live.tls import context, handshake
from tests.rows import rows

NAMES = {
    1: ["*.shop.test"],
    2: ["www.shop.test"],
    3: ["shop.test", "*.shop.test"],
    4: ["192.0.2.1", "192.0.2.2"],
    5: ["192.0.2.3"],
    6: ["old.shop.test"],
    7: ["x_y.test"],
}
DAYS = {6: (-90, -1)}
"The last one expired."

CERTIFICATES = {
    number: made(*names, days=DAYS.get(number, (-1, 89))) if number in DAYS else leaf(*names)
    for number, names in NAMES.items()
}

HOSTS: dict[str, dict[str, object]] = {
    "www.shop.test *.shop.test": {},
    "api.shop.test *.api.shop.test": {"certificate_id": 3},
    "old.shop.test": {"certificate_id": 6},
    "192.0.2.1 192.0.2.2 192.0.2.3": {},
    "plain.shop.test": {"https": False},
    "x_y.test": {},
}

GETS: dict[str | None, int] = {
    "www.shop.test": 2,
    "WWW.Shop.TEST": 2,
    "a.shop.test": 1,
    "A.SHOP.test": 1,
    "api.shop.test": 3,
    "old.shop.test": 1,
    "plain.shop.test": 1,
    "a_b.shop.test": 1,
    "X_Y.test": 7,
}
"By name: exact before wildcard in any case, the chosen one, and a valid one instead of a chosen one that expired."

DEFAULT = ("shop.test", "a.b.shop.test", "x.api.shop.test", "www.shop.test.", "unknown.test", "192.0.2.3", None)
"Names that are not listed, or that no certificate covers. Clients name no IP address."

COVERED_BY_NONE = "x.api.shop.test"
"It is listed, so that it is no unknown name."


def state(traffic: dict[str, object], certificates: int = len(NAMES)) -> Rows:
    common = {"servers": [{"address": "192.0.2.9"}], "health_check": False, "https": True}
    nouns = [{"name": str(number)} for number in range(certificates)]
    return rows({}, {names: {**common, **own} for names, own in HOSTS.items()}, traffic, certificates=nouns)


@pytest.fixture(scope="module")
def stack(haproxy: str) -> Iterator[Stack]:
    served = [
        ServedCertificate(
            number, Source.UPLOAD, tuple(NAMES[number]), certificate.certificate.not_valid_before_utc,
            certificate.certificate.not_valid_after_utc, (certificate.pem + certificate.key_pem).encode(),
        )
        for number, certificate in CERTIFICATES.items()
    ]  # fmt: skip
    with Stack(haproxy, state({}), certificates=ServedCertificates(tuple(served), NOW)) as running:
        yield running


def served_for(stack: Stack, name: str | None, version: ssl.TLSVersion, *, h2: bool) -> bytes:
    with handshake(stack.tls_address, name, context(version, h2=h2)) as connection:
        assert connection.selected_alpn_protocol() == ("h2" if h2 else "http/1.1")
        return connection.getpeercert(binary_form=True) or b""


def own_default(stack: Stack) -> bytes:
    return ssl.PEM_cert_to_DER_cert(stack.facts.default_certificate.decode().split("-----BEGIN PRIVATE")[0])


KINDS = [(ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)]


def test_a_name_gets_its_certificate_and_others_the_default(stack: Stack) -> None:
    stack.reload(state({}))
    for version, h2 in KINDS:
        for name, number in GETS.items():
            assert served_for(stack, name, version, h2=h2) == CERTIFICATES[number].der, (name, version)
        for name in DEFAULT:
            expected = own_default(stack) if name == COVERED_BY_NONE else CERTIFICATES[4].der
            assert served_for(stack, name, version, h2=h2) == expected, (name, version)


def test_the_default_certificate_can_be_chosen(stack: Stack) -> None:
    stack.reload(state({"default_certificate_id": 2}))
    for name in DEFAULT:
        expected = own_default(stack) if name == COVERED_BY_NONE else CERTIFICATES[2].der
        assert served_for(stack, name, ssl.TLSVersion.TLSv1_3, h2=False) == expected, name
    assert served_for(stack, "a.shop.test", ssl.TLSVersion.TLSv1_3, h2=False) == CERTIFICATES[1].der


def test_unknown_names_are_refused_where_they_have_to_be_known(stack: Stack) -> None:
    stack.reload(state({"strict_sni": True}))
    for version, h2 in KINDS:
        for name, number in GETS.items():
            assert served_for(stack, name, version, h2=h2) == CERTIFICATES[number].der, (name, version)
        assert served_for(stack, COVERED_BY_NONE, version, h2=h2) == own_default(stack)
        for name in DEFAULT:
            if name != COVERED_BY_NONE:
                with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
                    served_for(stack, name, version, h2=h2)
