"""`server` lines: what of them guardpanel has."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic_core import PydanticCustomError

from guardpanel.models.types import endpoint
from guardpanel.services.importing.hosts import Values
from guardpanel.services.importing.quantities import whole_seconds

FLAGS: Mapping[str, Values] = {
    "check": {"health_check": True},
    "no-check": {"health_check": False},
    "backup": {"backup": True},
    "disabled": {"enabled": False},
    "enabled": {},
    "no-backup": {},
    "ssl": {"scheme": "https"},
    "check-ssl": {},
}

NUMBERS = {"weight": "weight", "maxconn": "max_connections", "rise": "health_check_rise", "fall": "health_check_fall"}

TIMES = {"inter": "health_check_interval"}

OF_HOST = frozenset({"cookie", "verify", "ca-file", "sni", "verifyhost", "check-sni", "proto", "alpn", "check-alpn"})
"With a value that counts for the whole virtual host."

RESOLVING = frozenset({"resolvers", "init-addr", "resolve-prefer", "resolve-opts"})

NAMED = frozenset({"id"})
"With a value that guardpanel needs none of."

WITH_VALUE = frozenset({
    "addr", "port", "slowstart", "on-marked-down", "on-marked-up", "on-error", "observe", "error-limit", "fastinter",
    "downinter", "crt", "track", "source", "minconn", "maxqueue", "redir", "agent-port", "agent-inter", "agent-addr",
    "agent-send", "ssl-min-ver", "ssl-max-ver", "ciphers", "ciphersuites", "curves", "sigalgs", "crl-file", "namespace",
    "pool-max-conn", "pool-low-conn", "pool-purge-delay", "max-reuse", "ws", "proxy-v2-options", "log-proto",
    "set-proxy-v2-tlv-fmt", "socks4", "shard", "guid", "hash-key", "init-state", "npn", "usesrc", "interface",
})  # fmt: skip

NAME = re.compile(r"str\(([^)]+)\)")


@dataclass
class ServerLine:
    values: Values = field(default_factory=dict)
    of_host: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    "Words that guardpanel has nothing for."


def read_parameters(words: Sequence[str], into: ServerLine) -> ServerLine:
    rest = list(words)
    while rest:
        name = rest.pop(0)
        if name in FLAGS:
            into.values |= FLAGS[name]
        elif name in WITH_VALUE or not rest:
            into.left.append(" ".join([name, *rest[:1]]) if name in WITH_VALUE else name)
            rest = rest[1:]
        elif not _with_value(name, rest[0], into):
            into.left.append(name)
        else:
            rest.pop(0)
    return into


def _with_value(name: str, value: str, into: ServerLine) -> bool:
    """Whether it is a parameter whose value is read."""
    if name in NUMBERS and value.isdecimal():
        into.values[NUMBERS[name]] = int(value[:9])
    elif name in TIMES and whole_seconds(value) is not None:
        into.values[TIMES[name]] = max(whole_seconds(value) or 1, 1)
    elif name in TIMES:
        into.left.append(f"{name} {value}, which HAProxy refuses")
    elif name in RESOLVING:
        into.values["resolve_later"] = True
    elif name in OF_HOST:
        into.of_host[name] = value
    elif name not in NAMED:
        return False
    return True


def address_of(text: str, scheme: str) -> tuple[str, str]:
    """As guardpanel has it, and why it can't be. One of them is empty."""
    if text.startswith(("/", "unix@", "abns@", "fd@", "sockpair@", "quic")):
        return "", "guardpanel reaches servers by TCP only."
    host, _, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{host}]:{port}"
    if not host or not port:
        return "", "HAProxy uses the port that the visitor asked for. Name the port."
    if not port.isdecimal():
        return "", f"The port {port[:20]} is not a number."
    try:
        return endpoint(re.sub(r"^(?:ipv[46]|tcp[46]?)@", "", text), scheme=scheme).address, ""
    except PydanticCustomError as error:
        return "", error.message()
