"""Virtual hosts over TLS: HAProxy's list of certificates, and what each virtual host asks of a handshake."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple, Self

from guardpanel.certificates.names import covers
from guardpanel.certificates.served import ServedCertificate
from guardpanel.kept import KeptLast
from guardpanel.listen_addresses import host_and_port
from guardpanel.models.certificates.certificate import is_address
from guardpanel.models.certificates.https import HttpsColumns, TlsProfile
from guardpanel.rendering import client_certificates
from guardpanel.rendering.capacity import CONNECTION
from guardpanel.rendering.chosen import Chosen
from guardpanel.rendering.state import DesiredState
from guardpanel.rendering.traffic import ListenerState
from guardpanel.rendering.virtual_host import VirtualHostState

DEFAULT = "certs/default.pem"

AWAITED, AWAITED_WILDCARDS = "awaited.map", "awaited_wildcards.map"

UNNAMED = "not-configured.invalid"
"""Stands for handshakes without a name in the first line of the list, whose certificate HAProxy serves to them. No site can have
this name (RFC 2606 §2): the panel asks for it."""

NAMES_PER_LINE = 500
"HAProxy takes a thousand words in a line of the list, and not two thousand."

STREAMS = 20
"""Requests at a time in an HTTP/2 connection. Each can fill a buffer: with bodies up to 4 MiB, HAProxy's default of 100 took
419 MB for one connection. 20 take 84."""

QUIC_WINDOW = CONNECTION
"""Bytes that HAProxy keeps of a QUIC connection before they are part of a request's buffer. They may come without a request that
is counted, such as with a gap before them. HAProxy's default is STREAMS buffers: 85 MB with bodies up to 4 MiB."""

ORDINARY, MODERN = "-", "modern"
"What a handshake has to fulfill: nothing special, or TLS 1.3."

QUIC_SECONDS = 3600
"""How long browsers remember that there is HTTP/3. Each response renews it. After HTTP/3 is turned off, they try it in vain for
this long."""


OF_HTTPS = attrgetter("id", "hostnames", *HttpsColumns.model_fields)
"Of a virtual host, all that the files depend on."

KEPT, KEPT_SECRETS = KeptLast[dict[str, str]](), KeptLast[dict[str, bytes]]()
"Few saves change anything about HTTPS, and there may be a thousand virtual hosts."


class QuicListener(NamedTuple):
    """Of HTTP/3, on the UDP port with the number of its TCP listener."""

    name: str
    bind: str
    beside_name: str
    "HAProxy’s name of the TCP listener, which tells visitors of this one."
    port: int
    "By which visitors reach it."

    @classmethod
    def beside(cls, listener: ListenerState, state: DesiredState) -> Self:
        host, port = host_and_port(listener.bind)
        family = "quic6" if ":" in host else "quic4"
        name = listener.name.replace("tls", "quic")
        return cls(name, f"{family}@{listener.bind}", listener.name, state.traffic.https_port or port)


def proxied(state: DesiredState) -> Sequence[ListenerState]:
    """The listeners that take the PROXY protocol from some networks."""
    listeners = (*state.traffic.listeners, *(state.traffic.https_listeners if state.https_hosts else ()))
    return [listener for listener in listeners if listener.takes_proxy_protocol]


def over_quic(state: DesiredState) -> Sequence[QuicListener]:
    """The listeners of HTTP/3, if HAProxy has QUIC, over which it takes no PROXY protocol."""
    if not state.traffic.http3 or state.facts.no_http3 or not state.https_hosts:
        return ()
    return [
        QuicListener.beside(listener, state)
        for listener in state.traffic.https_listeners
        if not listener.takes_proxy_protocol
    ]


def files(state: DesiredState) -> dict[str, str]:
    hosts, chosen = state.https_hosts, state.chosen_certificates
    if not hosts:
        return {}
    names = [file_of(certificate) for certificate in (chosen.unnamed, *chosen.by_name.values())]
    inputs = [*map(OF_HTTPS, hosts)], names, state.client_cas, state.awaited_names
    return KEPT.get(inputs, lambda: _files(hosts, chosen, state))


def _files(hosts: Sequence[VirtualHostState], chosen: Chosen, state: DesiredState) -> dict[str, str]:
    awaited = awaited_maps(hosts, chosen, state.awaited_names)
    return {"crt-list.txt": crt_list(hosts, chosen, state), "tls.map": tls_map(hosts), **awaited}


def secrets(state: DesiredState) -> dict[str, bytes]:
    """The files with private keys."""
    if not state.https_hosts:
        return KEPT_SECRETS.get((), dict)
    chosen, default = state.chosen_certificates, state.facts.default_certificate
    return KEPT_SECRETS.get((chosen, default), lambda: _secrets(chosen, default))


def _secrets(chosen: Chosen, default: bytes) -> dict[str, bytes]:
    named = [certificate for name, certificate in chosen.by_name.items() if not is_address(name)]
    used = {
        certificate.certificate_id: certificate for certificate in (*named, chosen.unnamed) if certificate is not None
    }
    return {DEFAULT: default} | {file_of(certificate): certificate.pem for _, certificate in sorted(used.items())}


def file_of(certificate: ServedCertificate | None) -> str:
    return DEFAULT if certificate is None else f"certs/{certificate.certificate_id}.pem"


def crt_list(hosts: Sequence[VirtualHostState], chosen: Chosen, state: DesiredState) -> str:
    """`certs/default.pem [ssl-min-ver TLSv1.3] shop.example *.shop.example`. All names but IP addresses are listed: others that a
    certificate covers change nothing by themselves."""
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for host in hosts:
        for name in host.hostnames:
            if not is_address(name):
                lines[file_of(chosen.by_name[name]), options(host, state)].append(name)
    return f"{file_of(chosen.unnamed)} {UNNAMED}\n" + "".join(
        " ".join(filter(None, (file, demands, *some))) + "\n"
        for (file, demands), names in sorted(lines.items())
        for some in _parts(sorted(names))
    )


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + NAMES_PER_LINE] for start in range(0, len(names), NAMES_PER_LINE))


def options(host: VirtualHostState, state: DesiredState) -> str:
    version = ["ssl-min-ver TLSv1.3"] if host.tls_profile is TlsProfile.MODERN else []
    words = " ".join([*version, *client_certificates.options(host, state)])
    return f"[{words}]" if words else ""


def demand(host: VirtualHostState) -> str:
    """Equal for virtual hosts that may share a connection: `-`, `modern`, `modern,required:3`"""
    version = [MODERN] if host.tls_profile is TlsProfile.MODERN else []
    return ",".join([*version, *client_certificates.demand(host)]) or ORDINARY


def tls_map(hosts: Sequence[VirtualHostState]) -> str:
    """`17 -;1;300`: what a handshake has to fulfill, whether HTTP is redirected, seconds of HSTS."""
    return "".join(
        f"{host.id} {demand(host)};{int(host.https_redirect or client_certificates.is_required(host))};{host.hsts_seconds}\n"
        for host in hosts
    )


def awaited_maps(hosts: Sequence[VirtualHostState], chosen: Chosen, awaited: Collection[str]) -> dict[str, str]:
    """`new.shop.example -;0;0`, in place of the line in tls.map: no redirect and no HSTS for a hostname whose first certificate
    is still to be issued: browsers would refuse what visitors get. Wildcards are listed by parent. Empty if none is awaited."""
    lines = [
        (name, f"{demand(host)};{int(client_certificates.is_required(host))};0\n")
        for host in hosts
        for name in host.hostnames
        if chosen.by_name[name] is None and covers(awaited, name)
    ]
    exact = "".join(f"{name} {line}" for name, line in sorted(lines) if not name.startswith("*."))
    parents = "".join(f"{name[2:]} {line}" for name, line in sorted(lines) if name.startswith("*."))
    return {AWAITED: exact, AWAITED_WILDCARDS: parents} if lines else {}


def parameters(state: DesiredState) -> Mapping[str, object]:
    """What the templates need."""
    hosts = state.https_hosts
    port = state.traffic.https_port or (state.facts.https_binds[0][1] if state.facts.https_binds else 443)
    return {
        "https": bool(hosts),
        "takes_http2": bool(hosts) or any(listener.http2 for listener in state.traffic.listeners),
        "awaits": bool(state.awaited_names and awaited_maps(hosts, state.chosen_certificates, state.awaited_names)),
        "proxied_listeners": proxied(state),
        "https_port": port,
        "quic_listeners": over_quic(state),
        "plain_demands": (ORDINARY, MODERN),
        "quic_seconds": QUIC_SECONDS,
        "quic_window": QUIC_WINDOW,
        "streams": STREAMS,
    }
