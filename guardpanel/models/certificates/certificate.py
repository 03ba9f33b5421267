"""Certificates: where they come from and for which names. Chains and keys are in `certificate_content.py`."""

from ipaddress import ip_address
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ValidationInfo, field_validator, model_validator
from sqlalchemy import JSON, func, select
from sqlalchemy.orm import aliased, foreign, relationship
from sqlmodel import Field, Relationship

from guardpanel.models.certificates.certificate_content import CertificateContent
from guardpanel.models.certificates.issuing import BindingInput, Challenge, IssuingColumns, authority_name
from guardpanel.models.hostname import named_or_after
from guardpanel.models.meta import Choice, described
from guardpanel.models.noun import Menu, Noun
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Lines, Name, Notes, hostname, stored
from guardpanel.models.versioned_row import VersionedRow

LARGEST = 64 * 1024
"Characters of a pasted certificate, and bytes of a file."


class Source(Choice):
    UPLOAD = "upload", "Uploaded", "You have a certificate and its private key."
    ACME = "acme", "ACME", "An authority such as Let’s Encrypt issues and renews it."
    SELF_SIGNED = "self_signed", "Self-signed", "For trying. Browsers warn about it."
    LOCAL_CA = "local_ca", "Local CA", "For intranets. Browsers that trust this panel’s root accept it."

    @property
    def is_made_here(self) -> bool:
        return self in {Source.SELF_SIGNED, Source.LOCAL_CA}


class KeyType(Choice):
    ECDSA = "ecdsa", "ECDSA P-256"
    RSA = "rsa", "RSA 2048"


def is_address(name: str) -> bool:
    """A save asks for thousands of hostnames. Those without a colon and a digit at the end are none."""
    if ":" not in name and not name[-1:].isdigit():
        return False
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def certificate_name(text: str) -> str:
    """A hostname, perhaps with a wildcard, or an IP address."""
    try:
        address = ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return hostname(text)
    if "%" in text:
        raise refuse("Enter the address without a zone (%).")
    return str(address)


def certificate_names(names: list[str]) -> list[str]:
    names = [certificate_name(name) for name in names]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise refuse(f"{name} is listed twice.")
    return names


def instead(name: str) -> str:
    """Of a name with an underscore: the wildcard that covers it, if that has none."""
    parent = name.removeprefix("*.").partition(".")[2]
    is_wildcard = name.startswith("*.") or "_" in parent or "." not in parent
    return "" if is_wildcard else f" One for *.{parent} covers it."


CertificateNames = Annotated[Lines, AfterValidator(certificate_names), Field(max_length=100)]


class CertificateColumns(IssuingColumns):
    """What form, JSON and table have in common."""

    name: Name = described("Name", max_length=100, hint="Shown only in guardpanel. Defaults to the first hostname.")
    source: Source = described("Source", Source.UPLOAD, sa_type=stored(Source))
    names: CertificateNames = described(
        "Names",
        default_factory=list,
        sa_type=JSON,
        hint="One hostname, wildcard (*.shop.example), or IP address per line. An uploaded certificate has its own.",
        placeholder="shop.example",
        unset="those of the file",
    )
    key_type: KeyType = described(
        "Key type", KeyType.ECDSA, sa_type=stored(KeyType), hint="ECDSA is faster. RSA is for very old clients."
    )
    notes: Notes = described("Notes", "")


class CertificateFields(CertificateColumns):
    """What an operator sets, besides what is only taken (`CertificateInput`)."""

    @model_validator(mode="before")
    @classmethod
    def named_after_first_hostname(cls, data: Any) -> Any:
        return {**data, "name": named_or_after(data, "names")} if isinstance(data, dict) else data

    @field_validator("names")
    @classmethod
    def names_fit_the_source(cls, names: list[str], info: ValidationInfo) -> list[str]:
        source = info.data.get("source")
        if source is Source.UPLOAD and names:
            raise refuse("An uploaded certificate has the names in its file. Remove these.")
        if source not in {Source.UPLOAD, None} and not names:
            raise refuse("Enter at least one name, for example shop.example.")
        return names

    @field_validator("names")
    @classmethod
    def names_fit_the_challenge(cls, names: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("source") is not Source.ACME:
            return names
        challenge = info.data.get("challenge")
        wildcard = next((name for name in names if name.startswith("*.")), "")
        address = next((name for name in names if is_address(name)), "")
        if challenge is Challenge.HTTP_01 and wildcard:
            raise refuse(f"HTTP-01 can’t prove {wildcard}. Choose DNS-01 for wildcards.")
        if challenge is Challenge.DNS_01 and address:
            raise refuse(f"DNS-01 can’t prove {address}. Choose HTTP-01 for IP addresses.")
        if underscored := next((name for name in names if "_" in name), ""):
            raise refuse(
                f"Authorities issue no certificate for {underscored}: it has an underscore.{instead(underscored)}"
            )
        return names

    @field_validator("other_authorities")
    @classmethod
    def others_are_others(cls, urls: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("authority") in urls:
            raise refuse(f"{authority_name(info.data['authority'])} is the first authority. Remove it here.")
        return urls


class CertificateInput(CertificateFields, BindingInput):
    """Plus what is taken and never shown again: it becomes a content."""

    certificate: str | None = described(
        "Certificate",
        "",
        repr=False,
        max_length=LARGEST,
        placeholder="-----BEGIN CERTIFICATE-----",
        hint="PEM, with the intermediate certificates, in any order.",
    )
    private_key: str | None = described(
        "Private key",
        "",
        repr=False,
        max_length=LARGEST,
        placeholder="-----BEGIN PRIVATE KEY-----",
        hint="PEM. It is stored encrypted and never shown again.",
    )
    file: str | None = described(
        "Files",
        "",
        repr=False,
        max_length=4 * LARGEST,
        hint="Instead of pasting: PEM, DER, PKCS#7 (.p7b), or PKCS#12 (.pfx, .p12). In JSON: Base64, one file per line.",
    )
    password: str | None = described(
        "Password",
        "",
        repr=False,
        max_length=1000,
        hint="Of the private key or the PKCS#12 file, if it is encrypted. It is not stored.",
    )
    save_anyway: bool | None = described("Save anyway", default=False, hint="Accept what the warnings say.")


def _content_of() -> Any:
    """The newest content that is not retired."""
    newer: Any = aliased(CertificateContent)
    own: Any = CertificateContent
    created_at: Any = Certificate.created_at
    its = (newer.certificate_id == Certificate.id, newer.certificate_created_at == created_at)
    newest = select(func.max(newer.id)).where(*its, newer.retired_at.is_(None)).correlate_except(newer)
    return (foreign(own.certificate_id) == Certificate.id) & (own.id == newest.scalar_subquery())


class Certificate(CertificateColumns, VersionedRow, table=True):
    """A row."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    content: CertificateContent | None = Relationship(
        sa_relationship=relationship(
            CertificateContent, primaryjoin=_content_of, uselist=False, viewonly=True, lazy="selectin"
        )
    )

    @property
    def authorities(self) -> list[str]:
        """In the order in which they are asked."""
        return [self.authority, *self.other_authorities]

    def replace(self, fields: CertificateFields) -> Self:
        for name in CertificateColumns.model_fields:
            setattr(self, name, getattr(fields, name))
        return self


def _beside(row: Any) -> str:
    return ", ".join((row.content.names if row.content else row.names)[:3])


NOUN = Noun(
    "certificate",
    "certificates",
    "Certificate",
    "Certificates",
    Certificate,
    CertificateFields,
    "/certificates",
    "certificates",
    "Certificates: what HAProxy presents for https hostnames.",
    {"name": "Shop", "source": "self_signed", "names": ["shop.example"]},
    has_own_names=True,
    menu=Menu(15, "lock", "t"),
    beside_name=_beside,
    sent=CertificateInput,
    apart=("certificate", "private_key"),
)
