"""What is checked before `guardpanel up` starts anything, so that a fault is said in one line."""

import socket

from guardpanel.engines.deployer import Engines
from guardpanel.engines.supervisor import listener_of
from guardpanel.errors import EngineUnavailable
from guardpanel.settings import Settings, host_and_port


def refuse_busy_ports(settings: Settings, *, proxy: bool) -> None:
    """EngineUnavailable if somebody else listens on the panel's port, or on HAProxy's while ours does not run yet."""
    _must_be_free("GUARDPANEL_LISTEN", *host_and_port(settings.listen))
    if proxy and listener_of(settings.master_socket) is None:
        for host, port in settings.http_binds:
            _must_be_free("GUARDPANEL_HTTP_BIND", host, port)


async def require_engines(settings: Settings) -> None:
    """EngineUnavailable with what to do if HAProxy or the agent is missing or too old."""
    engines = Engines(settings, "")
    await engines.haproxy.version()
    engines.agent.binary()


def _must_be_free(name: str, host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise EngineUnavailable(f"cannot listen on {host}:{port}: {error.strerror}. Set {name} to another address.") from error
