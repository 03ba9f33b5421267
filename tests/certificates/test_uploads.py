"""Bad uploads: each is refused with words at its field, or taken after a confirmation. Nothing else changes."""

import base64
import datetime as dt
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from guardpanel.certificates.names import covers
from guardpanel.certificates.pem import Material
from guardpanel.certificates.reading import Parsed, parse
from guardpanel.errors import Invalid
from guardpanel.panel import Panel
from tests.certificates.made import (
    NOW,
    Made,
    alternative,
    armored,
    by_openssl,
    full_chain,
    intermediate,
    key,
    leaf,
    made,
    misspelled,
    root,
)


@dataclass(frozen=True)
class Case:
    """`at` and `words`: refused so. `warned`: taken with this warning. Neither: taken, with `noticed` if there is something."""

    name: str
    certificate: str | bytes = ""
    private_key: str | bytes = ""
    files: tuple[bytes, ...] = ()
    password: str = ""
    at: str = ""
    words: str = ""
    warned: str = ""
    noticed: str = ""
    names: tuple[str, ...] = field(default=("shop.example",))

    @property
    def material(self) -> Material:
        return Material(_bytes(self.certificate), _bytes(self.private_key), self.files, self.password)


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


@cache
def cases() -> tuple[Case, ...]:
    return (*of_keys(), *of_chains(), *of_forms(), *of_times_and_names(), *of_weak_ones(), *of_files())


def alone(certificate: Made) -> tuple[str, str]:
    """With its chain, and its key."""
    return certificate.pem + intermediate().pem, certificate.key_pem


def signed(*names: str, **others: object) -> tuple[str, str]:
    return alone(made(*(names or ("shop.example",)), by=intermediate(), **others))  # type: ignore[arg-type]


def of_keys() -> list[Case]:
    good, other = full_chain(), leaf("other.example", kind="other")
    locked = leaf().encoded_key("secret")
    old = leaf().encoded_key("secret", PrivateFormat.TraditionalOpenSSL)
    public = key("leaf").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    does_not = "None of the 2 certificates belongs to this private key."
    return [
        Case("key of another certificate", good, other.key_pem, at="private_key", words=does_not),
        Case("key of another, one certificate", leaf().pem, other.key_pem, at="private_key", words="its public key differs"),
        Case("no key", good, at="private_key", words="Required: the certificate’s private key."),
        Case("only a key", "", leaf().key_pem, at="certificate", words="There is a private key but no certificate."),
        Case("public key", good, public, at="private_key", words="public key, not the private key"),
        Case("two keys", good, leaf().key_pem + other.key_pem, at="private_key", words="several private keys"),
        Case("same key twice", good, leaf().key_pem * 2),
        Case("key in the certificate's text", good + leaf().key_pem),
        Case("encrypted, no password", good, locked, at="password", words="is encrypted: enter its password"),
        Case("encrypted, wrong password", good, locked, password="x", at="password", words="The password is wrong, or the file is damaged."),
        Case("encrypted, right password", good, locked, password="secret"),
        Case("old encryption, no password", good, old, at="password", words="is encrypted: enter its password"),
        Case("old encryption, wrong password", good, old, password="x", at="password", words="The password is wrong"),
        Case("old encryption, right password", good, old, password="secret"),
        Case("password for a plain key", good, leaf().key_pem, password="unneeded"),
        Case("traditional key", good, leaf().encoded_key(form=PrivateFormat.TraditionalOpenSSL)),
        Case("EC parameters first", good, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + leaf().key_pem),
        Case("SSH key", good, key("leaf").private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, _plain()), at="private_key", words="SSH key"),
        Case("key cut off", good, leaf().key_pem[:120], at="private_key", words="The private key is cut off."),
        Case("key with a wrong byte", good, leaf().key_pem.replace("M", "!", 1), at="private_key", words="The private key is damaged."),
        Case("key is nonsense", good, "hello", at="private_key", words="The private key is damaged."),
    ]  # fmt: skip


def _plain() -> object:
    from cryptography.hazmat.primitives.serialization import NoEncryption

    return NoEncryption()


def of_chains() -> list[Case]:
    lowest, middle, top, stranger = leaf(), intermediate(), root(), root("Stranger Root")
    missing = "Example Intermediate that signed this one is missing. Browsers will refuse it."
    twin = made("shop.example", by=middle)
    return [
        Case("in order", lowest.pem + middle.pem, lowest.key_pem),
        Case("reversed, with root", top.pem + middle.pem + lowest.pem, lowest.key_pem, noticed="put in order"),
        Case("root included", lowest.pem + middle.pem + top.pem, lowest.key_pem, noticed="Left out: Example Root."),
        Case("stranger included", lowest.pem + middle.pem + stranger.pem, lowest.key_pem, noticed="Left out: Stranger Root."),
        Case("intermediate missing", lowest.pem, lowest.key_pem, warned=missing),
        Case("unrelated intermediate", lowest.pem + stranger.pem, lowest.key_pem, warned=missing, noticed="Left out: Stranger Root."),
        Case("only the root", lowest.pem + top.pem, lowest.key_pem, warned=missing),
        Case("signed by a root", made("shop.example", by=top).pem + top.pem, key("leaf") and lowest.key_pem, noticed="Left out"),
        Case("same certificate twice", lowest.pem * 2 + middle.pem, lowest.key_pem),
        Case("two leaves", lowest.pem + leaf("other.example", kind="other").pem, lowest.key_pem, at="certificate", words="Two certificates are not intermediates"),
        Case("two of one key", lowest.pem + twin.pem + middle.pem, lowest.key_pem, at="certificate", words="Several certificates belong to this key"),
        Case("only the authority's", middle.pem, middle.key_pem, at="certificate", words="certificate of an authority"),
        Case("expired intermediate", *_below_expired(), warned="intermediate certificate Old Intermediate expired on"),
        Case("self-signed", made("shop.example").pem, lowest.key_pem, noticed="self-signed"),
    ]  # fmt: skip


def _below_expired() -> tuple[str, str]:
    old = made(common_name="Old Intermediate", kind="Old", ca=True, by=root(), days=(-90, -1))
    below = made("shop.example", by=old)
    return below.pem + old.pem, below.key_pem


def of_forms() -> list[Case]:
    good, own = full_chain(), leaf().key_pem
    request = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"
    trusted = good.replace("BEGIN CERTIFICATE", "BEGIN TRUSTED CERTIFICATE").replace(
        "END CERTIFICATE", "END TRUSTED CERTIFICATE"
    )
    not_one = "This is not a certificate."
    return [
        Case("nonsense", "hello", own, at="certificate", words=not_one),
        Case("a web page", "<html><body>404</body></html>", own, at="certificate", words=not_one),
        Case("NUL bytes", "\0" * 100, own, at="certificate", words=not_one),
        Case("DER in Base64", base64.b64encode(leaf().der), own, warned="that signed this one is missing"),
        Case("key called certificate", own.replace("PRIVATE KEY", "CERTIFICATE"), own, at="certificate", words="Certificate 1 is damaged."),
        Case("subject is no text", armored(misspelled(leaf().der, "Example Intermediate")), own, at="certificate", words="Certificate 1 is damaged."),
        Case("empty block", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", own, at="certificate", words="Certificate 1 is damaged."),
        Case("last one cut off", good[:-60], own, at="certificate", words="The last certificate is cut off."),
        Case("first one cut off", leaf().pem[:-40] + intermediate().pem, own, at="certificate", words="A certificate is cut off."),
        Case("wrong Base64", good.replace("MII", "!!!", 1), own, at="certificate", words="Certificate 1 is damaged."),
        Case("second damaged", leaf().pem + intermediate().pem.replace("MII", "AAA", 1), own, at="certificate", words="Certificate 2 is damaged."),
        Case("signing request", request, own, at="certificate", words="signing request (CSR)"),
        Case("TRUSTED CERTIFICATE", trusted, own, at="certificate", words="can’t be used here"),
        Case("64 KiB and more", good + "#" * 65536, own, at="certificate", words="Larger than 64 KiB: not a certificate."),
        Case("CRLF", good.replace("\n", "\r\n"), own.replace("\n", "\r\n")),
        Case("byte order mark", "\ufeff" + good, own),
        Case("text around", f"subject=CN\n{good}\nBag Attributes\n  localKeyID: 01", f"# mine\n{own}"),
        Case("shell text beside it", good + "\n; rm -rf / #`id`$(id)", own),
        Case("a CRL beside it", good + "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n", own),
    ]  # fmt: skip


def of_times_and_names() -> list[Case]:
    no_name = "The certificate has no hostname (subject alternative name)"
    unusable = "The certificate can’t be used: the name"
    clients = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    for_clients = alone(_plain_leaf(alternative(["shop.example"]), clients))
    staple = alone(_plain_leaf(alternative(["shop.example"]), x509.TLSFeature([x509.TLSFeatureType.status_request])))
    return [
        Case("expired", *signed(days=(-90, -1)), at="certificate", words=f"The certificate expired on {NOW - dt.timedelta(days=1):%Y-%m-%d}."),
        Case("not yet valid", *signed(days=(2, 90)), warned="Valid from"),
        Case("no name", *alone(_plain_leaf()), at="certificate", words=no_name),
        Case("only a mail address", *alone(_plain_leaf(x509.SubjectAlternativeName([x509.RFC822Name("a@shop.example")]))), at="certificate", words=no_name),
        Case("NUL in a name", *alone(_plain_leaf(alternative(["shop.example\0.evil"]))), at="certificate", words=unusable),
        Case("space in a name", *alone(_plain_leaf(alternative(["shop example"]))), at="certificate", words=unusable),
        Case("URL as a name", *alone(_plain_leaf(alternative(["https://shop.example"]))), at="certificate", words=unusable),
        Case("path as a name", *alone(_plain_leaf(alternative(["../../etc/haproxy"]))), at="certificate", words=unusable),
        Case("line break in a name", *alone(_plain_leaf(alternative(["shop.example\nevil"]))), at="certificate", words=unusable),
        Case("two wildcards", *alone(_plain_leaf(alternative(["*.*.example"]))), at="certificate", words=unusable),
        Case("upper case", *alone(_plain_leaf(alternative(["Shop.EXAMPLE"])))),
        Case("wildcard and address", *signed("*.shop.example", "192.0.2.7", "2001:db8::1"), names=("*.shop.example", "192.0.2.7", "2001:db8::1")),
        Case("underscores", *alone(_plain_leaf(alternative(["shop.example", "a_b.shop.example", "*.x_y.example"]))), names=("shop.example", "a_b.shop.example", "*.x_y.example")),
        Case("underscore and NUL", *alone(_plain_leaf(alternative(["a_b.example\0.evil"]))), at="certificate", words=unusable),
        Case("same name twice", *alone(_plain_leaf(alternative(["shop.example", "shop.example"])))),
        Case("for clients", *for_clients, at="certificate", words="not for servers (extended key usage)"),
        Case("must-staple", *staple, warned="demands OCSP stapling"),
        Case("empty subject", *alone(made("shop.example", common_name="", by=intermediate()))),
    ]  # fmt: skip


def _plain_leaf(*extensions: x509.ExtensionType) -> Made:
    def add(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder

    return made(common_name="shop.example", by=intermediate(), more=add)


def of_weak_ones() -> list[Case]:
    def of(kind: str) -> tuple[str, str]:
        return alone(leaf(kind=kind))

    return [
        Case("RSA 1024", *of("rsa-1024"), at="certificate", words="RSA 1024 is too short: use 2048 or more."),
        Case("RSA 2048", *of("rsa-2048")),
        Case("secp256k1", *of("secp256k1"), at="certificate", words="Browsers do not accept ECDSA secp256k1"),
        Case("P-521", *of("secp521r1"), warned="Browsers do not accept ECDSA P-521 certificates."),
        Case("Ed25519", *of("ed25519"), warned="Browsers do not accept Ed25519 certificates."),
        Case("DSA", *of("dsa"), at="certificate", words="DSA keys can’t be used for https: use RSA or ECDSA."),
        Case("SHA-1", *by_openssl("-sha1"), at="certificate", words="signed with SHA-1: browsers refuse it."),
        Case(
            "MD5",
            *by_openssl("-md5", new_key="rsa:2048"),
            at="certificate",
            words="signed with MD5: browsers refuse it.",
        ),
    ]


def of_files() -> list[Case]:
    own, chain = leaf(), [intermediate()]
    encrypted, open_ = own.pkcs12("secret", chain), own.pkcs12("", chain)
    wrong = "The password is wrong, or the file is damaged."
    return [
        Case("PKCS#12", files=(encrypted,), password="secret"),
        Case("PKCS#12 without a password", files=(open_,)),
        Case("PKCS#12, no password", files=(encrypted,), at="password", words="The file is encrypted: enter its password."),
        Case("PKCS#12, wrong password", files=(encrypted,), password="x", at="password", words=wrong),
        Case("PKCS#12, damaged", files=(encrypted[:300] + bytes([encrypted[300] ^ 1]) + encrypted[301:],), password="secret", at="password", words=wrong),
        Case("PKCS#12, cut off", files=(encrypted[:500],), password="secret", at="file", words="This is not a certificate."),
        Case("PKCS#12 without key", files=(own.pkcs12("secret", chain, with_key=False),), password="secret", at="file", words="This file holds no private key."),
        Case("PKCS#12 without intermediate", files=(own.pkcs12("secret"),), password="secret", warned="is missing"),
        Case("DER and key file", files=(own.der, own.key_pem.encode(), intermediate().der)),
        Case("DER alone", files=(own.der,), at="private_key", words="Required"),
        Case("PKCS#7 and key", private_key=own.key_pem, files=(own.pkcs7(chain),)),
        Case("PKCS#7 in PEM", private_key=own.key_pem, files=(own.pkcs7(chain, Encoding.PEM),)),
        Case("PEM file of everything", files=((full_chain() + own.key_pem).encode(),)),
        Case("PEM in UTF-16", files=((full_chain() + own.key_pem).encode("utf-16"),)),
        Case("DER key", full_chain(), files=(key("leaf").private_bytes(Encoding.DER, PrivateFormat.PKCS8, _plain()),)),
        Case("a picture", files=(b"\x89PNG\r\n\x1a\n" + bytes(100),), at="file", words="This is not a certificate."),
        Case("an archive", files=(b"PK\x03\x04" + bytes(100),), at="file", words="This is not a certificate."),
        Case("nothing in it", files=(b"",), at="file", words="This is not a certificate."),
        Case("10 MB", files=(bytes(10_000_000),), at="file", words="Larger than 64 KiB: not a certificate."),
        Case("70,000 bytes", files=(bytes(70_000),), at="file", words="Larger than 64 KiB: not a certificate."),
    ]  # fmt: skip


def judged(case: Case) -> Parsed | dict[str, str]:
    try:
        return parse(case.material, NOW)
    except Invalid as invalid:
        return {name: error.message for name, error in invalid.errors.items()}


def test_each_bad_upload_has_its_words_at_its_field() -> None:
    assert len([case for case in cases() if case.at or case.warned]) >= 60
    wrong = {}
    for case in cases():
        result = judged(case)
        if case.at:
            is_right = isinstance(result, dict) and case.words in result.get(case.at, "")
        else:
            is_right = (
                isinstance(result, Parsed)
                and result.names == case.names
                and (any(case.warned in words for words in result.warnings) if case.warned else not result.warnings)
                and (not case.noticed or any(case.noticed in words for words in result.notices))
            )
        if not is_right:
            wrong[case.name] = result

    assert not wrong


@pytest.mark.anyio
async def test_none_of_them_changes_anything_and_no_key_is_shown(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, caplog: pytest.LogCaptureFixture
) -> None:
    """As JSON. Afterwards right ones are saved. Keys and passwords are nowhere but where they are sealed."""
    bad = [case for case in cases() if case.at or case.warned]
    before = kept(panel)
    answers = [await ada_api.post("/api/v1/certificates", json=body(case)) for case in bad]
    for case, answer in zip(bad, answers, strict=True):
        expected = 413 if case.name == "10 MB" else 422 if case.at else 409
        assert answer.status_code == expected, (case.name, answer.text)
    assert kept(panel) == before
    for case in cases():
        if case not in bad:
            answers.append(await ada_api.post("/api/v1/certificates", json=body(case)))
            assert answers[-1].status_code in {201, 422}, (case.name, answers[-1].text)
    good = {"name": "good", "certificate": full_chain("good.example"), "private_key": leaf("good.example").key_pem}
    assert (await ada_api.post("/api/v1/certificates", json=good)).status_code == 201
    page = await ada.post(
        "/certificates", data=good | {"source": "upload", "certificate": "broken", "password": "hunter2hunter2"}
    )
    assert page.status_code == 422

    pages = [
        "/certificates",
        "/certificates/1",
        "/certificates/1/edit",
        "/changes",
        "/changes/2",
        "/metrics",
        "/system",
        "/search?q=good",
    ]
    texts = [page.text, caplog.text, *(answer.text for answer in answers)]
    texts += [(await ada.get(path)).text for path in pages]
    texts += [(await ada_api.get(path)).text for path in ("/api/v1/certificates", "/api/v1/certificates/1")]
    everything = "".join(texts)
    for canary in ("PRIVATE KEY-----\nM", *canaries(), "hunter2hunter2"):
        assert canary not in everything
    stored = b"".join(path.read_bytes() for path in panel.settings.data_dir.glob("guardpanel.db*"))
    assert not any(canary.encode() in stored for canary in (*canaries(), "hunter2hunter2"))
    assert panel.settings.secret_key.stat().st_mode & 0o777 == 0o600


def kept(panel: Panel) -> dict[str, object]:
    """Every file but the databases, and the rows of certificates and changes."""
    folder = panel.settings.data_dir
    state: dict[str, object] = {
        str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".db" not in path.name
    }
    with closing(sqlite3.connect(folder / "guardpanel.db")) as database:
        for table in ("certificate", "certificatecontent", "revision", "deployment"):
            state[table] = database.execute(f"SELECT * FROM {table}").fetchall()
    return state


def body(case: Case) -> dict[str, str]:
    texts = {"certificate": case.certificate, "private_key": case.private_key}
    sent = {name: text.decode("latin-1") if isinstance(text, bytes) else text for name, text in texts.items()}
    files = "\n".join(base64.b64encode(file).decode() for file in case.files)
    return {"name": f"Case {cases().index(case)}", **sent, "file": files, "password": case.password}


def canaries() -> list[str]:
    """A line from the midst of each key."""
    return [certificate.key_pem.splitlines()[2] for certificate in (leaf(), leaf("good.example"))]


@pytest.mark.parametrize(
    ("names", "hostname", "is_covered"),
    [
        (["shop.example"], "shop.example", True),
        (["*.shop.example"], "www.shop.example", True),
        (["*.shop.example"], "shop.example", False),
        (["*.shop.example"], "a.b.shop.example", False),
        (["*.shop.example"], "*.shop.example", True),
        (["www.shop.example"], "*.shop.example", False),
    ],
)
def test_a_wildcard_covers_one_label(names: list[str], hostname: str, is_covered: bool) -> None:
    assert covers(names, hostname) is is_covered
