"""How requests reach HAProxy, for all virtual hosts: which listeners speak the PROXY protocol, and whose word counts for
who the client is. There is one row."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ValidationInfo, field_validator, model_validator
from sqlalchemy import JSON, CheckConstraint
from sqlmodel import Field

from guardpanel.models.meta import Choice, described
from guardpanel.models.networks import Networks
from guardpanel.models.noun import Noun, Part
from guardpanel.models.types import Fields, refuse, stored, visible
from guardpanel.settings import bind_text, host_and_port

MOST_HOPS = 10

MOST_CONNECTIONS = 100_000
FEWEST = {"max_connections": 10, "max_requests_per_client": 6}

HEADER_NAME = re.compile(r"[a-z0-9-]{1,60}")

NEVER_A_CLIENT = {
    "accept", "authorization", "connection", "content-length", "content-type", "cookie", "date", "expect", "host", "referer",
    "te", "transfer-encoding", "upgrade", "user-agent", "via",
}  # fmt: skip
"Headers that mean something else, so that taking them over would break the request."


class ProxyProtocol(Choice):
    """Whether connections begin with a PROXY protocol header, version 1 or 2 (haproxy.org's proxy-protocol.txt)."""

    OFF = "off", "Off"
    TRUSTED = "trusted", "From these networks"
    "Those from the networks must; others are visitors themselves."
    REQUIRED = "required", "Required"
    "Only those from the networks are served, and each must."


class Scheme(Choice):
    HTTP = "http", "HTTP"
    HTTPS = "https", "HTTPS"
    "Something in front of this listener ends TLS."


class ClientIpSource(Choice):
    """What says who the client is."""

    CONNECTION = "connection", "Connection"
    "The connection's own address, or the PROXY protocol's."
    X_FORWARDED_FOR = "x_forwarded_for", "X-Forwarded-For"
    HEADER = "header", "Another header"
    "One header with one address, such as CF-Connecting-IP."


def listener_address(text: str) -> str:
    try:
        return bind_text(*host_and_port(visible(text)))
    except ValueError:
        raise refuse(f"{text[:60]} is not address:port, as in GUARDPANEL_HTTP_BIND.") from None


class ListenerFields(Fields):
    """What is special about one listener of `GUARDPANEL_HTTP_BIND`."""

    address: Annotated[str, AfterValidator(listener_address)] = described(
        "Address", hint="As in GUARDPANEL_HTTP_BIND. For example, 0.0.0.0:80."
    )
    proxy_protocol: ProxyProtocol = described("PROXY protocol", ProxyProtocol.OFF)
    proxy_networks: Networks = described(
        "PROXY protocol networks",
        default_factory=list,
        hint="One per line. Their connections must begin with a PROXY header, version 1 or 2. Required: all others get 400.",
    )
    scheme: Scheme = described(
        "Visitor scheme",
        Scheme.HTTP,
        hint="HTTPS if TLS ends in front of this listener. A trusted proxy’s X-Forwarded-Proto, and port 443 in the PROXY "
        "protocol, override it.",
    )

    @model_validator(mode="before")
    @classmethod
    def networks_are_asked_for(cls, data: Any) -> Any:
        """Pydantic looks at no default."""
        return {"proxy_networks": [], **data} if isinstance(data, dict) else data

    @field_validator("proxy_networks")
    @classmethod
    def somebody_may_speak_it(cls, networks: list[str], info: ValidationInfo) -> list[str]:
        if not networks and info.data.get("proxy_protocol", ProxyProtocol.OFF) is not ProxyProtocol.OFF:
            raise refuse("Enter the networks that use the PROXY protocol, for example your load balancer’s.")
        return networks

    @property
    def is_plain(self) -> bool:
        return self == ListenerFields.model_construct(address=self.address, proxy_networks=[])


def by_address(listeners: list[ListenerFields]) -> list[ListenerFields]:
    addresses = [one.address for one in listeners]
    for address in addresses:
        if addresses.count(address) > 1:
            raise refuse(f"{address} is listed twice.")
    return sorted(listeners, key=lambda one: one.address)


Listeners = Annotated[list[ListenerFields], AfterValidator(by_address), Field(max_length=100)]


class TrafficColumns(Fields):
    """What form, JSON and table have in common."""

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
        hint="0: as many as there is memory for. More get 503. The panel stays reachable.",
    )
    max_requests_per_client: int = described(
        "Requests per client",
        0,
        ge=0,
        le=MOST_CONNECTIONS,
        unit="at a time",
        hint="In progress, by client IP. 0: as many as there is memory for. More get 429.",
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
    """What an operator sets: the input of the form, of the JSON body and of the table."""

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

    @field_validator("client_ip_header")
    @classmethod
    def named_where_it_is_asked_for(cls, name: str, info: ValidationInfo) -> str:
        if not name and info.data.get("client_ip_source") is ClientIpSource.HEADER:
            raise refuse("Enter the header, for example CF-Connecting-IP.")
        return name


class Traffic(TrafficColumns, table=True):
    """The row. `version` counts its edits; a form or an If-Match that names an older one is stale."""

    __table_args__ = (
        CheckConstraint("id = 1", name="only_one"),
        CheckConstraint("client_ip_source in ('connection', 'x_forwarded_for', 'header')", name="client_ip_source"),
    )

    id: int | None = Field(default=1, primary_key=True)
    version: int = 1
    listeners: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    def replace(self, fields: TrafficFields) -> Self:
        for name in TrafficColumns.model_fields:
            setattr(self, name, getattr(fields, name))
        self.listeners = [one.model_dump(mode="json") for one in fields.listeners if not one.is_plain]
        return self

    def touch(self, version: int) -> None:
        """One more edit: a form that was opened before it is stale from now on."""
        self.version = version
        self.updated_at = datetime.now(UTC)


def listener_in_words(listener: Mapping[str, Any]) -> str:
    """`0.0.0.0:80: PROXY protocol required from 10.0.0.0/8, TLS ends in front`"""
    words = []
    if listener["proxy_protocol"] != "off":
        needed = "required from" if listener["proxy_protocol"] == "required" else "from"
        words.append(f"PROXY protocol {needed} {', '.join(listener['proxy_networks'])}")
    words += ["TLS ends in front"] if listener["scheme"] == "https" else []
    return f"{listener['address']}: {', '.join(words)}"


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
    parts=(Part("listeners", listener_in_words, known_by="address"),),
    only_name="Traffic settings",
    known_as=(
        "traffic settings client ip address trusted proxies networks x-forwarded-for x-forwarded-proto cf-connecting-ip "
        "proxy protocol listener tls load balancer cdn"
    ),
)
