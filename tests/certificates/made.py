"""Certificates as authorities, beginners and attackers make them. Keys are made once for all tests."""

import base64
import datetime as dt
import functools
import subprocess
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)


@functools.cache
def key(kind: str = "leaf") -> Any:
    """By name: the same one for the same name. `rsa-1024`, `secp256k1`, `ed25519` and `dsa` are kinds."""
    match kind.split("-"):
        case ["rsa", bits]:
            return rsa.generate_private_key(65537, int(bits))
        case ["secp256k1"]:
            return ec.generate_private_key(ec.SECP256K1())
        case ["secp521r1"]:
            return ec.generate_private_key(ec.SECP521R1())
        case ["ed25519"]:
            return ed25519.Ed25519PrivateKey.generate()
        case ["dsa"]:
            return dsa.generate_private_key(2048)
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Made:
    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> str:
        return self.encoded_key()

    def encoded_key(self, password: str = "", form: PrivateFormat = PrivateFormat.PKCS8) -> str:
        how = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        text: bytes = self.key.private_bytes(Encoding.PEM, form, how)
        return text.decode()

    def pkcs12(self, password: str = "", chain: Sequence["Made"] = (), *, with_key: bool = True) -> bytes:
        how = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        others = [issuer.certificate for issuer in chain]
        if not with_key:
            return pkcs12.serialize_key_and_certificates(None, None, None, [self.certificate, *others], how)
        return pkcs12.serialize_key_and_certificates(b"x", self.key, self.certificate, others, how)

    def pkcs7(self, chain: Sequence["Made"] = (), encoding: Encoding = Encoding.DER) -> bytes:
        return pkcs7.serialize_certificates([self.certificate, *(issuer.certificate for issuer in chain)], encoding)


def subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def alternative(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([general(name) for name in names])


def general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def made(
    *names: str,
    by: Made | None = None,
    common_name: str | None = None,
    subject_name: x509.Name | None = None,
    kind: str = "leaf",
    ca: bool = False,
    days: tuple[float, float] = (-1, 89),
    more: Callable[[x509.CertificateBuilder], x509.CertificateBuilder] = lambda builder: builder,
) -> Made:
    """Signed by an authority, or by itself. `days`: from and until, from now on."""
    own = key(kind)
    called = subject_name or subject(names[0] if common_name is None else common_name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(by.certificate.subject if by else called)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + days[0] * DAY)
        .not_valid_after(NOW + days[1] * DAY)
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    elif names:
        builder = builder.add_extension(alternative(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    signer = by.key if by else own
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Made(more(builder).sign(signer, algorithm), own)


@functools.cache
def root(name: str = "Example Root") -> Made:
    return made(common_name=name, kind=name, ca=True, days=(-100, 3000))


@functools.cache
def intermediate(name: str = "Example Intermediate", by: str = "Example Root") -> Made:
    return made(common_name=name, kind=name, ca=True, by=root(by), days=(-50, 1000))


@functools.cache
def leaf(*names: str, kind: str = "leaf") -> Made:
    return made(*(names or ("shop.example",)), by=intermediate(), kind=kind)


def full_chain(*names: str) -> str:
    """What an authority hands out."""
    return leaf(*names).pem + intermediate().pem


@functools.cache
def revoked(
    by: Made,
    days: tuple[float, float] = (-1, 30),
    serials: Collection[int] = (),
    signer: Made | None = None,
    extension: x509.ExtensionType | None = None,
) -> str:
    """A revocation list, PEM."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(NOW + days[0] * DAY)
        .next_update(NOW + days[1] * DAY)
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY).build()
        builder = builder.add_revoked_certificate(entry)
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign((signer or by).key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@functools.cache
def armored(der: bytes, label: str = "CERTIFICATE") -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


def misspelled(der: bytes, name: str) -> bytes:
    """With a name that is no UTF-8 where it last occurs."""
    before, _, after = der.rpartition(name.encode())
    assert after
    return before + b"\xff" * len(name) + after


def by_openssl(
    *options: str, subject: str = "/CN=shop.example", days: int = 90, new_key: str = "ec"
) -> tuple[str, str]:
    """(certificate, key): what cryptography would not sign any more. Signed by itself."""
    with tempfile.TemporaryDirectory(prefix="gp") as folder:
        paths = Path(folder) / "c.pem", Path(folder) / "k.pem"
        kind = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if new_key == "ec" else [new_key]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-subj", subject, "-days", str(days),
             "-addext", "subjectAltName=DNS:shop.example", "-keyout", paths[1], "-out", paths[0], *options],
            check=True, capture_output=True,
        )  # fmt: skip
        return paths[0].read_text(), paths[1].read_text()
