"""Where processes listen: `address:port` as settings have it, and paths of unix sockets."""

import re
from ipaddress import ip_address
from pathlib import Path

SOCKET_PATH_LIMIT = 107
"Bytes: sun_path of Linux's sockaddr_un holds 108 with its NUL (unix(7))."

HAPROXY_SOCKET_LIMIT = 97
"Bytes that HAProxy accepts at most: it reserves the rest for a temporary name (str2sa_range() in its src/tools.c)."


ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}", re.ASCII)
"Of an IPv6 address: a network interface. `ip_address` takes any text for one."


def host_and_port(text: str) -> tuple[str, int]:
    """`127.0.0.1:8080`, `[::1]:8080` or `:8080` (all IPv4 addresses) as (address, port)."""
    host, separator, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "0.0.0.0"  # noqa: S104 an operator's explicit ":port"
    if not separator or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not address:port")
    _, has_zone, zone = host.partition("%")
    if has_zone and not ZONE.fullmatch(zone):
        raise ValueError(f"{text!r}: {zone!r} is not a network interface")
    return str(ip_address(host)), int(port)


def bind_text(host: str, port: int) -> str:
    """What `host_and_port` reads, in the canonical form that is shown, stored and rendered."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def haproxy_socket_limit(pid_max: Path = Path("/proc/sys/kernel/pid_max")) -> int:
    """Maximum bytes of the path of one of HAProxy's unix sockets: it binds `PATH.PID.tmp` and renames that. With process numbers
    of more than five digits its own limit is too generous (sock_unix_bind_receiver() in its src/sock_unix.c): it would start now
    and fail to start one day."""
    try:
        digits = len(str(int(pid_max.read_text()) - 1))
    except (OSError, ValueError):
        digits = 5
    return min(HAPROXY_SOCKET_LIMIT, SOCKET_PATH_LIMIT - len("..tmp") - digits)
