"""Client CAs: the authorities that sign visitors' certificates, and what they revoked. All of it is public."""

from typing import Annotated, Self

from pydantic import AfterValidator
from sqlalchemy import JSON
from sqlmodel import Field

from guardpanel.models.access.feed import source_url
from guardpanel.models.meta import described
from guardpanel.models.noun import Menu, Noun
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, Lines, Name, Notes
from guardpanel.models.versioned_row import VersionedRow

LARGEST_KIB = 256
LARGEST = LARGEST_KIB * 1024
"Characters of a text, and bytes of a file."


MOST_URLS = 10


def list_urls(urls: list[str]) -> list[str]:
    """http, too, as most CAs name them: who may change a list on its way can't sign one."""
    for url in urls:
        if not url.lower().startswith(("https://", "http://", "file:///")):
            raise refuse(f"{url[:80]}: enter a URL that starts with http://, https:// or file:///.")
    return list(dict.fromkeys(map(source_url, urls)))


ListUrls = Annotated[Lines, AfterValidator(list_urls), Field(max_length=MOST_URLS)]


class ClientCaColumns(Fields):
    """What form, JSON and table have in common."""

    name: Name = described("Name", max_length=100)
    certificates: str = described(
        "CA certificates",
        "",
        max_length=LARGEST,
        placeholder="-----BEGIN CERTIFICATE-----",
        hint="PEM: the root, and the intermediates that sign client certificates. Several CAs may be together.",
    )
    revocation_lists: str = described(
        "Revocation lists",
        "",
        max_length=LARGEST,
        placeholder="-----BEGIN X509 CRL-----",
        hint="PEM (CRL): one of each CA above, the root included, or none. Once one of them is past its next update, HAProxy "
        "rejects every client certificate.",
    )
    revocation_list_urls: ListUrls = described(
        "Revocation list URLs",
        default_factory=list,
        sa_type=JSON,
        placeholder="http://pki.example/root.crl",
        hint="One per line. Downloaded every hour. Each replaces the list of the same CA above, if that CA signed it and it "
        "is not older.",
    )
    notes: Notes = described("Notes", "")


class ClientCaFields(ClientCaColumns):
    """What an operator sets, besides files (`ClientCaInput`)."""


class ClientCaInput(ClientCaFields):
    """Plus files, which become the texts."""

    file: str | None = described(
        "Files",
        "",
        repr=False,
        max_length=4 * LARGEST,
        hint="Instead of pasting: certificates and revocation lists, PEM, DER or PKCS#7. They replace the text of their kind. "
        "In JSON: Base64, one file per line.",
    )


class ClientCa(ClientCaColumns, VersionedRow, table=True):
    """A row."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)

    def replace(self, fields: ClientCaFields) -> Self:
        for name in ClientCaColumns.model_fields:
            setattr(self, name, getattr(fields, name))
        return self


EXAMPLE = """\
-----BEGIN CERTIFICATE-----
MIIBfjCCASSgAwIBAgIUfS7Nbr6CTDcPcUwmvEzuzVE8I94wCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRRXhhbXBsZSBjbGllbnQgQ0EwIBcNMjYwMTAxMDAwMDAwWhgP
MjEyNjAxMDEwMDAwMDBaMBwxGjAYBgNVBAMMEUV4YW1wbGUgY2xpZW50IENBMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEn4d+dz396aY7A1I4QHvySaVTkkFf3yRm
pr/4MbutKz+94iMYM9uwjLKCj7vw/nbkRcunFhGZBoF20GnXxPHR+KNCMEAwDwYD
VR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFJ+07vjwMjCg
liP7N/zLv8ZgGZs7MAoGCCqGSM49BAMCA0gAMEUCIQDyXQUDrdppPsm12L5T05jo
AzxctXAEGDo1E+KQQ0peiAIgK1lzcMcsg1CTuBi/qmcTCmUp82foxm0XApXdGpys
9d0=
-----END CERTIFICATE-----
"""
"A CA that signs nothing: its key was thrown away."

NOUN = Noun(
    "client_ca",
    "client_cas",
    "Client CA",
    "Client CAs",
    ClientCa,
    ClientCaFields,
    "/client-cas",
    "client-cas",
    "Client CAs: whose certificates visitors can present.",
    {"name": "Staff", "certificates": EXAMPLE},
    has_own_names=True,
    menu=Menu(16, "shield-check", "a"),
    known_as="mtls mutual tls client certificates crl revocation",
    sent=ClientCaInput,
)
