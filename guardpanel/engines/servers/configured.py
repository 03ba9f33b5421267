"""The servers in one of our haproxy.cfg, of which the next worker and servers' names are told."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

Key = tuple[str, str]
"Backend and server: `be_17`, `s1`."


class ConfiguredServer(NamedTuple):
    """A server in one of our configurations."""

    backend: str
    name: str
    host: str
    port: str
    is_name: bool
    weight: str
    enabled: bool
    tls: str
    "Its TLS options. Empty without TLS."
    asks: str
    "What its health check sends and expects. Empty without a check."
    rise: int
    fall: int
    tracked: str = ""
    "The server whose health it has: `be_17/s1`."

    @property
    def full_health(self) -> int:
        return self.rise + self.fall - 1


Backends = Mapping[str, Sequence[ConfiguredServer]]
"Servers by backend."


def servers_in(configuration: str) -> dict[str, tuple[ConfiguredServer, ...]]:
    """The servers of the virtual hosts in one of our haproxy.cfg."""
    sections = configuration.split("\nbackend ")
    backends = (_servers(text) for text in sections if text.startswith("be_"))
    return {servers[0].backend: servers for servers in backends if servers}


@lru_cache(20_000)
def _servers(section: str) -> tuple[ConfiguredServer, ...]:
    """The servers of one backend. Cached, since a save changes one and needs all."""
    first, *lines = [line.strip() for line in section.split("\n")]
    backend = first.split()[0]
    asks = "\n".join(line for line in lines if line.startswith(("option httpchk", "http-check")))
    default = next((line.split() for line in lines if line.startswith("default-server check")), [])
    return tuple(
        _configured(backend, line.split(), asks if default else "", default)
        for line in lines
        if line.startswith("server ")
    )


def _configured(backend: str, words: list[str], asks: str, default: list[str]) -> ConfiguredServer:
    host, _, port = words[2].rpartition(":")
    tls = words[words.index("ssl") :] if "ssl" in words else []
    asks = "" if "no-check" in words else f"{asks}\n{_after(words, 'proto', '')}".strip()
    rise, fall = (int(_after(words, name, _after(default, name, "1"))) for name in ("rise", "fall"))
    return ConfiguredServer(
        backend, words[1], host.strip("[]"), port, "init-addr" in words, _after(words, "weight", "1"),
        "disabled" not in words, " ".join(word for word in tls if word not in {"backup", "disabled"}), asks, rise, fall,
        _after(words, "track", ""),
    )  # fmt: skip


def _after(words: list[str], name: str, otherwise: str) -> str:
    return words[words.index(name) + 1] if name in words else otherwise
