"""Whether HAProxy can listen where it should."""

import errno
import socket
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from guardpanel.bundle import Bundle
from guardpanel.engines.files import content_of
from guardpanel.engines.haproxy.haproxy import ENGINE
from guardpanel.engines.processes import proc
from guardpanel.engines.proxy_lines import LISTENERS, quic_listeners, tls_listeners
from guardpanel.engines.releases import ReleaseDamaged, Releases
from guardpanel.errors import ConfigRejected, EngineUnavailable, Finding


def must_be_free(name: str, host: str, port: int) -> None:
    """Raises EngineUnavailable with the variable to change."""
    if error := refusal(host, port):
        raise EngineUnavailable(f"Cannot listen on {host}:{port}: {error.strerror}. Change {name}.") from error


def refusal(host: str, port: int) -> OSError | None:
    """Why this process cannot listen there."""
    return _bound(host, port, socket.SOCK_STREAM, socket.SO_REUSEADDR)


def udp_refusal(host: str, port: int) -> OSError | None:
    """Why HAProxy cannot receive UDP there. It shares its port with an old worker that still has connections."""
    return _bound(host, port, socket.SOCK_DGRAM, socket.SO_REUSEPORT)


def _bound(host: str, port: int, kind: socket.SocketKind, shared: int) -> OSError | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as listener:
        listener.setsockopt(socket.SOL_SOCKET, shared, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            return error
    return None


def must_be_free_for(bundle: Bundle, releases: Releases) -> None:
    """Raises ConfigRejected if another process has a port that this configuration adds: HAProxy's own check binds no sockets."""
    if releases.current_number() is None:
        return  # The first configuration comes with HAProxy's start.
    before: dict[str, bytes] = {}
    for name in LISTENERS:  # Not all files, whose hashes would be compared.
        with suppress(OSError):
            before[name] = content_of(releases.link / name)
    if LISTENERS[0] not in before:
        return  # Which ports HAProxy has itself is unknown, and this save may be what mends it.
    if words := busy(bundle.files, before):
        finding = Finding(ENGINE, words, advice=words)
        raise ConfigRejected("HAProxy cannot listen.", engine=ENGINE, output=words, findings=[finding])


def must_be_free_at_start(releases: Releases) -> None:
    """Raises EngineUnavailable if another process has a port of the current release."""
    number = releases.current_number()
    with suppress(ReleaseDamaged):
        if number is not None and (words := busy(releases.files(number))):
            raise EngineUnavailable(words)


def busy(files: Mapping[str, bytes], before: Mapping[str, bytes] | None = None) -> str:
    """Why HAProxy cannot listen for HTTPS and HTTP/3 where this configuration does, and the one `before` did not."""
    tcp, udp = set(tls_listeners(files)), set(quic_listeners(files))
    if before:
        tcp, udp = tcp - set(tls_listeners(before)), udp - set(quic_listeners(before))
    return taken(place for place in sorted(tcp, key=str) if not isinstance(place, Path)) or taken_udp(sorted(udp))


def taken(places: Iterable[tuple[str, int]]) -> str:
    """Why HAProxy cannot listen on these. Empty if it can, or if only the panel may not: HAProxy may have the capability for
    ports below 1024 that the panel lacks."""
    advice = "Change GUARDPANEL_HTTPS_BIND."
    flaws = (_flaw(f"{host}:{port}", refusal(host, port), proc.listening(host, port), advice) for host, port in places)
    return next(filter(None, flaws), "")


def taken_udp(places: Iterable[tuple[str, int]]) -> str:
    """The same for HTTP/3."""
    advice = "Change GUARDPANEL_HTTPS_BIND, or turn off HTTP/3."
    flaws = (
        _flaw(f"UDP {host}:{port}", udp_refusal(host, port), proc.receiving(host, port), advice)
        for host, port in places
    )
    return next(filter(None, flaws), "")


def _flaw(place: str, error: OSError | None, sockets: Collection[str], advice: str) -> str:
    if error is None or error.errno in {errno.EACCES, errno.EPERM}:
        return ""
    users = [f"process {pid} ({proc.command(pid)})" for pid in sorted(proc.owners(sockets))]
    used = f" It is used by {', '.join(users[:3])}." if users else ""
    return f"Cannot listen on {place}: {error.strerror}. {advice}{used}"
