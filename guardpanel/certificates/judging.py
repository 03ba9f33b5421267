"""What is wrong with a certificate. HAProxy accepts nearly all of it, and browsers refuse it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from guardpanel.certificates.names import UnreadableName, called, day, names_of

SHORTEST_RSA, LONGEST_RSA = 2048, 8192
"Bits. HAProxy of a distribution refuses shorter ones, and longer ones take a core for each handshake."

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
BROWSERS_TAKE = {"P-256", "P-384"}
BROKEN = {"md2": "MD2", "md4": "MD4", "md5": "MD5", "sha1": "SHA-1"}


UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
"What the parts of a certificate raise that are only read when they are asked for."


def unreadable_part(certificate: x509.Certificate) -> str:
    """What is in it that OpenSSL’s and guardpanel’s readers can’t use, as the end of a sentence. Empty: nothing."""
    for words, read in (("its key", certificate.public_key), ("its extensions", lambda: certificate.extensions)):
        try:
            read()
        except UNREADABLE:
            return f"{words} can’t be read"
    return ""


@dataclass(frozen=True)
class Flaw:
    """`is_fatal`: refused. Otherwise accepted after it was confirmed."""

    words: str
    is_fatal: bool = False


def key_type(public_key: object) -> str:
    """`ECDSA P-256`"""
    match public_key:
        case rsa.RSAPublicKey():
            return f"RSA {public_key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"ECDSA {CURVES.get(public_key.curve.name, public_key.curve.name)}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
    return type(public_key).__name__.strip("_").removesuffix("PublicKey")


def flaws_of_key(public_key: object) -> Iterator[Flaw]:
    kind = key_type(public_key)
    match public_key:
        case rsa.RSAPublicKey(key_size=bits) if bits < SHORTEST_RSA:
            yield Flaw(f"{kind} is too short: use {SHORTEST_RSA} or more.", is_fatal=True)
        case rsa.RSAPublicKey(key_size=bits) if bits > LONGEST_RSA:
            yield Flaw(f"{kind} is too long: use {LONGEST_RSA} or less.", is_fatal=True)
        case rsa.RSAPublicKey():
            return
        case ec.EllipticCurvePublicKey() if public_key.curve.name not in CURVES:
            yield Flaw(f"Browsers do not accept {kind}: use P-256 or P-384.", is_fatal=True)
        case ec.EllipticCurvePublicKey() if kind.removeprefix("ECDSA ") in BROWSERS_TAKE:
            return
        case ec.EllipticCurvePublicKey() | ed25519.Ed25519PublicKey():
            yield Flaw(f"Browsers do not accept {kind} certificates.")
        case _:
            yield Flaw(f"{kind} keys can’t be used for https: use RSA or ECDSA.", is_fatal=True)


def flaws_of_leaf(leaf: x509.Certificate, now: datetime) -> Iterator[Flaw]:
    yield from _names(leaf)
    yield from _validity(leaf, now)
    yield from flaws_of_signature(leaf, "The certificate")
    yield from _uses(leaf)


def flaws_of_chain(chain: tuple[x509.Certificate, ...], now: datetime) -> Iterator[Flaw]:
    for intermediate in chain:
        name = called(intermediate.subject)
        if part := unreadable_part(intermediate):
            yield Flaw(f"The intermediate certificate {name} can’t be used: {part}.", is_fatal=True)
            continue
        yield from flaws_of_signature(intermediate, name)
        if intermediate.not_valid_after_utc < now:
            yield Flaw(f"The intermediate certificate {name} expired on {day(intermediate.not_valid_after_utc)}.")
        if any(flaw.is_fatal for flaw in flaws_of_key(intermediate.public_key())):
            weak = key_type(intermediate.public_key())
            yield Flaw(
                f"The intermediate certificate {name} has a weak key ({weak}): browsers refuse it.", is_fatal=True
            )


def flaws_of_signature(certificate: x509.Certificate, name: str) -> Iterator[Flaw]:
    try:
        algorithm = certificate.signature_hash_algorithm
    except ValueError:
        yield Flaw(f"{name} is signed in an unknown way.", is_fatal=True)
        return
    if algorithm and algorithm.name in BROKEN:
        yield Flaw(f"{name} is signed with {BROKEN[algorithm.name]}: browsers refuse it.", is_fatal=True)


def _names(leaf: x509.Certificate) -> Iterator[Flaw]:
    try:
        names = names_of(leaf)
    except UnreadableName as error:
        yield Flaw(f"The certificate can’t be used: {error}.", is_fatal=True)
        return
    if not names:
        yield Flaw(
            "The certificate has no hostname (subject alternative name), and browsers ignore the common name.",
            is_fatal=True,
        )


def _validity(leaf: x509.Certificate, now: datetime) -> Iterator[Flaw]:
    if leaf.not_valid_after_utc <= leaf.not_valid_before_utc:
        yield Flaw("The certificate is never valid: it ends before it begins.", is_fatal=True)
    elif leaf.not_valid_after_utc <= now:
        yield Flaw(f"The certificate expired on {day(leaf.not_valid_after_utc)}.", is_fatal=True)
    elif leaf.not_valid_before_utc > now:
        yield Flaw(f"Valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on: browsers refuse it until then.")


def _uses(leaf: x509.Certificate) -> Iterator[Flaw]:
    try:
        extensions = leaf.extensions
    except ValueError:
        return  # Said of its names.
    for extension in extensions:
        match extension.value:
            case x509.ExtendedKeyUsage() as uses:
                if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(uses):
                    yield Flaw("The certificate is not for servers (extended key usage).", is_fatal=True)
            case x509.BasicConstraints(ca=True) if leaf.issuer != leaf.subject:
                yield Flaw("This is the certificate of an authority, not of a server.", is_fatal=True)
            case x509.TLSFeature() as features if x509.TLSFeatureType.status_request in features:
                yield Flaw(
                    "The certificate demands OCSP stapling (must-staple), which is not provided: some browsers refuse it."
                )
