"""Hostnames served together: their servers, health check and policy."""

import re
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ValidationInfo, field_validator, model_validator
from sqlalchemy import CheckConstraint
from sqlmodel import Field, Relationship

from guardpanel.models.certificates.certificate import Certificate
from guardpanel.models.certificates.https import HttpsColumns
from guardpanel.models.certificates.issuing import NewCertificateInput
from guardpanel.models.delivery.delivery import DeliveryColumns
from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.hostname import Hostname, Hostnames, named_or_after
from guardpanel.models.meta import described
from guardpanel.models.noun import Menu, Noun, Part
from guardpanel.models.policies.enforcement import EnforcementMode, effective_mode
from guardpanel.models.policies.policy import Policy
from guardpanel.models.references import OptionalId, blank_is_none
from guardpanel.models.refusing import refuse
from guardpanel.models.server import Balance, Server, ServerFields, TlsVerify, certificates, server_in_words
from guardpanel.models.site import OptionalHostname
from guardpanel.models.types import FilePlace, Name, Notes, Path, display_name, stored
from guardpanel.models.versioned_row import VersionedRow

STATUS_LIST = r"[1-5][0-9]{2}(?:-[1-5][0-9]{2})?(?:,[1-5][0-9]{2}(?:-[1-5][0-9]{2})?)*"


OptionalMode = Annotated[EnforcementMode | None, BeforeValidator(blank_is_none)]


class VirtualHostColumns(DeliveryColumns, HttpsColumns):
    """The fields that form, JSON and table share."""

    name: Name = described("Name", max_length=100, hint="Shown only in guardpanel. Defaults to the first hostname.")
    enabled: bool = described(
        "Enabled", True, hint="When off, its hostnames return 421, also where another virtual host’s wildcard matches."
    )
    answers_unknown: bool = described(
        "Answers unknown hostnames",
        False,
        hint="Requests for names that no virtual host has, for an IP address, or without a name. Otherwise, these get 421. "
        "Only one virtual host can do this.",
    )
    maintenance: bool = described(
        "Maintenance page", False, hint="Visitors get a 503 maintenance page. Servers receive no traffic."
    )
    policy_id: OptionalId = described("Policy", None, unset="none")
    enforcement_mode: OptionalMode = described(
        "Enforcement mode",
        None,
        sa_type=stored(EnforcementMode),
        short="Mode",
        unset="Same as policy",
        hint="Overrides the policy’s mode. Off skips inspection.",
    )
    balance: Balance = described("Load balancing", Balance.ROUNDROBIN, sa_type=stored(Balance))
    health_check: bool = described("Health check", True)
    health_check_path: Path = described("Check path", "/")
    health_check_interval: int = described("Check interval", 5, ge=1, le=3600, unit="s")
    health_check_rise: int = described("Up after", 2, ge=1, le=100, unit="passed checks")
    health_check_fall: int = described("Down after", 3, ge=1, le=100, unit="failed checks")
    health_check_status: str = described(
        "Expected status", "200-399", max_length=100, hint="For example, 200-399 or 200,204."
    )
    health_check_host: OptionalHostname = described(
        "Check host", "", hint="Defaults to the first hostname that is not a wildcard."
    )
    tls_verify: TlsVerify = described("Certificate verification", TlsVerify.SYSTEM, sa_type=stored(TlsVerify))
    tls_ca: str = described("CA certificate", "", max_length=100_000, hint="PEM, -----BEGIN CERTIFICATE-----.")
    tls_name: OptionalHostname = described(
        "TLS server name",
        "",
        hint="Sent as SNI and checked in the certificate. Defaults to the server’s hostname (IP address: the first hostname).",
    )
    notes: Notes = described("Notes", "")
    managed_by_file: FilePlace = described(
        "Managed by file",
        "",
        hint="Where its configuration is kept, such as ops/site.yaml or a URL. Forms then say that applying the file overwrites "
        "what is saved here.",
        placeholder="ops/site.yaml",
    )

    @field_validator("health_check_status")
    @classmethod
    def status_list(cls, text: str) -> str:
        text = text.replace(" ", "")
        if not re.fullmatch(STATUS_LIST, text):
            raise refuse("Enter status codes or ranges, for example 200-399 or 200,204.")
        for first, dash, last in (part.partition("-") for part in text.split(",")):
            if dash and int(first) > int(last):
                raise refuse(f"Enter the range {first}-{last} as {last}-{first}.")
        return text

    @field_validator("tls_ca")
    @classmethod
    def only_certificates(cls, pem: str) -> str:
        return certificates(pem)


class VirtualHostFields(VirtualHostColumns):
    """What an operator sets: the input of the form and the JSON body, and the columns of the tables."""

    hostnames: Hostnames = described(
        "Hostnames",
        placeholder="shop.example",
        hint="One per line. *.shop.example matches a.shop.example, not shop.example or a.b.shop.example.",
    )
    servers: list[ServerFields] = described(
        "Servers",
        default_factory=list,
        max_length=200,
        hint="Names must resolve when you save, unless you select Resolve later. A resolved address is kept while the name "
        "has none. A backup gets traffic only when all other servers are down, one that drains no new requests. Requests wait "
        "while each server has as many connections as its limit says.",
    )

    @model_validator(mode="before")
    @classmethod
    def what_is_left_out(cls, data: Any) -> Any:
        """It is called like its first hostname. Servers are looked at where none are sent, too."""
        if not isinstance(data, dict):
            return data
        return {"servers": [], **data, "name": named_or_after(data, "hostnames")}

    @field_validator("servers")
    @classmethod
    def servers_or_a_redirect(cls, servers: list[ServerFields], info: ValidationInfo) -> list[ServerFields]:
        if not servers and info.data.get("redirect") is Redirect.NO:
            raise refuse("Add a server, or redirect all requests.")
        return servers

    @field_validator("tls_ca")
    @classmethod
    def ca_where_it_is_asked_for(cls, pem: str, info: ValidationInfo) -> str:
        if info.data.get("tls_verify") is TlsVerify.CA and not pem:
            raise refuse("Paste a CA certificate, or select System CAs.")
        return pem


class VirtualHostInput(VirtualHostFields, NewCertificateInput):
    """Plus what is only taken: it becomes a certificate."""


class VirtualHost(VirtualHostColumns, VersionedRow, table=True):
    """A row with its hostnames and servers."""

    __table_args__ = (
        CheckConstraint("enforcement_mode in ('block', 'detect_only', 'off')", name="enforcement_mode"),
        CheckConstraint("tls_profile in ('intermediate', 'modern')", name="tls_profile"),
        CheckConstraint("client_certificates in ('off', 'optional', 'required')", name="client_certificates"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    policy_id: int | None = Field(default=None, foreign_key="policy.id", index=True)
    certificate_id: int | None = Field(default=None, foreign_key="certificate.id", index=True)
    client_ca_id: int | None = Field(default=None, foreign_key="clientca.id", index=True)
    error_page_id: int | None = Field(default=None, foreign_key="errorpage.id", index=True)

    certificate: Certificate | None = Relationship(sa_relationship_kwargs={"lazy": "raise", "viewonly": True})
    hostnames: list[Hostname] = Relationship(
        sa_relationship_kwargs={
            "lazy": "raise",
            "cascade": "all, delete-orphan",
            "order_by": "Hostname.position",
            "passive_deletes": True,
        }
    )
    servers: list[Server] = Relationship(
        sa_relationship_kwargs={
            "lazy": "raise",
            "cascade": "all, delete-orphan",
            "order_by": "Server.position",
            "passive_deletes": True,
        }
    )

    def replace(self, fields: VirtualHostFields) -> Self:
        """Set every field. Unchanged hostnames and servers keep their rows."""
        for name in VirtualHostColumns.model_fields:
            setattr(self, name, getattr(fields, name))
        kept = {row.name: row for row in self.hostnames}
        self.hostnames = [kept.get(name) or Hostname(name=name, position=0) for name in fields.hostnames]
        self.servers = [
            self.servers[at] if at < len(self.servers) else Server(address="", position=at)
            for at in range(len(fields.servers))
        ]
        for at, name_row in enumerate(self.hostnames):
            name_row.position = at
        for at, (row, typed) in enumerate(zip(self.servers, fields.servers, strict=True)):
            row.position = at
            for name in ServerFields.model_fields:
                setattr(row, name, getattr(typed, name))
        return self

    def mode_under(self, policy: Policy | None) -> EnforcementMode:
        return effective_mode(self.enforcement_mode, policy)

    @property
    def also(self) -> str:
        """What a list shows after the name: further hostnames, shortened."""
        first, *others = self.hostnames
        words = [] if first.display_name == first.name or self.name == first.name else [first.name]
        if self.name != first.display_name:
            words.append(first.display_name)
        parent = first.name.removeprefix("*.")
        if len(others) == 1:
            other = others[0].display_name
            words.append("+ " + other.removesuffix("." + parent) if other.endswith("." + parent) else f"+ {other}")
        elif others:
            words.append(f"+ {len(others)} names")
        return " ".join(words)

    @property
    def first_hostname(self) -> str:
        return self.hostnames[0].name


NOUN = Noun(
    "virtual_host",
    "virtual_hosts",
    "Virtual host",
    "Virtual hosts",
    VirtualHost,
    VirtualHostFields,
    "/virtual-hosts",
    "vhosts",
    "Virtual hosts: hostnames served together, with their servers and policy.",
    {"hostnames": ["shop.example"], "servers": [{"address": "10.0.0.5:8080"}], "policy_id": 1},
    parts=(
        Part("hostnames", display_name, Hostname, "virtual_host_id", value="name"),
        Part("servers", server_in_words, Server, "virtual_host_id", known_by="address"),
    ),
    references={
        "policy_id": "policy",
        "certificate_id": "certificate",
        "client_ca_id": "client_ca",
        "error_page_id": "error_page",
    },
    menu=Menu(10, "globe", "v"),
    sent=VirtualHostInput,
    beside_name=lambda host: ", ".join(row.display_name for row in host.hostnames if row.display_name != host.name),
)
