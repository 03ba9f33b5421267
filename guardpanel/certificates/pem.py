"""What an upload holds: certificates and private keys, from PEM, DER, PKCS#7 and PKCS#12, with clear words for everything else.

Pure. Findings of cryptography 50 about damaged input decide the order of tries: a cut-off last certificate is silently dropped by
its own reader, so blocks are found here.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key, pkcs7, pkcs12

from guardpanel.certificates.names import with_names
from guardpanel.errors import Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models.certificates.certificate import LARGEST

BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 #]{1,40})-----")
NOT_PRIVATE = "This is a public key, not the private key."
DAMAGED_FILE = "The password is wrong, or the file is damaged."
DAMAGED_KEY = "The private key is damaged."
NOT_A_CERTIFICATE = "This is not a certificate. PEM text begins with -----BEGIN CERTIFICATE-----."

IGNORED = {"EC PARAMETERS", "DH PARAMETERS", "X509 CRL", "DSA PARAMETERS"}
REFUSED = {
    "CERTIFICATE REQUEST": "This is a signing request (CSR). Upload the certificate that the authority made from it.",
    "NEW CERTIFICATE REQUEST": "This is a signing request (CSR). Upload the certificate that the authority made from it.",
    "PUBLIC KEY": NOT_PRIVATE,
    "RSA PUBLIC KEY": NOT_PRIVATE,
    "OPENSSH PRIVATE KEY": "This is an SSH key. A certificate has a key of its own.",
    "PGP PRIVATE KEY BLOCK": "This is a PGP key. A certificate has a key of its own.",
}


@dataclass(frozen=True)
class Material:
    """As it was sent: text or file contents. The password is only used here."""

    certificate: bytes = field(default=b"", repr=False)
    private_key: bytes = field(default=b"", repr=False)
    files: tuple[bytes, ...] = field(default=(), repr=False)
    password: str = field(default="", repr=False)

    @property
    def is_empty(self) -> bool:
        return not (self.certificate.strip() or self.private_key.strip() or self.files)


@dataclass
class Contents:
    """What was in it, in order, without repetitions. Keys with the field in which they were."""

    certificates: list[x509.Certificate] = field(default_factory=list)
    keys: list[tuple[PrivateKeyTypes, str]] = field(default_factory=list)

    def add(self, certificate: x509.Certificate) -> None:
        if certificate not in self.certificates:
            self.certificates.append(certificate)

    def add_key(self, key: Any, at: str) -> None:
        if all(key.public_key() != known.public_key() for known, _ in self.keys):
            self.keys.append((key, at))


def contents_of(material: Material) -> Contents:
    """Raises Invalid (422) at `certificate`, `private_key`, `file` or `password`."""
    contents = Contents()
    fields = [("certificate", material.certificate), ("private_key", material.private_key)]
    for at, data in [*fields, *(("file", data) for data in material.files)]:
        if len(data) > LARGEST:
            raise Invalid.at(at, f"Larger than {LARGEST // 1024} KiB: not a certificate.", FieldCode.TOO_LONG)
        if at == "file" and not data:
            raise Invalid.at(at, NOT_A_CERTIFICATE)
        if text := utf8(data).strip() if at != "file" or b"-----BEGIN" in utf8(data) else data:
            _Reader(contents, at, material.password).read(text)
    return contents


def blocks(data: bytes, at: str) -> Iterator[tuple[str, bytes]]:
    """The label and PEM text of each block. Raises Invalid at the field if one is cut off, or if there is none."""
    place = 0
    while begin := BEGIN.search(data, place):
        label = begin[1].decode()
        end = data.find(b"-----END " + begin[1] + b"-----", begin.end())
        following = data.find(b"-----BEGIN", begin.end())
        if end < 0 or 0 <= following < end:
            raise Invalid.at(at, f"{_cut_off(label, is_last=following < 0)} is cut off.")
        place = end + len(b"-----END ") + len(begin[1]) + 5
        yield label, data[begin.start() : place] + b"\n"
    if not place:
        raise Invalid.at(at, NOT_A_CERTIFICATE if at != "private_key" else DAMAGED_KEY)
    if data.find(b"-----BEGIN", place) >= 0:
        raise Invalid.at(at, "The last line is cut off.")


def _cut_off(label: str, *, is_last: bool) -> str:
    kind = "private key" if "KEY" in label else "revocation list" if "CRL" in label else "certificate"
    return f"A {kind}" if not is_last else f"The {kind}" if kind == "private key" else f"The last {kind}"


class _Reader:
    """Reads the data of one field."""

    def __init__(self, contents: Contents, at: str, password: str) -> None:
        self.contents = contents
        self.at = at
        self.password = password.encode() if password else None

    def read(self, data: bytes) -> None:
        if b"-----BEGIN" in data:
            for label, block in blocks(data, self.at):
                self.take(label, block)
        else:
            self.take_binary(decoded(data))

    def take(self, label: str, block: bytes) -> None:
        if label in IGNORED:
            return
        if label in REFUSED:
            raise Invalid.at(self.at, REFUSED[label])
        if label.endswith("PRIVATE KEY"):
            self.contents.add_key(self.key(block), self.at)
        elif label in {"CERTIFICATE", "X509 CERTIFICATE", "X.509 CERTIFICATE"}:
            number = len(self.contents.certificates) + 1
            text = block.replace(label.encode(), b"CERTIFICATE")
            self.contents.add(self.certificate(text, number))
        elif label in {"PKCS7", "PKCS #7 SIGNED DATA"}:
            self.take_pkcs7(decoded(b"".join(block.strip().splitlines()[1:-1])))
        else:
            raise Invalid.at(self.at, f"“{label}” can’t be used here. Give certificates and a private key.")

    def certificate(self, block: bytes, number: int) -> x509.Certificate:
        try:
            return with_names(x509.load_pem_x509_certificate(block))
        except ValueError:
            raise Invalid.at(self.at, f"Certificate {number} is damaged.") from None

    def key(self, block: bytes) -> PrivateKeyTypes:
        is_encrypted = b"ENCRYPTED" in block
        if is_encrypted and self.password is None:
            raise Invalid.at("password", "The private key is encrypted: enter its password.", FieldCode.REQUIRED)
        try:
            return load_pem_private_key(block, self.password if is_encrypted else None)
        except UnsupportedAlgorithm:
            raise Invalid.at(self.at, "This kind of private key can’t be used: use RSA or ECDSA.") from None
        except (ValueError, TypeError):
            at, words = ("password", DAMAGED_FILE) if is_encrypted else (self.at, DAMAGED_KEY)
            raise Invalid.at(at, words) from None

    # Binary files

    def take_binary(self, data: bytes) -> None:
        if not (self.take_pkcs12(data) or self.take_der(data) or self.take_der_key(data)):
            raise Invalid.at(self.at, NOT_A_CERTIFICATE if self.at != "private_key" else DAMAGED_KEY)

    def take_pkcs12(self, data: bytes) -> bool:
        try:
            bundle = pkcs12.load_pkcs12(data, self.password)
            holders = [holder for holder in (bundle.cert, *bundle.additional_certs) if holder is not None]
            certificates = [with_names(holder.certificate) for holder in holders]
        except (ValueError, UnsupportedAlgorithm) as error:
            if "password" not in str(error).lower():
                return False
            words = DAMAGED_FILE if self.password else "The file is encrypted: enter its password."
            raise Invalid.at("password", words) from None
        if bundle.key is None:
            raise Invalid.at(self.at, "This file holds no private key.")
        for certificate in certificates:
            self.contents.add(certificate)
        self.contents.add_key(bundle.key, self.at)
        return True

    def take_der(self, data: bytes) -> bool:
        try:
            self.contents.add(with_names(x509.load_der_x509_certificate(data)))
        except ValueError:
            return self.take_pkcs7(data)
        return True

    def take_pkcs7(self, data: bytes) -> bool:
        try:
            certificates = [with_names(certificate) for certificate in pkcs7.load_der_pkcs7_certificates(data)]
        except (ValueError, UnsupportedAlgorithm):
            return False
        for certificate in certificates:
            self.contents.add(certificate)
        return True

    def take_der_key(self, data: bytes) -> bool:
        for password in (None, self.password):
            try:
                self.contents.add_key(load_der_private_key(data, password), self.at)
            except TypeError:
                if self.password is None:
                    raise Invalid.at(
                        "password", "The private key is encrypted: enter its password.", FieldCode.REQUIRED
                    ) from None
            except (ValueError, UnsupportedAlgorithm):
                continue
            else:
                return True
        return False


def utf8(data: bytes) -> bytes:
    """A text as editors save it: without a byte order mark, from UTF-16 if it is that."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").encode()
    return data.removeprefix(b"\xef\xbb\xbf")


def decoded(data: bytes) -> bytes:
    """A certificate without its first and last line, or the bytes of a file."""
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return data
