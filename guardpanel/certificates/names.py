"""Names in certificates: read, compared with hostnames, and written for people."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from guardpanel.models.certificates.certificate import certificate_name
from guardpanel.models.types import hidden_character

Issued = TypeVar("Issued", x509.Certificate, x509.CertificateRevocationList)


def with_names(item: Issued) -> Issued:
    """It, if its issuer and subject can be read. They are only read when they are asked for. Raises ValueError."""
    _ = item.issuer, getattr(item, "subject", None)
    return item


class UnreadableName(ValueError):
    """A name that no browser would accept. The text is the end of a sentence."""


def names_of(certificate: x509.Certificate) -> list[str]:
    """Its hostnames and IP addresses in canonical form. The common name does not count: browsers ignore it (RFC 9525). Raises
    UnreadableName."""
    names: list[str] = []
    for name in _alternatives(certificate):
        if isinstance(name, x509.DNSName):
            names.append(_hostname(name.value))
        elif isinstance(name, x509.IPAddress):
            names.append(str(name.value))
    return list(dict.fromkeys(names))


def _alternatives(certificate: x509.Certificate) -> Iterable[x509.GeneralName]:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise UnreadableName("its extensions can’t be read") from None


def _hostname(text: str) -> str:
    """As it stands in the certificate: what would have to be mapped first matches no browser's hostname."""
    try:
        name = certificate_name(text)
    except ValueError:
        name = ""
    if not text.isascii() or name != text.lower():
        raise UnreadableName(f"the name {printable(text)} is not a hostname")
    return name


def covers(names: Iterable[str], hostname: str) -> bool:
    """Whether a certificate with these names is accepted for a hostname. A wildcard stands for exactly one label."""
    known = names if isinstance(names, Collection) else set(names)
    return any(name in known for name in accepted_names(hostname))


def accepted_names(hostname: str) -> tuple[str, str]:
    """Those in a certificate that a browser accepts for it: its own, and the wildcard one label above."""
    return hostname, f"*.{hostname.partition('.')[2]}"


def called(name: x509.Name) -> str:
    """What people call an issuer or subject: its common name, else its organization."""
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME):
        for attribute in name.get_attributes_for_oid(oid):
            return printable(str(attribute.value))
    return printable(name.rfc4514_string()) or "(no name)"


def subject(certificate: x509.Certificate) -> str:
    """A subject may be empty: then its first hostname."""
    try:
        names = names_of(certificate)
    except UnreadableName:
        names = []
    return names[0] if not list(certificate.subject) and names else called(certificate.subject)


def printable(text: str) -> str:
    """Without characters that pretend to be others."""
    visible = "".join("\ufffd" if hidden_character(character) else character for character in text)
    return visible if len(visible) <= 120 else f"{visible[:119]}…"


def day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
