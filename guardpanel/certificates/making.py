"""Certificates that are made here: self-signed ones, and those of a local authority."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from guardpanel.certificates.reading import Parsed
from guardpanel.models.certificates.certificate import KeyType, is_address

LIFETIME = timedelta(days=366)
"Of a self-signed one, Mozilla's most for intermediate. No shorter: visitors that accepted it are asked again by each new one."

SIGNED_LIFETIME = timedelta(days=90)
"Of one by the local authority, Mozilla's most for modern: a new one costs nobody anything."

AUTHORITY_LIFETIME = timedelta(days=3650)
CLOCKS = timedelta(hours=1)
"By which a visitor's clock may be slow."

LONGEST_COMMON_NAME = 64
"Characters (RFC 5280, ub-common-name)."


def self_signed(names: Sequence[str], key_type: KeyType, now: datetime) -> Parsed:
    key = _key(key_type)
    name = _subject(names)
    leaf = _leaf(names, key, name, now, now - CLOCKS + LIFETIME).sign(key, hashes.SHA256())
    return Parsed(leaf, (), key, notices=("It is self-signed: browsers warn about it.",), names=tuple(names))


def by_authority(names: Sequence[str], key_type: KeyType, authority: Parsed, now: datetime) -> Parsed:
    """Signed by the local authority, whose root browsers must trust."""
    key, issuer = _key(key_type), authority.leaf
    ends = min(now - CLOCKS + SIGNED_LIFETIME, issuer.not_valid_after_utc)
    builder = _leaf(names, key, issuer.subject, now, ends)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
    )
    leaf = builder.sign(authority.key, hashes.SHA256())  # type: ignore[arg-type]
    return Parsed(leaf, (), key, notices=("Browsers accept it once they trust the local CA.",), names=tuple(names))


def authority(now: datetime) -> Parsed:
    """A root that signs server certificates only, not other authorities."""
    key = _key(KeyType.ECDSA)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _named(f"guardpanel local CA {identifier.digest.hex()[:8]}")
    builder = _certificate(key, name, name, now, now + AUTHORITY_LIFETIME)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    root = builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())
    return Parsed(root, (), key)


def stored_authority(chain: str, key: bytes) -> Parsed:
    return Parsed(x509.load_pem_x509_certificate(chain.encode()), (), load_pem_private_key(key, None))


def _leaf(names: Sequence[str], key: Any, issuer: x509.Name, now: datetime, ends: datetime) -> x509.CertificateBuilder:
    builder = _certificate(key, _subject(names), issuer, now, ends)
    alternative = [x509.IPAddress(ip_address(name)) if is_address(name) else x509.DNSName(name) for name in names]
    for extension, is_critical in (
        (x509.SubjectAlternativeName(alternative), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs_certificates=False), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
    ):
        builder = builder.add_extension(extension, critical=is_critical)
    return builder


def _certificate(
    key: Any, subject: x509.Name, issuer: x509.Name, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - CLOCKS).not_valid_after(ends)


def _key(kind: KeyType) -> Any:
    return rsa.generate_private_key(65537, 2048) if kind is KeyType.RSA else ec.generate_private_key(ec.SECP256R1())


def _subject(names: Sequence[str]) -> x509.Name:
    """The first name that fits: subjects are for people, browsers read the alternative names."""
    return _named(next((name for name in names if len(name) <= LONGEST_COMMON_NAME), "guardpanel"))


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
