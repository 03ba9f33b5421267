"""How requests reach HAProxy, for all virtual hosts: which listeners use the PROXY protocol, and which header carries the client
IP. There is a single row."""

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ValidationInfo, field_validator
from sqlalchemy import JSON, CheckConstraint
from sqlmodel import Field

from guardpanel.models.listener import Listeners, listener_in_words
from guardpanel.models.meta import Choice, described
from guardpanel.models.networks import Networks
from guardpanel.models.noun import Noun, Part
from guardpanel.models.references import OptionalId
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, stored, visible
from guardpanel.models.versioned_row import VersionedRow

MOST_HOPS = 10

MOST_CONNECTIONS = 100_000
FEWEST = {"max_connections": 10, "max_requests_per_client": 6}

HEADER_NAME = re.compile(r"[a-z0-9-]{1,60}")

NEVER_A_CLIENT = {
    "accept", "authorization", "connection", "content-length", "content-type", "cookie", "date", "expect", "host", "referer",
    "te", "transfer-encoding", "upgrade", "user-agent", "via",
}  # fmt: skip
"Headers with a meaning of their own: reading the client IP from them would break requests."


class ClientIpSource(Choice):
    """Where the client IP comes from."""

    CONNECTION = "connection", "Connection"
    "The connection, or its PROXY protocol header."
    X_FORWARDED_FOR = "x_forwarded_for", "X-Forwarded-For"
    HEADER = "header", "Another header"
    "A header with a single address, such as CF-Connecting-IP."


def health_address(text: str) -> str:
    path = visible(text.strip())
    if path and not re.fullmatch(r"/[A-Za-z0-9_~-][A-Za-z0-9._~/-]{0,98}", path):
        raise refuse("Start the path with /. Use letters, digits, and / . _ ~ - (100 at most).")
    if re.search(r"//|/\.{1,2}(/|$)", path):
        raise refuse("Enter the path without //, . and .. segments: load balancers resolve them before they ask.")
    return path


class TrafficColumns(Fields):
    """The fields that form, JSON and table share."""

    client_ip_source: ClientIpSource = described(
        "Client IP source",
        ClientIpSource.CONNECTION,
        sa_type=stored(ClientIpSource),
        hint="The address that events, limits, and servers get. Use the connection unless a proxy, load balancer, or CDN is "
        "in front.",
    )
    trusted_networks: Networks = described(
        "Trusted proxies",
        default_factory=list,
        sa_type=JSON,
        hint="One IP address or network per line. For example, 10.0.0.0/8. X-Forwarded headers from all others are removed.",
    )
    forwarded_hops: int = described(
        "Hops",
        0,
        ge=0,
        le=MOST_HOPS,
        unit="from the right",
        hint="For X-Forwarded-For. 0 takes the last address that is not a trusted proxy’s. 1 takes the last one.",
    )
    client_ip_header: str = described(
        "Client IP header",
        "",
        hint="For another header. For example, CF-Connecting-IP. It must contain one IP address.",
    )
    max_connections: int = described(
        "Connection limit",
        0,
        ge=0,
        le=MOST_CONNECTIONS,
        unit="at a time",
        zero="by memory",
        hint="0 sets it by the available memory. Further connections get 503. The panel stays reachable.",
    )
    max_requests_per_client: int = described(
        "Requests per client",
        0,
        ge=0,
        le=MOST_CONNECTIONS,
        unit="at a time",
        zero="by memory",
        hint="In progress, by client IP. 0 sets it by the available memory. Further requests get 429.",
    )
    https_port: int = described(
        "Port in HTTPS redirects",
        0,
        ge=0,
        le=65_535,
        zero="the listener’s",
        hint="The port that visitors use for HTTPS, for example 443 if it is forwarded to the listener. 0: the listener’s own.",
    )
    strict_sni: bool = described(
        "Refuse unknown TLS names",
        False,
        hint="Ends TLS handshakes that name none of the hostnames served over HTTPS. When off, they get the default certificate.",
    )
    http3: bool = described(
        "HTTP/3",
        False,
        hint="Also serves virtual hosts over QUIC, on the UDP ports of HTTPS listeners without the PROXY protocol. Open them in "
        "firewalls first.",
    )
    default_certificate_id: OptionalId = described(
        "Default certificate",
        None,
        unset="automatic",
        hint="For TLS handshakes with an unknown name or none. Automatic: the one that covers most IP addresses with HTTPS, "
        "otherwise a self-signed one.",
    )

    health_path: Annotated[str, AfterValidator(health_address)] = described(
        "Health address",
        "",
        placeholder="/health-of-haproxy",
        hint="For load balancers in front. 200 while HAProxy and the WAF agent respond, else 503. Never for a virtual host’s "
        "hostname: let them ask for an IP address or another name.",
    )
    health_networks: Networks = described(
        "Health checks from",
        default_factory=list,
        sa_type=JSON,
        hint="One IP address or network per line. For all others, the health address is like any other path.",
    )
    health_drain: bool = described(
        "Drain",
        False,
        hint="The health address returns 503, so that load balancers send visitors elsewhere. All requests are served as before.",
    )

    @field_validator("max_connections", "max_requests_per_client")
    @classmethod
    def enough_for_a_page(cls, count: int, info: ValidationInfo) -> int:
        fewest = FEWEST[info.field_name or ""]
        if 0 < count < fewest:
            raise refuse(f"Enter {fewest} or more, or 0. A browser opens 6 for one page.")
        return count

    @field_validator("client_ip_header")
    @classmethod
    def header_name(cls, text: str) -> str:
        name = visible(text.strip()).lower().rstrip(":")
        if name and not HEADER_NAME.fullmatch(name):
            raise refuse(f"{name[:60]} is not a header name. Use letters, digits, and - (60 at most).")
        if name in NEVER_A_CLIENT or name.startswith("x-gp-"):
            raise refuse(
                f"{name} does not contain the client IP. Enter a header that does, for example CF-Connecting-IP."
            )
        if name in {"x-forwarded-for", "forwarded"}:
            raise refuse(f"{name} is a list of addresses. Select X-Forwarded-For as the source instead.")
        return name


class TrafficFields(TrafficColumns):
    """What an operator sets: the input of the form and the JSON body, and the columns of the table."""

    listeners: Listeners = described("Listeners", default_factory=list)

    @field_validator("trusted_networks")
    @classmethod
    def somebody_is_trusted(cls, networks: list[str], info: ValidationInfo) -> list[str]:
        if (
            not networks
            and info.data.get("client_ip_source", ClientIpSource.CONNECTION) is not ClientIpSource.CONNECTION
        ):
            raise refuse(
                "Enter your proxies’ networks. From other addresses the header is ignored, because it could be forged."
            )
        return networks

    @field_validator("health_networks")
    @classmethod
    def somebody_asks(cls, networks: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("health_path") and not networks:
            raise refuse("Enter the load balancers’ addresses or networks.")
        return networks

    @field_validator("client_ip_header")
    @classmethod
    def named_where_it_is_asked_for(cls, name: str, info: ValidationInfo) -> str:
        if not name and info.data.get("client_ip_source") is ClientIpSource.HEADER:
            raise refuse("Enter the header, for example CF-Connecting-IP.")
        return name


class Traffic(TrafficColumns, VersionedRow, table=True):
    """The row. `version` counts its edits; a form or an If-Match that names an older one is stale."""

    __table_args__ = (
        CheckConstraint("id = 1", name="only_one"),
        CheckConstraint("client_ip_source in ('connection', 'x_forwarded_for', 'header')", name="client_ip_source"),
    )

    id: int | None = Field(default=1, primary_key=True)
    default_certificate_id: int | None = Field(default=None, foreign_key="certificate.id", index=True)
    listeners: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)

    def replace(self, fields: TrafficFields) -> Self:
        for name in TrafficColumns.model_fields:
            setattr(self, name, getattr(fields, name))
        by_address = sorted(fields.listeners, key=lambda listener: listener.address)
        self.listeners = [listener.model_dump(mode="json") for listener in by_address if not listener.is_plain]
        return self


NOUN = Noun(
    "traffic",
    "traffic",
    "Settings",
    "Settings",
    Traffic,
    TrafficFields,
    "/system/traffic",
    "traffic",
    "How requests reach HAProxy, for all virtual hosts: PROXY protocol, client IP.",
    {"max_requests_per_client": 200},
    parts=(Part("listeners", listener_in_words, known_by="address"),),
    references={"default_certificate_id": "certificate"},
    only_name="Traffic settings",
    known_as=(
        "traffic settings client ip address trusted proxies networks x-forwarded-for x-forwarded-proto cf-connecting-ip "
        "proxy protocol listener tls load balancer cdn health check"
    ),
)
