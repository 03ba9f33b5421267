"""What the rest of the panel asks of the engines. `Deployer` does it with the real ones, tests with others."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from guardpanel.bundle import Bundle, NamedServer
from guardpanel.engines.addresses import Addresses
from guardpanel.engines.agent import Agent, AgentStatus
from guardpanel.engines.drift import Drift, Expected
from guardpanel.engines.haproxy import HAProxy
from guardpanel.engines.releases import Release, Releases
from guardpanel.engines.servers import Servers, ServerStatus
from guardpanel.engines.status import HAProxyStatus
from guardpanel.engines.verify import Verifier

SERVERS_PATIENCE = 0.02
"Seconds that a page waits for newer states of all servers: of thousands they take twice that, and more while a save runs."


@dataclass(frozen=True)
class EnginesStatus:
    haproxy: HAProxyStatus
    agent: AgentStatus


class Engines(Protocol):
    """HAProxy, the agent and the release files of one installation."""

    releases: Releases
    haproxy: HAProxy
    agent: Agent
    verifier: Verifier
    addresses: Addresses

    def stage(self, bundle: Bundle, number: int) -> Release:
        """The bundle as the files of a release."""

    async def check(
        self, release: Release, bundle: Bundle, *, changed: Collection[str], names: Collection[NamedServer]
    ) -> None:
        """Both engines' own judgement of the staged files, and this machine's on names. Raises ConfigRejected."""

    async def must_answer(self, patience: float) -> None:
        """EngineUnavailable unless both engines answer: what could not be proved live had better not begin."""

    async def deploy(
        self,
        release: Release,
        bundle: Bundle,
        *,
        changed: Collection[str],
        tell: Callable[[str], None],
        again: bool = False,
    ) -> None:
        """Make the release live and prove it. Raises DeploymentFailed; what is half done then is the caller's to undo.

        `again`: HAProxy is reloaded even where it says that it runs this, and applications that no release has do not
        stay in the agent: somebody changed either.
        """

    async def roll_back(self, release: Release, bundle: Bundle) -> str:
        """Put an earlier release back and prove it; what is still to be said. Raises DeploymentFailed."""

    def tidy(self) -> None:
        """Drop the applications that no live worker uses, once old workers are gone; beside everything else."""

    async def drop_unused(self) -> set[str] | None:
        """Drop the applications that no live worker uses; the checksums that old workers still run.

        None where HAProxy runs something else than the current release: then all stays. Raises EngineUnavailable.
        """

    async def is_haproxy_there(self) -> bool:
        """Whether a process listens on the master's socket; it may hang."""

    async def runs(self, checksum: str, patience: float = ...) -> bool:
        """Whether HAProxy's newest worker has read this configuration; False if it does not answer within so many seconds."""

    async def inspect(self, expected: Expected) -> list[Drift]:
        """What lies on disk or runs and is not the live revision."""

    async def status(self) -> EnginesStatus:
        """What both engines say of themselves, as fresh as can be had without waiting long. Raises nothing."""

    async def servers(self, needed: Collection[str] = (), patience: float = SERVERS_PATIENCE) -> Servers:
        """The states of all servers by backend (`be_17`), as HAProxy's newest worker has them, or had them a moment ago.

        A backend that is `wanted` and was not there then is waited for.
        """

    async def servers_of(self, backend: str) -> tuple[ServerStatus, ...]:
        """The states of one backend's servers, of now."""

    async def follow_names(self) -> frozenset[str]:
        """Look up the names of all servers, and tell HAProxy the addresses that are others now. The names whose servers have
        no address in HAProxy although there is one: they need a reload."""

    async def reload_again(self) -> None:
        """The same configuration anew: a server that had no address takes none at run time. Raises DeploymentFailed."""

    def sweep(self) -> None:
        """Delete what a killed process left half written. Only while nobody saves."""

    async def close(self) -> None:
        """Stop what `tidy` began, between two looks."""
