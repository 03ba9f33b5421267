"""Virtual hosts over TLS: HAProxy's list of certificates, and what each virtual host asks of a handshake."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from guardpanel.certificates.choosing import best_for
from guardpanel.certificates.served import ServedCertificate
from guardpanel.listen_addresses import bind_text
from guardpanel.models.certificate import is_address
from guardpanel.models.https import TlsProfile
from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.state import DesiredState
from guardpanel.rendering.virtual_host import VirtualHostState

DEFAULT = "certs/default.pem"

UNNAMED = "not-configured.invalid"
"""Stands for handshakes without a name in the first line of the list, whose certificate HAProxy serves to them. No site can have
this name (RFC 2606 §2): the panel asks for it."""

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
    if not hosts:
        return {}
    return {"crt-list.txt": crt_list(hosts, choices(hosts, state.facts)), "tls.map": tls_map(hosts)}


def secrets(state: DesiredState) -> dict[str, bytes]:
    """The files with private keys."""
    hosts = served(state)
    if not hosts:
        return {}
    chosen = choices(hosts, state.facts)
    named = [certificate for name, certificate in chosen.items() if not is_address(name)]
    used = {one.certificate_id: one for one in (*named, unnamed(chosen)) if one is not None}
    return {DEFAULT: state.facts.default_certificate} | {file_of(one): one.pem for _, one in sorted(used.items())}


def choices(hosts: Sequence[VirtualHostState], facts: EngineFacts) -> dict[str, ServedCertificate | None]:
    """The certificate of each hostname. None: the default one."""
    by_name: dict[str, list[ServedCertificate]] = defaultdict(list)
    for one in facts.certificates.all:
        for name in one.names:
            by_name[name].append(one)
    return {
        name: best_for(
            name, (*by_name.get(name, ()), *by_name.get(f"*.{name.partition('.')[2]}", ())), facts.certificates.at
        )
        for host in hosts
        for name in host.hostnames
    }


def unnamed(chosen: Mapping[str, ServedCertificate | None]) -> ServedCertificate | None:
    """Of handshakes without a name: that of most IP addresses, since a client names none (RFC 6066 §3)."""
    addresses = Counter(one for name, one in sorted(chosen.items()) if one is not None and is_address(name))
    return next((certificate for certificate, _ in addresses.most_common(1)), None)


def file_of(one: ServedCertificate | None) -> str:
    return DEFAULT if one is None else f"certs/{one.certificate_id}.pem"


def crt_list(hosts: Sequence[VirtualHostState], chosen: Mapping[str, ServedCertificate | None]) -> str:
    """`certs/default.pem [ssl-min-ver TLSv1.3] shop.example *.shop.example`. All names but IP addresses are listed: others that a
    certificate covers change nothing by themselves."""
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for host in hosts:
        for name in host.hostnames:
            if not is_address(name):
                lines[file_of(chosen[name]), options(host)].append(name)
    return f"{file_of(unnamed(chosen))} {UNNAMED}\n" + "".join(
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
        "streams": STREAMS,
    }
