"""Virtual hosts over TLS: HAProxy's list of certificates, and what each virtual host asks of a handshake."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from guardpanel.listen_addresses import bind_text
from guardpanel.models.https import TlsProfile
from guardpanel.rendering.state import DesiredState
from guardpanel.rendering.virtual_host import VirtualHostState

DEFAULT = "certs/default.pem"

NAMES_PER_LINE = 500
"HAProxy takes a thousand words in a line of the list, and not two thousand."

STREAMS = 20
"""Requests at a time in an HTTP/2 connection. Each can fill a buffer: with bodies up to 4 MiB, HAProxy's default of 100 took
419 MB for one connection. 20 take 84."""

ORDINARY = "-"
"What a handshake has to fulfill, if it is nothing special."


def served(state: DesiredState) -> tuple[VirtualHostState, ...]:
    """The virtual hosts with HTTPS, if HAProxy has TLS and a listener for it."""
    if not state.facts.https_binds or not state.facts.has_tls:
        return ()
    return tuple(host for host in state.virtual_hosts if host.https)


def binds(state: DesiredState) -> Sequence[tuple[str, str]]:
    """HAProxy's name for each HTTPS listener, and its address."""
    return [(f"tls{number}", bind_text(*bind)) for number, bind in enumerate(state.facts.https_binds, 1)]


def files(state: DesiredState) -> dict[str, str]:
    hosts = served(state)
    return {"crt-list.txt": crt_list(hosts), "tls.map": tls_map(hosts)} if hosts else {}


def secrets(state: DesiredState) -> dict[str, bytes]:
    """The files with private keys."""
    return {DEFAULT: state.facts.default_certificate} if served(state) else {}


def crt_list(hosts: Sequence[VirtualHostState]) -> str:
    """`certs/default.pem [ssl-min-ver TLSv1.3] shop.example *.shop.example`. All names are listed: others that a certificate
    covers change nothing by themselves."""
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for host in hosts:
        for name in host.hostnames:
            lines[DEFAULT, options(host)].append(name)
    return "".join(
        " ".join(filter(None, (file, demands, *some))) + "\n"
        for (file, demands), names in sorted(lines.items())
        for some in _parts(sorted(names))
    )


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + NAMES_PER_LINE] for start in range(0, len(names), NAMES_PER_LINE))


def options(host: VirtualHostState) -> str:
    return "[ssl-min-ver TLSv1.3]" if host.tls_profile is TlsProfile.MODERN else ""


def demand(host: VirtualHostState) -> str:
    """Equal for virtual hosts that may share a connection."""
    return "modern" if host.tls_profile is TlsProfile.MODERN else ORDINARY


def tls_map(hosts: Sequence[VirtualHostState]) -> str:
    """`17 -;1;300`: what a handshake has to fulfill, whether HTTP is redirected, seconds of HSTS."""
    return "".join(f"{host.id} {demand(host)};{int(host.https_redirect)};{host.hsts_seconds}\n" for host in hosts)


def parameters(state: DesiredState) -> Mapping[str, object]:
    """What the templates need."""
    port = state.traffic.https_port or (state.facts.https_binds[0][1] if state.facts.https_binds else 443)
    return {
        "https": bool(served(state)),
        "https_binds": binds(state),
        "https_port": port,
        "default_certificate": DEFAULT,
        "streams": STREAMS,
    }
