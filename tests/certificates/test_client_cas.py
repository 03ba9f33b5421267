"""Client CAs: what is accepted, in which words everything else is rejected, and what is said of what is stored."""

import base64
import datetime as dt
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from guardpanel.certificates.client_authorities import judge, read
from guardpanel.certificates.client_authority_state import authorities, end_of, state_of
from guardpanel.errors import Invalid
from guardpanel.models import ClientCa
from guardpanel.models.certificates.client_ca import LARGEST
from guardpanel.panel import Panel
from tests.certificates.made import DAY, NOW, Made, armored, intermediate, leaf, made, misspelled, revoked, root
from tests.conftest import Person
from tests.corpus import CORPUS

pytestmark = pytest.mark.anyio

PLACE = "/api/v1/client-cas"


def usage(**uses: bool) -> Callable[[x509.CertificateBuilder], x509.CertificateBuilder]:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    extension = x509.KeyUsage(**{name: uses.get(name, False) for name in names})
    return lambda builder: builder.add_extension(extension, critical=True)


def whole() -> str:
    return root().pem + intermediate().pem


def lists(**of_intermediate: Any) -> str:
    return revoked(root()) + revoked(intermediate(), **of_intermediate)


def ended(name: str) -> Made:
    return made(common_name=name, kind=name, ca=True, days=(-300, -2))


P_256, PRIME_239 = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030106")
KEY_USAGE, BASIC_CONSTRAINTS = bytes.fromhex("0603551d0f"), bytes.fromhex("0603551d13")


def odd(part: bytes, other: bytes) -> str:
    """A CA with another part in place of one. It is read before its signature is looked at."""
    der = made(common_name="Odd", ca=True, more=usage(key_cert_sign=True)).der
    assert der.count(part) == 1
    return x509.load_der_x509_certificate(der.replace(part, other)).public_bytes(Encoding.PEM).decode()


def a_part() -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(None, None, True, False, None, False, False)


def misspelled_ca() -> str:
    return armored(misspelled(root().der, "Example Root"))


def misspelled_list() -> str:
    der = x509.load_pem_x509_crl(revoked(root()).encode()).public_bytes(Encoding.DER)
    return armored(misspelled(der, "Example Root"), "X509 CRL")


@cache
def old_root() -> Made:
    return ended("Old Root")


@cache
def below(ca: Made, days: tuple[float, float] = (-1, 300)) -> Made:
    return made(common_name="Below", kind="below", ca=True, by=ca, days=days)


def bad() -> dict[str, tuple[str, str, str, str]]:
    """Certificates, revocation lists, the field that is wrong, and words there."""
    ca, ors, other = "certificates", "revocation_lists", root("Other Root")
    no_crl = made(common_name="No CRL", kind="no crl", ca=True, more=usage(key_cert_sign=True))
    return {
        "nothing": ("", "", ca, "Required: paste the CA’s certificates, or choose a file."),
        "only lists": ("", lists(), ca, "Required"),
        "text": ("hello", "", ca, "This is not a certificate."),
        "private key": (root().pem + root().key_pem, "", ca, "This contains a private key."),
        "encrypted key": (root().pem + root().encoded_key("x"), "", ca, "This contains a private key."),
        "key in the lists": (whole(), root().key_pem, ors, "This contains a private key."),
        "signing request": ("-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----", "", ca, "can’t be used"),
        "cut-off certificate": (whole()[:-60], "", ca, "The last certificate is cut off."),
        "cut-off first line": (whole() + "-----BEGIN CERTIFI", "", ca, "The last line is cut off."),
        "cut in the middle": (root().pem[:-60] + intermediate().pem, "", ca, "A certificate is cut off."),
        "damaged": (root().pem.replace("MII", "MIJ", 1), "", ca, "Certificate 1 is damaged."),
        "not a CA": (leaf().pem + whole(), "", ca, "shop.example is not a CA"),
        "may not sign": (
            made(common_name="Signs nothing", ca=True, more=usage(crl_sign=True)).pem, "", ca, "may not sign certificates"
        ),
        "short key": (made(common_name="Short", kind="rsa-1024", ca=True).pem, "", ca, "too short (RSA 1024)"),
        "without root": (intermediate().pem, "", ca, "The certificate of Example Root that signed Example Intermediate is missing."),
        "twice": (whole() + root().pem, "", ca, "Example Root is there twice: remove one."),
        "expired": (ended("Old").pem, "", ca, "Expired on "),
        "list of a stranger": (whole(), lists() + revoked(other), ors, "None of the CAs above signed the revocation list of Other Root."),
        "forged list": (whole(), revoked(root(), signer=other), ors, "None of the CAs above signed"),
        "list of the root only": (whole(), revoked(root()), ors, "The revocation list of Example Intermediate is missing."),
        "list of the intermediate only": (whole(), revoked(intermediate()), ors, "The revocation list of Example Root is missing."),
        "second CA without list": (whole() + other.pem, lists(), ors, "The revocation list of Other Root is missing."),
        "list ended": (whole(), lists(days=(-30, -1)), ors, "The revocation list of Example Intermediate ended on"),
        "list of tomorrow": (whole(), lists(days=(1, 30)), ors, "is valid from"),
        "list twice": (whole(), lists() + revoked(root()), ors, "A revocation list is there twice"),
        "may not sign lists": (no_crl.pem, revoked(no_crl), ors, "No CRL may not sign revocation lists"),
        "damaged list": (whole(), lists().replace("MIG", "MIH", 1), ors, "Revocation list 1 is damaged."),
        "subject that is no text": (misspelled_ca(), "", ca, "Certificate 1 is damaged."),
        "list of an issuer that is no text": (whole(), lists() + misspelled_list(), ors, "Revocation list 3 is damaged."),
        "cut-off list": (whole(), lists()[:-40], ors, "The last revocation list is cut off."),
        "delta": (whole(), lists(extension=x509.DeltaCRLIndicator(1)), ors, "The revocation list of Example Intermediate is a delta"),
        "part of a list": (whole(), lists(extension=a_part()), ors, "is only for a part of its certificates"),
        "curve that nobody knows": (odd(P_256, PRIME_239), "", ca, "Odd can’t be used: its key can’t be read."),
        "extension twice": (odd(KEY_USAGE, BASIC_CONSTRAINTS), "", ca, "Odd can’t be used: its extensions can’t be read."),
        "root expired": (old_root().pem + below(old_root()).pem, "", ca, "Expired on "),
        "valid from tomorrow": (made(common_name="New", ca=True, days=(1, 300)).pem, "", ca, "Valid from "),
        "no list": (whole(), "hello", ors, "This is not a revocation list."),
    }  # fmt: skip


@pytest.mark.parametrize("name", bad())
@pytest.mark.changes_nothing
async def test_a_bad_client_ca_is_rejected_at_its_field(ada_api: httpx2.AsyncClient, name: str) -> None:
    certificates, revocation_lists, field, words = bad()[name]

    answer = await ada_api.post(
        PLACE, json={"name": "x", "certificates": certificates, "revocation_lists": revocation_lists}
    )

    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert words in answer.json()["errors"][0]["message"]
    assert "PRIVATE KEY" not in answer.text
    assert (await ada_api.get(PLACE)).json()["total"] == 0


async def test_more_than_256_kib_are_rejected(ada_api: httpx2.AsyncClient) -> None:
    large = base64.b64encode(b"x" * (LARGEST + 1)).decode()
    for sent, words in (({"certificates": " " * (LARGEST + 1)}, "At most 262,144"), ({"file": large}, "256 KiB")):
        answer = await ada_api.post(PLACE, json={"name": "x", **sent})

        assert answer.status_code == 422
        assert words in answer.json()["errors"][0]["message"]


async def test_a_file_that_is_too_long_as_text_is_rejected_where_it_was_sent(
    ada: Person, ada_api: httpx2.AsyncClient
) -> None:
    list_ = x509.load_pem_x509_crl(revoked(root(), serials=range(1, 10800)).encode()).public_bytes(Encoding.DER)
    assert LARGEST / 1.3 < len(list_) < LARGEST
    sent = {"name": "x", "certificates": root().pem}

    answer = await ada_api.post(PLACE, json={**sent, "file": base64.b64encode(list_).decode()})
    page = await ada.post("/client-cas", data=sent, files={"file": ("ca.crl", list_)})

    assert (answer.status_code, page.status_code) == (422, 422)
    (error,) = answer.json()["errors"]
    assert error["field"] == "file" and "characters as PEM text, and at most 262,144 are kept" in error["message"]
    assert "as PEM text" in page.text
    assert (await ada_api.get(PLACE)).json()["total"] == 0


async def test_only_certificates_and_lists_are_stored(ada_api: httpx2.AsyncClient) -> None:
    noise = f"\ufeff# ours\r\n{whole()}Bag Attributes\n".replace("\n", "\r\n")

    made_ = await ada_api.post(PLACE, json={"name": "Staff", "certificates": noise, "revocation_lists": "\n" + lists()})

    assert made_.status_code == 201, made_.text
    assert (made_.json()["certificates"], made_.json()["revocation_lists"]) == (whole(), lists())
    row = (await ada_api.get(f"{PLACE}/1")).json()
    assert row["state"] == "valid"
    assert [authority["subject"] for authority in row["authorities"]] == ["CN=Example Root", "CN=Example Intermediate"]
    assert row["authorities"][1]["next_update"].startswith(f"{NOW + 30 * DAY:%Y-%m-%d}")


@pytest.mark.parametrize("form", ["PEM", "DER", "PKCS#7"])
async def test_files_replace_the_text_of_their_kind(ada_api: httpx2.AsyncClient, form: str) -> None:
    await ada_api.post(PLACE, json={"name": "Staff", "certificates": whole()})
    both = {
        "PEM": [lists().encode()],
        "DER": [x509.load_pem_x509_crl(revoked(ca).encode()).public_bytes(Encoding.DER) for ca in (root(), intermediate())],
        "PKCS#7": [root().pkcs7([intermediate()]), lists().encode()],
    }[form]  # fmt: skip

    sent = "\n".join(base64.b64encode(content).decode() for content in both)
    changed = await ada_api.patch(f"{PLACE}/1", json={"file": sent})

    assert changed.status_code == 200, changed.text
    assert changed.json()["revocation_lists"] == lists()
    assert sorted(changed.json()["certificates"].split("\n\n")) == sorted(whole().split("\n\n"))


async def test_a_list_that_ended_since_prevents_no_other_edit(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    await ada_api.post(PLACE, json={"name": "Staff", "certificates": whole(), "revocation_lists": lists()})
    old = lists(days=(-30, -1))
    async with panel.database.write() as session:
        row = await session.get(ClientCa, 1)
        assert row is not None
        row.revocation_lists = old
        session.add(row)

    renamed = await ada_api.patch(f"{PLACE}/1", json={"name": "Crew"})

    assert (renamed.status_code, renamed.json()["state"]) == (200, "crl_ended")
    again = await ada_api.patch(f"{PLACE}/1", json={"revocation_lists": old + revoked(root("Other Root"))})
    assert again.status_code == 422


def test_an_authority_that_expired_beside_another_is_accepted() -> None:
    both = root().pem + ended("Old").pem

    judge(read(both, "", ()), NOW)

    assert state_of(authorities(both, ""), NOW).key == "expired_in_part"


def test_the_newest_list_of_a_ca_counts() -> None:
    both = lists(days=(-30, -1)) + revoked(intermediate())

    judge(read(whole(), both, ()), NOW)

    assert state_of(authorities(whole(), both), NOW).key == "valid"


@pytest.mark.parametrize(
    ("left", "key", "tone", "words"),
    [
        (8, "valid", "ok", " days left"),
        (6.5, "crl_ending", "warn", "CRL ends in 6 days"),
        (0.5, "crl_ending", "bad", "CRL ends in 12 hours"),
        (-1.5, "crl_ended", "bad", "CRL ended 1 day ago"),
    ],
)
def test_the_end_of_a_list_is_announced(left: float, key: str, tone: str, words: str) -> None:
    its = authorities(whole(), lists())

    state = state_of(its, NOW + (30 - left) * DAY)

    assert (state.key, state.tone) == (key, tone)
    assert words in state.words


def test_the_end_of_a_ca_is_announced() -> None:
    its = authorities(whole(), "")

    def key(days: float) -> str:
        return state_of(its, NOW + dt.timedelta(days=days)).key

    assert [key(days) for days in (900, 980, 1001, 3001)] == ["valid", "expiring", "expired_in_part", "expired"]


def test_a_ca_is_of_use_while_its_whole_chain_is_valid() -> None:
    ends_first = made(common_name="Root", kind="short root", ca=True, days=(-1, 5))
    its = authorities(ends_first.pem + below(ends_first).pem, "")
    with_lists = authorities(ends_first.pem, revoked(ends_first, days=(-1, 300)))
    later = authorities(made(common_name="Later", ca=True, days=(3, 300)).pem, "")

    assert state_of(its, NOW).words == "A CA ends in 5 days"
    assert state_of(its, NOW + 6 * DAY).key == "expired"
    assert (state_of(later, NOW).key, state_of(later, NOW).tone) == ("not_yet", "bad")
    assert end_of(its) == end_of(with_lists) == NOW + 5 * DAY
    assert end_of(authorities(whole(), lists())) == NOW + 30 * DAY
    assert end_of(()) is None


@pytest.mark.parametrize("field", ["certificates", "revocation_lists"])
def test_hostile_text_is_rejected_or_left_out(field: str) -> None:
    rejected = 0
    for text in CORPUS:
        sent = {"certificates": whole(), "revocation_lists": lists()}
        sent[field] = text + sent[field]
        try:
            reading = read(sent["certificates"], sent["revocation_lists"], ())
        except Invalid as error:
            rejected += 1
            assert error.errors[field].message  # noqa: PT017 some texts are rejected
        else:
            assert (reading.certificates_pem, reading.lists_pem) == (whole(), lists())
    assert rejected < len(CORPUS)
