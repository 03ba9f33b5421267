"""A listener of HTTP or HTTPS: whether it uses the PROXY protocol, and which scheme visitors use."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationInfo, field_validator
from sqlmodel import Field

from guardpanel.listen_addresses import bind_text, host_and_port
from guardpanel.models.meta import Choice, described
from guardpanel.models.networks import Networks
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, visible


class ProxyProtocol(Choice):
    """Whether connections begin with a PROXY protocol header, version 1 or 2 (haproxy.org's proxy-protocol.txt)."""

    OFF = "off", "Off"
    TRUSTED = "trusted", "From these networks"
    "Connections from these networks must send the header. All others are visitors."
    REQUIRED = "required", "Required"
    "Only connections from these networks are accepted, and they must send the header."


class Scheme(Choice):
    HTTP = "http", "HTTP"
    HTTPS = "https", "HTTPS"
    "A proxy in front of this listener terminates TLS."


def listener_address(text: str) -> str:
    if not text.strip():
        raise refuse("Enter address:port, as in GUARDPANEL_HTTP_BIND or GUARDPANEL_HTTPS_BIND.")
    if "%" in text:  # HAProxy reads none.
        raise refuse("Enter the address without a zone (%).")
    try:
        return bind_text(*host_and_port(visible(text)))
    except ValueError:
        raise refuse(f"{text[:60]} is not address:port, as in GUARDPANEL_HTTP_BIND or GUARDPANEL_HTTPS_BIND.") from None


class ListenerFields(Fields):
    """Settings of one listener that differ from the defaults."""

    address: Annotated[str, AfterValidator(listener_address)] = described(
        "Address", hint="As in GUARDPANEL_HTTP_BIND or GUARDPANEL_HTTPS_BIND. For example, 0.0.0.0:80."
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
        "protocol, override it. Always HTTPS on a listener of GUARDPANEL_HTTPS_BIND.",
    )

    http2: bool = described(
        "HTTP/2 without TLS",
        False,
        hint="Next to HTTP/1.1, for proxies in front that begin with it (h2c). Over TLS, both are always there.",
    )

    @field_validator("proxy_networks")
    @classmethod
    def somebody_may_speak_it(cls, networks: list[str], info: ValidationInfo) -> list[str]:
        if not networks and info.data.get("proxy_protocol", ProxyProtocol.OFF) is not ProxyProtocol.OFF:
            raise refuse("Enter the networks that use the PROXY protocol, for example your load balancer’s.")
        return networks

    @property
    def is_plain(self) -> bool:
        return self == ListenerFields.model_construct(address=self.address, proxy_networks=[])


def each_once(listeners: list[ListenerFields]) -> list[ListenerFields]:
    """In the order in which they came, by which errors name them."""
    addresses = [listener.address for listener in listeners]
    for address in addresses:
        if addresses.count(address) > 1:
            raise refuse(f"{address} is listed twice.")
    return listeners


Listeners = Annotated[list[ListenerFields], AfterValidator(each_once), Field(max_length=100)]


def listener_in_words(listener: Mapping[str, Any]) -> str:
    """`0.0.0.0:80: PROXY protocol required from 10.0.0.0/8, visitor scheme HTTPS`"""
    words = []
    if listener["proxy_protocol"] != "off":
        needed = "required from" if listener["proxy_protocol"] == "required" else "from"
        words.append(f"PROXY protocol {needed} {', '.join(listener['proxy_networks'])}")
    words += ["visitor scheme HTTPS"] if listener["scheme"] == "https" else []
    words += ["HTTP/2 without TLS"] if listener.get("http2") else []
    return f"{listener['address']}: {', '.join(words)}"
