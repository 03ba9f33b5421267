"""A server of a virtual host's backend, and how its certificate is verified."""

from collections.abc import Mapping
from typing import Annotated, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BeforeValidator, ValidationInfo, field_validator, model_validator
from sqlalchemy import CheckConstraint
from sqlmodel import Field

from guardpanel.models.meta import Choice, described
from guardpanel.models.references import blank_is_none
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Endpoint, Fields, endpoint


class Balance(Choice):
    """HAProxy's `balance` algorithms that suit HTTP servers (HAProxy configuration manual, `balance`)."""

    ROUNDROBIN = "roundrobin", "Round robin"
    LEASTCONN = "leastconn", "Least connections"
    SOURCE = "source", "Client IP hash"
    RANDOM = "random", "Random"
    FIRST = "first", "First available"


class TlsVerify(Choice):
    """How an https server's certificate is verified."""

    SYSTEM = "system", "System CAs"
    "Against the system's certificate authorities."
    CA = "ca", "CA certificate below"
    "Against the authority configured in the virtual host."
    OFF = "off", "None (insecure)"
    "Not at all, by the operator's explicit choice."


def certificates(pem: str) -> str:
    """PEM certificates, parsed and re-encoded so that nothing else reaches the file."""
    if not pem.strip():
        return ""
    try:
        parsed = x509.load_pem_x509_certificates(pem.encode("ascii"))
    except (ValueError, UnicodeEncodeError):
        raise refuse("Paste a PEM certificate (-----BEGIN CERTIFICATE-----).") from None
    return "".join(certificate.public_bytes(Encoding.PEM).decode("ascii") for certificate in parsed)


OptionalNumber = Annotated[int | None, BeforeValidator(blank_is_none)]

LIKE_ALL = "as for all"
"What a server's own number is if there is none: the virtual host's."


class ServerFields(Fields):
    """A server as typed: `address` may be a URL, whose scheme then applies."""

    scheme: str = described("Scheme", "http", max_length=5)
    address: str = described(
        "Address",
        max_length=500,
        placeholder="10.0.0.5:3000",
        hint="For example, 10.0.0.5:3000. A URL sets the scheme, too.",
    )
    weight: int = described("Weight", 100, ge=0, le=256, placeholder="100")
    enabled: bool = described("Enabled", True)
    draining: bool = described("Draining", False, hint="No new requests.")
    backup: bool = described("Backup", False)
    resolve_later: bool = described("Resolve later", False)
    health_check: bool = described("Health check", True)
    max_connections: int = described(
        "Connections", 0, ge=0, le=100_000, unit="at a time (0: no limit)", zero="no limit", placeholder="0"
    )
    health_check_interval: OptionalNumber = described("Check interval", None, ge=1, le=3600, unit="s", unset=LIKE_ALL)
    health_check_rise: OptionalNumber = described("Up after", None, ge=1, le=100, unit="passed checks", unset=LIKE_ALL)
    health_check_fall: OptionalNumber = described(
        "Down after", None, ge=1, le=100, unit="failed checks", unset=LIKE_ALL
    )

    @model_validator(mode="before")
    @classmethod
    def scheme_from_url(cls, data: Any) -> Any:
        if isinstance(data, dict) and "://" in str(data.get("address", "")):
            return {**data, "scheme": str(data["address"]).strip().split("://", 1)[0].lower()}
        return data

    @field_validator("scheme", mode="before")
    @classmethod
    def known_scheme(cls, scheme: object) -> object:
        if isinstance(scheme, str) and scheme not in {"http", "https"}:
            raise refuse("The scheme must be http or https.")
        return scheme

    @field_validator("address")
    @classmethod
    def a_server(cls, text: str, info: ValidationInfo) -> str:
        return endpoint(text, scheme=info.data.get("scheme", "http")).address

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}"


class Server(ServerFields, table=True):
    """A row; `position` is its place in the form and part of its name in HAProxy (`s1`)."""

    __table_args__ = (CheckConstraint("scheme in ('http', 'https')", name="scheme"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    virtual_host_id: int | None = Field(
        default=None, foreign_key="virtualhost.id", ondelete="CASCADE", index=True, nullable=False
    )
    position: int

    @property
    def endpoint(self) -> Endpoint:
        return endpoint(self.address, scheme=self.scheme)


def server_in_words(server: Mapping[str, Any]) -> str:
    """`https://10.0.0.5:3000, weight 50, backup`: only what differs from the defaults."""
    words = [f"{server['scheme']}://{server['address']}"]
    words += [f"weight {server['weight']}"] if server["weight"] != 100 else []
    words += ["backup"] if server["backup"] else []
    words += [] if server["enabled"] else ["disabled"]
    words += ["draining"] if server["draining"] else []
    words += ["resolved later"] if server["resolve_later"] else []
    words += [f"{server['max_connections']:,} connections at a time"] if server["max_connections"] else []
    return ", ".join([*words, *_check_in_words(server)])


def _check_in_words(server: Mapping[str, Any]) -> list[str]:
    interval, rise, fall = (server[f"health_check_{name}"] for name in ("interval", "rise", "fall"))
    words = [] if server["health_check"] else ["no health check"]
    words += [f"checked every {interval} s"] if interval else []
    words += [f"up after {rise}"] if rise else []
    return words + ([f"down after {fall}"] if fall else [])
