"""Which listeners expect the PROXY protocol from this machine, according to a rendered configuration. Connecting the wrong way
would appear in HAProxy's log as a broken connection of a visitor."""

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from guardpanel.engines.http import Place
from guardpanel.settings import host_and_port

BIND = re.compile(r"^ +bind (\S+) proto h1 name (\S+)$", re.MULTILINE)
"A visitors' listener in config_templates/haproxy/_frontend.cfg.j2."


def expected_of_us(files: Mapping[str, bytes]) -> dict[Place, bool]:
    """By address and port, as this machine connects."""
    expected: dict[Place, bool] = {}
    for bind, name in BIND.findall(files["haproxy.cfg"].decode()):
        host, port = host_and_port(bind)
        entries = files.get(f"proxies_{name}.map", b"").decode().splitlines()
        host = local(host)
        expected[host, port] = any(ip_address(host) in ip_network(entry.split()[0]) for entry in entries)
    return expected


def local(host: str) -> str:
    """The address by which this machine reaches a listener on all addresses. It also connects from there."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
