"""How this machine connects to the listeners of a rendered configuration: which of them expect the PROXY protocol from it, and
which TLS. Connecting the wrong way would appear in HAProxy's log as a broken connection of a visitor."""

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from guardpanel.engines.http import Place
from guardpanel.listen_addresses import host_and_port

BIND = re.compile(r"^ +bind ([^\s@]+) (?:proto h1 |ssl crt-list .* |)name (\S+)$", re.MULTILINE)
"A visitors' listener in config_templates/haproxy/_frontend.cfg.j2."

TLS_BIND = re.compile(r"^ +bind ([^\s@]+) ssl crt-list ", re.MULTILINE)

QUIC_BIND = re.compile(r"^ +bind quic[46]@(\S+) ", re.MULTILINE)

LISTENERS = ("haproxy.cfg", "crt-list.txt")
"The files that say which listeners of HTTPS there are."

LONGEST_NAME = 253
"Of a hostname, without the final dot. OpenSSL sends no longer one."


def expected_of_us(files: Mapping[str, bytes]) -> dict[Place, bool]:
    """By address and port, as this machine connects."""
    expected: dict[Place, bool] = {}
    for bind, name in BIND.findall(files["haproxy.cfg"].decode()):
        host, port = host_and_port(bind)
        entries = files.get(f"proxies_{name}.map", b"").decode().splitlines()
        host = local(host)
        expected[host, port] = any(ip_address(host) in ip_network(entry.split()[0]) for entry in entries)
    return expected


def certificate_lines(files: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """The file of each line of crt-list.txt, and a name that gets it: the first, or one below it if that is a wildcard."""
    words = [re.sub(r"\[.*?\] ", "", line).split() for line in files.get("crt-list.txt", b"").decode().splitlines()]
    return [(file, _below(name) if name.startswith("*.") else name) for file, name, *_ in words]


def _below(wildcard: str) -> str:
    """A name that it covers and nobody has. A wildcard of 253 characters leaves room for one (RFC 1035 §2.3.4)."""
    return f"{'guardpanel-probe'[: LONGEST_NAME - len(wildcard) + 1]}{wildcard[1:]}"


def tls_listeners(files: Mapping[str, bytes]) -> dict[Place, str]:
    """By address and port: the name to connect with, that of the first line, which stands for no site."""
    first = certificate_lines({"crt-list.txt": files.get("crt-list.txt", b"").partition(b"\n")[0]})
    if not first:
        return {}
    name = first[0][1]
    binds = TLS_BIND.findall(files["haproxy.cfg"].decode())
    return {(local(host), port): name for host, port in map(host_and_port, binds)}


def quic_listeners(files: Mapping[str, bytes]) -> list[tuple[str, int]]:
    """Address and UDP port of each."""
    binds = QUIC_BIND.findall(files["haproxy.cfg"].decode())
    return [(local(host), port) for host, port in map(host_and_port, binds)]


def local(host: str) -> str:
    """The address by which this machine reaches a listener on all addresses. It also connects from there."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
