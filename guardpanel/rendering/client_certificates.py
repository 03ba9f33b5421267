"""Virtual hosts that ask visitors for a certificate (mTLS): what HAProxy verifies, and what is passed on to servers.

A TLS session that is resumed keeps the client certificate of its first handshake, or that there was none, under other names, too.
HAProxy 2.6 to 3.4 then serve it. Only `tune.ssl.cachesize 0` and `no-tls-tickets` together end that (measured, TLS 1.2 and 1.3).
"""

from collections.abc import Iterable, Iterator, Mapping

from guardpanel.models.certificates.https import ClientCertificates
from guardpanel.rendering.state import DesiredState
from guardpanel.rendering.virtual_host import VirtualHostState

MAP = "client_certificates.map"

LARGEST = 5464
"Bytes of a certificate in Base64 (4 KiB without), and of its subject, that are passed on. Of larger ones, the fingerprint is."

LONGEST_SUBJECT = 256
"Bytes of a subject in a line of the log. Of a longer one, the beginning is there."

ROOM = 12 * 1024
"Bytes in HAProxy’s buffer for headers with both of them, which are added once the body is there."


def asking(state: DesiredState) -> tuple[VirtualHostState, ...]:
    return tuple(host for host in state.virtual_hosts if is_asked(host))


def is_asked(host: VirtualHostState) -> bool:
    return host.client_certificates is not ClientCertificates.OFF


def is_required(host: VirtualHostState) -> bool:
    return host.client_certificates is ClientCertificates.REQUIRED


def options(host: VirtualHostState, state: DesiredState) -> Iterator[str]:
    """Of its lines in the list of certificates. A host whose CA is gone can ask for nothing: the map closes it."""
    authority = state.client_cas.get(host.client_ca_id or 0)
    if is_asked(host) and authority:
        yield f"verify {host.client_certificates} ca-file client_ca/{authority.id}.pem"
        if authority.revocation_lists:
            yield f"crl-file client_ca/{authority.id}.crl"


def demand(host: VirtualHostState) -> Iterator[str]:
    if is_asked(host):
        yield f"{host.client_certificates}:{host.client_ca_id or 0}"


def passes(state: DesiredState) -> bool:
    """coraza-spoa’s frames leave no room in the buffer for the headers, and an HAProxy without TLS has nothing for them."""
    can_pass = state.facts.has_tls and not state.facts.small_frames
    return can_pass and any(host.client_certificate_headers for host in asking(state))


def room(state: DesiredState) -> int:
    return ROOM if passes(state) else 0


def files(state: DesiredState) -> dict[str, str]:
    """The CAs that are in use, and `17 1;0`: whether a virtual host requires a certificate, and passes it on."""
    hosts = asking(state)
    if not hosts:
        return {}
    lines = (f"{host.id} {int(is_required(host))};{int(host.client_certificate_headers)}\n" for host in hosts)
    return {MAP: "".join(lines), **_authorities(state, hosts)}


def _authorities(state: DesiredState, hosts: Iterable[VirtualHostState]) -> dict[str, str]:
    used = (state.client_cas.get(host.client_ca_id or 0) for host in hosts if host.https)
    rendered = {}
    for authority in sorted({authority for authority in used if authority}):
        rendered[f"client_ca/{authority.id}.pem"] = authority.certificates
        if authority.revocation_lists:
            rendered[f"client_ca/{authority.id}.crl"] = authority.revocation_lists
    return rendered


def parameters(state: DesiredState) -> Mapping[str, object]:
    """What the templates need."""
    return {
        "client_certificates": bool(asking(state)),
        "passes_client_certificates": passes(state),
        "largest_client_certificate": LARGEST,
        "longest_subject": LONGEST_SUBJECT,
    }
