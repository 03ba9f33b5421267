"""What there is in a sweep, as plain values, and what an operator can do with it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from guardpanel.panel import Panel
from guardpanel.services.saving.changes import SaveRequest

ADA = SaveRequest("ada@example.org")


@dataclass(frozen=True)
class Host:
    id: int
    names: tuple[str, ...]
    policy: str | None
    weights: tuple[int, ...]
    enabled: bool
    notes: str
    place: str = "127.0.0.1"
    "The IP address of its servers."
    last: str = "ready"
    "The state of its last server, as an operator chooses it (services/server_states.py)."


@dataclass(frozen=True)
class Rules:
    """A policy."""

    id: int
    mode: str
    threshold: int


@dataclass(frozen=True)
class Certificate:
    id: int
    serial: str
    "Hexadecimal, of its current content."


@dataclass(frozen=True)
class Bans:
    """Of one network: how many hold, which must be one, and how many have ended."""

    active: int
    ended: int


@dataclass(frozen=True)
class Denied:
    """An address list of that kind."""

    id: int
    networks: tuple[str, ...]
    "In order, each as often as it is stored."


@dataclass(frozen=True)
class World:
    """Virtual hosts, policies, certificates and lists by name, bans by network. Two worlds are the same if all but the ids agree."""

    hosts: dict[str, Host]
    policies: dict[str, Rules]
    certificates: dict[str, Certificate] = field(default_factory=dict)
    bans: dict[str, Bans] = field(default_factory=dict)
    lists: dict[str, Denied] = field(default_factory=dict)

    @property
    def kept_out(self) -> set[str]:
        """Addresses that get no answer of a virtual host."""
        banned = {network for network, bans in self.bans.items() if bans.active}
        return banned.union(*(listed.networks for listed in self.lists.values()))

    def same_as(self, other: "World") -> bool:
        return self.plain() == other.plain()

    def plain(self) -> dict[str, Host | Rules | Certificate | Bans | Denied]:
        return {
            **{name: replace(host, id=0) for name, host in self.hosts.items()},
            **{f"policy {name}": replace(policy, id=0) for name, policy in self.policies.items()},
            **{f"certificate {name}": replace(certificate, id=0) for name, certificate in self.certificates.items()},
            **{f"list {name}": replace(listed, id=0) for name, listed in self.lists.items()},
            **{f"bans of {network}": bans for network, bans in self.bans.items()},
        }

    def unlike(self, other: "World") -> str:
        """What differs, in words for a report."""
        mine, others = self.plain(), other.plain()
        names = sorted(name for name in {*mine, *others} if mine.get(name) != others.get(name))
        return "; ".join(f"{name}: {mine.get(name)}, not {others.get(name)}" for name in names)


@dataclass(frozen=True)
class Deed:
    """What an operator does at once: a save, or what needs none. With the world after it."""

    kind: str
    words: str
    after: World
    do: Callable[[Panel], Awaitable[object]]
