"""From an upload to a certificate with its chain in order and its key, or to words at the field that is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from guardpanel.certificates import judging
from guardpanel.certificates.judging import Flaw
from guardpanel.certificates.names import called, names_of, subject
from guardpanel.certificates.pem import Contents, Material, contents_of
from guardpanel.errors import FieldError, Invalid
from guardpanel.field_codes import FieldCode

LEAF, KEY = "certificate", "private_key"


@dataclass(frozen=True)
class Parsed:
    """A certificate that may be served. `warnings`: what must be confirmed. `notices`: what was done or is remarkable."""

    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    "The intermediates, without a root: from the one that signed the leaf upwards."
    key: PrivateKeyTypes
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    names: tuple[str, ...] = field(default=())

    @property
    def chain_pem(self) -> str:
        """The leaf, then its intermediates."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in (self.leaf, *self.chain)).decode()

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def fingerprint(self) -> str:
        return self.leaf.fingerprint(hashes.SHA256()).hex()

    @property
    def serial(self) -> str:
        return f"{self.leaf.serial_number:X}"


def parse(material: Material, now: datetime, known_key: bytes = b"") -> Parsed:
    """Raises Invalid (422) with a message for each field. `known_key`: the key to use if none is given, as PEM."""
    contents = contents_of(material)
    if not contents.certificates:
        raise Invalid.at(LEAF, "There is a private key but no certificate.", FieldCode.REQUIRED)
    given = tuple(contents.keys)
    if not given and known_key:
        contents.keys += contents_of(Material(private_key=known_key)).keys
    leaf, key = _pair(contents, is_known=not given)
    chain, others = _chain(leaf, contents.certificates)
    flaws = [
        *judging.flaws_of_key(leaf.public_key()),
        *judging.flaws_of_leaf(leaf, now),
        *judging.flaws_of_chain(chain, now),
        *_missing(leaf, chain, others),
    ]
    _refuse_fatal(flaws)
    return Parsed(
        leaf,
        chain,
        key,
        tuple(dict.fromkeys(flaw.words for flaw in flaws)),
        tuple(_notices(leaf, chain, others, contents.certificates)),
        tuple(names_of(leaf)),
    )


def parse_pem(chain: str, key: str, now: datetime) -> Parsed:
    """What an authority issued."""
    return parse(Material(chain.encode(), key.encode()), now)


def _pair(contents: Contents, *, is_known: bool) -> tuple[x509.Certificate, PrivateKeyTypes]:
    """The certificate that belongs to the key, wherever it is."""
    certificates, keys = contents.certificates, contents.keys
    if not keys:
        raise Invalid.at(KEY, "Required: the certificate’s private key.", FieldCode.REQUIRED)
    by_key = [(certificate, key) for key, _ in keys for certificate in certificates if _same_key(certificate, key)]
    if not by_key:
        at = KEY if is_known else keys[0][1]
        raise Invalid.at(at, _no_pair(len(certificates), is_known=is_known))
    if len(keys) > 1:
        raise Invalid.at(keys[1][1], "There are several private keys: leave only the certificate’s.")
    if len(by_key) > 1:
        raise Invalid.at(LEAF, "Several certificates belong to this key: upload only the newest one.")
    return by_key[0]


def _no_pair(count: int, *, is_known: bool) -> str:
    if is_known:
        return "The current private key does not belong to this certificate. Add the new one."
    if count > 1:
        return f"None of the {count} certificates belongs to this private key."
    return "This private key does not belong to the certificate (its public key differs)."


def _same_key(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    try:
        return bool(certificate.public_key() == key.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return False


def _chain(
    leaf: x509.Certificate, certificates: Sequence[x509.Certificate]
) -> tuple[tuple[x509.Certificate, ...], list[x509.Certificate]]:
    """The intermediates from the leaf upwards, and the certificates that are not among them: roots and strangers."""
    left = [certificate for certificate in certificates if certificate != leaf]
    strangers = [certificate for certificate in left if not is_authority(certificate)]
    if strangers:
        raise Invalid.at(LEAF, "Two certificates are not intermediates: upload them one at a time.")
    chain: list[x509.Certificate] = []
    top = leaf
    while not is_root(top):
        parents = [certificate for certificate in left if signed(certificate, top)]
        parent = next((parent for parent in parents if not is_root(parent)), None)
        if parent is None:
            break
        chain.append(parent)
        left.remove(parent)
        top = parent
    return tuple(chain), left


def _missing(leaf: x509.Certificate, chain: tuple[x509.Certificate, ...], others: list[x509.Certificate]) -> list[Flaw]:
    """Who signed the last certificate must be given, unless it is a root, which may be left out after an intermediate."""
    top = chain[-1] if chain else leaf
    if chain or is_root(leaf) or any(signed(other, top) for other in others):
        return []
    issuer = called(leaf.issuer)
    return [
        Flaw(
            f"The certificate of {issuer} that signed this one is missing. Browsers will refuse it. Append it, or save anyway."
        )
    ]


def _notices(
    leaf: x509.Certificate,
    chain: tuple[x509.Certificate, ...],
    others: list[x509.Certificate],
    given: list[x509.Certificate],
) -> list[str]:
    notices = []
    if [certificate for certificate in given if certificate not in others] != [leaf, *chain]:
        notices.append("The certificates were put in order.")
    if others:
        notices.append(f"Left out: {', '.join(subject(other) for other in others[:5])}.")
    if is_root(leaf):
        notices.append("It is self-signed: browsers warn about it.")
    return notices


def signed(parent: x509.Certificate, child: x509.Certificate) -> bool:
    """Whether the parent’s key signed the child."""
    if parent.subject != child.issuer or parent == child:
        return False
    try:
        child.verify_directly_issued_by(parent)
    except UnsupportedAlgorithm:
        return True  # SHA-1 and older, which is refused by its name.
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_root(certificate: x509.Certificate) -> bool:
    """Whether it is signed by itself."""
    return certificate.subject == certificate.issuer and _is_signed_by_itself(certificate)


def _is_signed_by_itself(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except UnsupportedAlgorithm:
        return True
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    """Also a root from before there were extensions."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return is_root(certificate)
    except judging.UNREADABLE:
        return False
    return bool(extension.value.ca)


def _refuse_fatal(flaws: Sequence[Flaw]) -> None:
    words = [flaw.words for flaw in flaws if flaw.is_fatal]
    if words:
        message = " ".join(dict.fromkeys(words))
        raise Invalid(message, {LEAF: FieldError(message)})
