"""Virtual hosts as the React panel reads and writes them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from guardpanel.api.react.checks import CHECKS
from guardpanel.api.react.keys import is_as_read
from guardpanel.api.react.servers import (
    OURS,
    BackendIn,
    BackendOut,
    backends_of,
    has_a_server,
    is_same,
    take_servers,
)
from guardpanel.api.saves import Body
from guardpanel.api.shapes import Dialect, Row
from guardpanel.dependencies import SessionDep
from guardpanel.errors import Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models import Policy, VirtualHost
from guardpanel.models.certificates.certificate import Source
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.types import display_name, hostname
from guardpanel.services import policies
from guardpanel.services.https import certificate_ends

NAMES = {"description": "notes", "is_active": "enabled", "ssl_enabled": "https"}
"The React panel's names for our fields."

PASTED = {"ssl_cert": "certificate", "ssl_key": "private_key"}

PROVIDERS = {"none", "upload", "letsencrypt"}


class ReactVirtualHostIn(Body):
    """The keys of a write. Missing ones stay as they are (PATCH) or take their defaults (POST)."""

    NULLABLE = frozenset({"description", "policy_id", "ssl_enabled", "ssl_provider", "ssl_cert", "ssl_key"})

    domain: str | None = Field(default=None, max_length=300, description="The first hostname.")
    policy_id: int | None = Field(
        default=None,
        description="Null, or none in a new one: the default policy, the oldest. A virtual host that has none keeps none. "
        "For no inspection, set `enforcement_mode` to `off`.",
    )
    backend_url: str | None = Field(default=None, max_length=500, description="The first server.")
    backends: list[BackendIn] | None = Field(
        default=None, max_length=200, description="`servers` under the React panel's names."
    )
    description: str | None = Field(default=None, description="`notes` under the React panel's name.")
    is_active: bool | None = Field(default=None, description="`enabled` under the React panel's name.")
    ssl_enabled: bool | None = Field(default=None, description="`https` under the React panel's name.")
    ssl_provider: str | None = Field(
        default=None,
        description="`none`: a stored certificate that covers the hostname. `upload`: the pasted one, or the one that was pasted "
        "before. `letsencrypt`: orders one for the hostnames if it was something else. Ignored while HTTPS is off.",
    )
    ssl_cert: str | None = Field(
        default=None, repr=False, description="PEM, with the intermediates. Null keeps the current certificate."
    )
    ssl_key: str | None = Field(default=None, repr=False, description="PEM. It is never returned.")


class BoundPolicyOut(BaseModel):
    id: int
    name: str
    enforcement_mode: EnforcementMode
    is_active: bool
    paranoia_level: int
    inbound_anomaly_threshold: int


class ReactVirtualHostOut(Row):
    domain: str = Field(description="The first hostname, as A-labels.")
    domain_shown: str = Field(description="The same in its own script.")
    backend_url: str
    backends: list[BackendOut]
    description: str | None
    is_active: bool
    ssl_enabled: bool
    ssl_provider: Literal["none", "upload", "letsencrypt"]
    ssl_expires_at: datetime | None = Field(description="The earliest end of the certificates in use.")


class Bound(BaseModel):
    policy: BoundPolicyOut | None


class VirtualHostDialect(Dialect):
    body: ClassVar[type[Body]] = ReactVirtualHostIn
    answer: ClassVar[type[BaseModel]] = ReactVirtualHostOut
    whole: ClassVar[type[BaseModel]] = Bound
    renamed: ClassVar[Mapping[str, str]] = NAMES

    def take(
        self, body: BaseModel, row: VirtualHost | None, now: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        sent = without_what_is_as_read(body, now | self.out(row)) if row else body
        fields = sent.model_dump(exclude_unset=True)
        names = names_in(sent)
        take_certificate(fields, row)
        if row and row.certificate and row.certificate.source is Source.ACME:
            fields.setdefault("new_authority", row.certificate.authority)
        if fields.get("ssl_enabled", False) is None:
            fields["ssl_enabled"] = False
        if row and row.name == row.hostnames[0].display_name and "name" not in fields:
            del now["name"]  # The name was derived from the first hostname, and follows it.
        for theirs, ours in NAMES.items():
            if theirs in fields:
                fields[ours] = fields.pop(theirs)
        if fields.get("notes", "") is None:
            fields["notes"] = ""
        take_domain(fields, now)
        take_servers(fields, now, row)
        if "backends" in sent.model_fields_set or not now.get("enabled", False):
            has_a_server(now | fields)
        return {**now, **fields}, names

    async def settle(self, session: SessionDep, row: VirtualHost | None, data: dict[str, Any]) -> None:
        """The React panel calls no policy *default policy*: it must not mean that nothing is inspected."""
        if data.get("policy_id") is None and (row is None or row.policy_id is not None):
            data["policy_id"] = await policies.default(session)

    def out(self, row: VirtualHost) -> dict[str, Any]:
        first = row.hostnames[0].name
        return {
            "domain": first,
            "domain_shown": display_name(first),
            "backend_url": row.servers[0].url if row.servers else "",
            "backends": backends_of(row),
            "description": row.notes or None,
            "is_active": row.enabled,
            "ssl_enabled": row.https,
            "ssl_provider": provider_of(row),
        }

    async def out_of_rows(self, session: SessionDep, rows: Sequence[VirtualHost]) -> list[dict[str, Any]]:
        ends = await certificate_ends.ends_of(session, [row for row in rows if row.https])
        return [{"ssl_expires_at": ends.get(row.id)} for row in rows]

    async def out_whole(self, session: SessionDep, row: VirtualHost) -> dict[str, Any]:
        policy = await policies.find(session, row.policy_id) if row.policy_id is not None else None
        return {"policy": bound(policy) if policy else None}


PARTS = (("url", "scheme"), *OURS.items(), *CHECKS.items())
"A backend's names for a server's fields."

TWICE = ("domain", "hostnames", "backend_url", "backends", "servers", *CHECKS.values())
"Keys that duplicate another key."


def without_what_is_as_read(body: BaseModel, read: Mapping[str, Any]) -> BaseModel:
    """Of two keys for the same field, the one that differs from what was read counts."""
    sent, fields = body.model_copy(), body.model_dump(exclude_unset=True)
    sent.model_fields_set.difference_update(
        name for name in TWICE if name in fields and is_as_read(fields[name], read[name])
    )
    return sent


def provider_of(row: VirtualHost) -> Literal["none", "upload", "letsencrypt"]:
    """Of the certificate that was chosen."""
    if not row.https or not row.certificate:
        return "none"
    return "letsencrypt" if row.certificate.source is Source.ACME else "upload"


def take_certificate(fields: dict[str, Any], row: VirtualHost | None) -> None:
    """A pasted one, or one from Let’s Encrypt, as a new certificate. Null and the provider as it was keep what there is. Without
    HTTPS, a provider orders nothing: the panel's form sends it always."""
    before = provider_of(row) if row else "none"
    provider = fields.pop("ssl_provider", None) or before
    pasted = {ours: fields.pop(theirs, None) or "" for theirs, ours in PASTED.items()}
    if provider not in PROVIDERS:
        raise Invalid.at("ssl_provider", "Set ssl_provider to none, upload, or letsencrypt.", FieldCode.NOT_A_CHOICE)
    pasted_key = "ssl_cert" if pasted["certificate"] else "ssl_key" if pasted["private_key"] else ""
    is_on = fields.get("ssl_enabled", row.https if row else False)
    has_one = fields.get("certificate_id") or (row and row.certificate and row.certificate.source is not Source.ACME)
    if provider == "upload" and is_on and not pasted_key and not has_one:
        raise Invalid.at(
            "ssl_cert", "Paste a certificate with its private key, or set ssl_provider to none.", FieldCode.REQUIRED
        )
    if not pasted_key and (provider != "letsencrypt" or provider == before or not is_on):
        return
    if not is_on:
        raise Invalid.at(pasted_key, f"A certificate needs SSL. Enable it (ssl_enabled), or leave {pasted_key} out.")
    if pasted_key and provider == "letsencrypt":
        raise Invalid.at(
            pasted_key, f"Let’s Encrypt issues the certificate. Leave {pasted_key} out, or set ssl_provider to upload."
        )
    fields |= {"new_certificate": "upload", **pasted} if pasted_key else {"new_certificate": "acme"}


def take_domain(fields: dict[str, Any], now: Mapping[str, Any]) -> None:
    """`domain` as the first hostname."""
    domain = fields.pop("domain", None)
    if domain is None:
        return
    others = [name for name in now.get("hostnames", [])[1:] if name != domain]
    names = fields.setdefault("hostnames", [domain, *others])
    if not names or not is_same(hostname, domain, names[0]):
        raise Invalid.at("domain", "domain is not the first of hostnames. Send one of the two.")


def names_in(body: Any) -> dict[str, str]:
    """The names that this body uses for our fields."""
    sent = body.model_fields_set
    names = {ours: theirs for theirs, ours in NAMES.items() if theirs in sent}
    names |= {ours: theirs for theirs, ours in PASTED.items() if theirs in sent and ours not in sent}
    if "ssl_provider" in sent:
        ours = {"new_certificate": "ssl_provider", "certificate_id": "ssl_cert" if body.ssl_cert else "ssl_provider"}
        names |= {name: theirs for name, theirs in ours.items() if name not in sent}
    if "domain" in sent and "hostnames" not in sent:
        names |= {"hostnames": "domain", "hostnames.0": "domain"}
    if "servers" in sent:
        return names
    if "backends" in sent:
        names["servers"] = "backends"
        for at in range(len(body.backends or ())):
            names |= {f"servers.{at}.{ours}": f"backends.{at}.{theirs}" for theirs, ours in PARTS}
        names |= {ours: f"backends.0.{theirs}" for theirs, ours in CHECKS.items() if ours not in sent}
    elif "backend_url" in sent:
        names |= {"servers": "backend_url", "servers.0.address": "backend_url", "servers.0.scheme": "backend_url"}
    return names


def bound(policy: Policy) -> BoundPolicyOut:
    off = policy.enforcement_mode is EnforcementMode.OFF
    return BoundPolicyOut(
        id=policy.id or 0,
        name=policy.name,
        enforcement_mode=EnforcementMode.DETECT_ONLY if off else policy.enforcement_mode,
        is_active=not off,
        paranoia_level=policy.blocking_paranoia_level,
        inbound_anomaly_threshold=policy.inbound_anomaly_threshold,
    )
