"""The authorities of client certificates and their revocation lists: read from what was sent, and judged.

What OpenSSL makes of them was measured with HAProxy 2.6 and 2.8: without the root, or with a list of some of the CAs only, each
client gets `unknown_ca`; with a list past its next update, `certificate_expired`.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from guardpanel.certificates.client_authority_chains import usable
from guardpanel.certificates.judging import SHORTEST_RSA, UNREADABLE, key_type, unreadable_part
from guardpanel.certificates.names import called, day, with_names
from guardpanel.certificates.pem import NOT_A_CERTIFICATE, blocks, decoded, utf8
from guardpanel.certificates.reading import is_authority, is_root, signed
from guardpanel.errors import FieldError, Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models.certificates.client_ca import LARGEST, LARGEST_KIB

CERTIFICATES, LISTS, FILE = "certificates", "revocation_lists", "file"

NO_LIST = "This is not a revocation list. Paste PEM text, which begins with -----BEGIN X509 CRL-----, or choose a file."
WITH_KEY = "This contains a private key. Remove it: HAProxy needs only the certificates of the CA."
NO_CERTIFICATE = "Required: paste the CA’s certificates, or choose a file."

Certificate = x509.Certificate
RevocationList = x509.CertificateRevocationList
Flaw = tuple[str, str]
"A field, and what is wrong there."


@dataclass
class Authorities:
    """In the order in which they were sent."""

    certificates: list[Certificate] = field(default_factory=list)
    lists: list[RevocationList] = field(default_factory=list)

    @property
    def certificates_pem(self) -> str:
        return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in self.certificates)

    @property
    def lists_pem(self) -> str:
        return "".join(revoked.public_bytes(Encoding.PEM).decode() for revoked in self.lists)


def read(certificates: str, lists: str, files: Collection[bytes]) -> Authorities:
    """What files contain replaces the text of its kind. Raises Invalid (422) at the field."""
    sent = Authorities()
    for content in files:
        _read(sent, FILE, content)
    typed = Authorities()
    for name, text in ((CERTIFICATES, certificates), (LISTS, lists)):
        if text.strip():
            _read(typed, name, text.encode())
    return Authorities(sent.certificates or typed.certificates, sent.lists or typed.lists)


def must_fit(authorities: Authorities, files: Collection[bytes]) -> None:
    """As PEM text they are longer than as a binary file. Raises Invalid (422) where they were sent."""
    for name, text in ((CERTIFICATES, authorities.certificates_pem), (LISTS, authorities.lists_pem)):
        if len(text) > LARGEST:
            words = f"{len(text):,} characters as PEM text, and at most {LARGEST:,} are kept ({LARGEST_KIB} KiB)."
            raise Invalid.at(FILE if files else name, words)


def _read(into: Authorities, at: str, data: bytes) -> None:
    if len(data) > LARGEST:
        raise Invalid.at(
            at, f"Larger than {LARGEST_KIB} KiB. Remove the CAs that sign no client certificates.", FieldCode.TOO_LONG
        )
    text = utf8(data)
    if b"-----BEGIN" not in text:
        _read_binary(into, at, decoded(data))
        return
    for label, block in blocks(text, at):
        if label.endswith("PRIVATE KEY"):
            raise Invalid.at(at, WITH_KEY)
        if label == "X509 CRL":
            into.lists.append(_list(block, at, len(into.lists) + 1))
        elif label in {"CERTIFICATE", "X509 CERTIFICATE"}:
            whole = block.replace(label.encode(), b"CERTIFICATE")
            into.certificates.append(_certificate(whole, at, len(into.certificates) + 1))
        elif label in {"PKCS7", "PKCS #7 SIGNED DATA"}:
            _read_binary(into, at, decoded(b"".join(block.strip().splitlines()[1:-1])))
        else:
            raise Invalid.at(at, f"“{label}” can’t be used here. Give certificates and revocation lists.")


def _certificate(block: bytes, at: str, number: int) -> Certificate:
    try:
        return with_names(x509.load_pem_x509_certificate(block))
    except ValueError:
        raise Invalid.at(at, f"Certificate {number} is damaged.") from None


def _list(block: bytes, at: str, number: int) -> RevocationList:
    try:
        return with_names(x509.load_pem_x509_crl(block))
    except ValueError:
        raise Invalid.at(at, f"Revocation list {number} is damaged.") from None


def _read_binary(into: Authorities, at: str, data: bytes) -> None:
    with suppress(ValueError):
        into.certificates.append(with_names(x509.load_der_x509_certificate(data)))
        return
    with suppress(ValueError):
        into.lists.append(with_names(x509.load_der_x509_crl(data)))
        return
    try:
        into.certificates += [with_names(each) for each in pkcs7.load_der_pkcs7_certificates(data)]
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid.at(at, NO_LIST if at == LISTS else NOT_A_CERTIFICATE) from None


def judge(authorities: Authorities, now: datetime) -> None:
    """Raises Invalid (422) with the first flaw of each field."""
    errors: dict[str, FieldError] = {}
    for at, words in _flaws(authorities, now):
        errors.setdefault(at, FieldError(words))
    if errors:
        raise Invalid(" ".join(error.message for error in errors.values()), errors)


def _flaws(authorities: Authorities, now: datetime) -> Iterator[Flaw]:
    certificates, lists = authorities.certificates, authorities.lists
    if not certificates:
        yield CERTIFICATES, NO_CERTIFICATE
        return
    if odd := [(certificate, part) for certificate in certificates if (part := unreadable_part(certificate))]:
        yield from (
            (CERTIFICATES, f"{called(certificate.subject)} can’t be used: {part}.") for certificate, part in odd
        )
        return
    if (place := _twice(certificates)) is not None:
        yield CERTIFICATES, f"{called(certificates[place].subject)} is there twice: remove one."
    for certificate in certificates:
        yield from ((CERTIFICATES, words) for words in _flaws_of_certificate(certificate, certificates))
    yield from ((CERTIFICATES, words) for words in _flaws_of_time(certificates, now))
    if _twice(lists) is not None:
        yield LISTS, "A revocation list is there twice: remove one."
    for revoked in lists:
        yield from ((LISTS, words) for words in _flaws_of_list(revoked, certificates, now))
    if lists:
        yield from ((LISTS, words) for words in _flaws_of_lists(lists, certificates, now))


def _flaws_of_time(certificates: Sequence[Certificate], now: datetime) -> Iterator[str]:
    times = [usable(certificate, certificates) for certificate in certificates]
    last, first = max(time.end for time in times), min(time.start for time in times)
    if last <= now:
        yield f"Expired on {day(last)}, a CA or the one that signed it: HAProxy would reject every client certificate."
    elif first > now:
        yield f"Valid from {first:%Y-%m-%d %H:%M} UTC on: HAProxy would reject every client certificate until then."


def _twice(items: Sequence[Certificate] | Sequence[RevocationList]) -> int | None:
    """The place of the first repetition."""
    encoded = [item.public_bytes(Encoding.DER) for item in items]
    return next((place for place, der in enumerate(encoded) if der in encoded[:place]), None)


def _flaws_of_certificate(certificate: Certificate, all_of_them: Sequence[Certificate]) -> Iterator[str]:
    name = called(certificate.subject)
    if not is_authority(certificate):
        yield f"{name} is not a CA: give the certificate of the CA that signed it."
        return
    if not _may(certificate, "key_cert_sign"):
        yield f"{name} may not sign certificates (its key usage). Give another CA."
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < SHORTEST_RSA:
        yield f"{name} has a key that is too short ({key_type(key)}): HAProxy rejects what it signs."
    if not is_root(certificate) and not any(signed(parent, certificate) for parent in all_of_them):
        issuer = called(certificate.issuer)
        yield f"The certificate of {issuer} that signed {name} is missing. HAProxy needs every CA up to the root. Append it."


def _may(certificate: Certificate, use: str) -> bool:
    """Whether its key may be used so. Without a key usage for everything (RFC 5280 §4.2.1.3)."""
    try:
        return bool(getattr(certificate.extensions.get_extension_for_class(x509.KeyUsage).value, use))
    except x509.ExtensionNotFound:
        return True


def _flaws_of_list(revoked: RevocationList, certificates: Sequence[Certificate], now: datetime) -> Iterator[str]:
    name = called(revoked.issuer)
    signers = [certificate for certificate in certificates if is_of(revoked, certificate)]
    if not signers:
        yield f"None of the CAs above signed the revocation list of {name}. Append that CA, or remove the list."
    elif not any(_may(certificate, "crl_sign") for certificate in signers):
        yield f"{name} may not sign revocation lists (its key usage). Remove them, or give another CA."
    yield from (f"The revocation list of {name} {words}" for words in _is_no_whole_list(revoked))
    if revoked.last_update_utc > now:
        yield f"The revocation list of {name} is valid from {revoked.last_update_utc:%Y-%m-%d %H:%M} UTC on."


def _is_no_whole_list(revoked: RevocationList) -> Iterator[str]:
    """HAProxy would accept what only the base of a delta revokes, and everybody is locked out by a part of a list."""
    try:
        values = [extension.value for extension in revoked.extensions]
    except UNREADABLE:
        yield "can’t be used: its extensions can’t be read."
        return
    for value in values:
        match value:
            case x509.DeltaCRLIndicator():
                yield "is a delta: it has only what was revoked since another one. Give the whole list."
            case x509.IssuingDistributionPoint() as point if _is_a_part(point):
                yield "is only for a part of its certificates: HAProxy would reject all. Give a list of all of them."


def _is_a_part(point: x509.IssuingDistributionPoint) -> bool:
    only = point.only_contains_user_certs, point.only_contains_ca_certs, point.only_contains_attribute_certs
    return any(only) or point.indirect_crl or bool(point.only_some_reasons)


def _flaws_of_lists(
    lists: Sequence[RevocationList], certificates: Sequence[Certificate], now: datetime
) -> Iterator[str]:
    for certificate in certificates:
        name, its = called(certificate.subject), [revoked for revoked in lists if is_of(revoked, certificate)]
        if not its:
            yield f"The revocation list of {name} is missing. With one of them, HAProxy needs one of every CA. Append it."
        elif (end := next_update(its)) and end <= now:
            yield f"The revocation list of {name} ended on {day(end)}: every client certificate would be rejected."


def is_of(revoked: RevocationList, certificate: Certificate) -> bool:
    """Whether this CA issued and signed a revocation list."""
    if revoked.issuer != certificate.subject:
        return False
    try:
        return revoked.is_signature_valid(certificate.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def next_update(lists: Sequence[RevocationList]) -> datetime | None:
    """When the newest list of a CA ends. None: never."""
    ends = [revoked.next_update_utc for revoked in lists]
    return None if None in ends else max(end for end in ends if end)
