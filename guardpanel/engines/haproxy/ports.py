"""Whether HAProxy can listen where it should."""

import errno
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from guardpanel.bundle import Bundle
from guardpanel.engines.haproxy.haproxy import ENGINE
from guardpanel.engines.processes import proc
from guardpanel.engines.proxy_lines import tls_listeners
from guardpanel.engines.releases import ReleaseDamaged, Releases
from guardpanel.errors import ConfigRejected, EngineUnavailable, Finding


def must_be_free(name: str, host: str, port: int) -> None:
    """Raises EngineUnavailable with the variable to change."""
    if error := refusal(host, port):
        raise EngineUnavailable(f"Cannot listen on {host}:{port}: {error.strerror}. Change {name}.") from error


def refusal(host: str, port: int) -> OSError | None:
    """Why this process cannot listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            return error
    return None


def must_be_free_for(bundle: Bundle, releases: Releases) -> None:
    """Raises ConfigRejected if another process has a port that this configuration adds: HAProxy's own check binds no sockets."""
    places, number = set(tls_listeners(bundle.files)), releases.current_number()
    if not places or number is None:
        return  # The first configuration comes with HAProxy's start.
    with suppress(ReleaseDamaged):
        places -= set(tls_listeners(releases.files(number)))
    if words := taken(place for place in places if not isinstance(place, Path)):
        finding = Finding(ENGINE, words, advice=words)
        raise ConfigRejected("HAProxy cannot listen.", engine=ENGINE, output=words, findings=[finding])


def taken(places: Iterable[tuple[str, int]]) -> str:
    """Why HAProxy cannot listen on these. Empty if it can, or if only the panel may not: HAProxy may have the capability for
    ports below 1024 that the panel lacks."""
    for host, port in places:
        error = refusal(host, port)
        if error is not None and error.errno not in {errno.EACCES, errno.EPERM}:
            words = f"Cannot listen on {host}:{port}: {error.strerror}. Change GUARDPANEL_HTTPS_BIND."
            users = [f"process {pid} ({proc.command(pid)})" for pid in sorted(proc.owners(proc.listening(host, port)))]
            return f"{words} It is used by {', '.join(users[:3])}." if users else words
    return ""
