"""What the rest of the panel needs from the engines. `Deployer` implements it with the real ones, tests with fakes."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from guardpanel.bundle import Bundle, NamedServer
from guardpanel.engines.differences import Drift
from guardpanel.engines.drift import Expected
from guardpanel.engines.haproxy.haproxy import HAProxy
from guardpanel.engines.haproxy.server_states import Servers, ServerStatus
from guardpanel.engines.haproxy.status import HAProxyStatus
from guardpanel.engines.releases import Release, Releases
from guardpanel.engines.runtime.outside_map import OutsideMap, OutsideMaps
from guardpanel.engines.servers.addresses import Addresses
from guardpanel.engines.verify import Verifier
from guardpanel.engines.waf.agent import Agent, AgentStatus

SERVERS_PATIENCE_SECONDS = 0.02
"Seconds that a page waits for newer states of all servers. Thousands take twice that, and longer during a save."


@dataclass(frozen=True)
class EnginesStatus:
    haproxy: HAProxyStatus
    agent: AgentStatus


class Tell(Protocol):
    """Begins a step of a save: `agent`, `swap` or `reload`, `verify`. `failed`: why the one before it did not succeed."""

    def __call__(self, name: str, failed: str | None = None, /) -> None: ...


class Engines(Protocol):
    """HAProxy, the agent and the release files of one installation."""

    releases: Releases
    haproxy: HAProxy
    agent: Agent
    verifier: Verifier
    addresses: Addresses
    bans: OutsideMap
    feeds: OutsideMaps

    def stage(self, bundle: Bundle, number: int, *, sync: bool = True) -> Release:
        """Write the bundle as the files of a release. Without `sync`, `releases.sync` is still to be called."""

    async def check(
        self, release: Release, bundle: Bundle, *, changed: Collection[str], names: Collection[NamedServer]
    ) -> None:
        """Check the staged files with both engines, and server names with the resolver. Raises ConfigRejected."""

    async def must_answer(self, patience: float) -> None:
        """Raises EngineUnavailable unless both engines respond: a save that could not be verified should not begin."""

    async def deploy(
        self,
        release: Release,
        bundle: Bundle,
        *,
        changed: Collection[str],
        tell: Tell,
        again: bool = False,
    ) -> None:
        """Make the release live and verify it. Raises DeploymentFailed; the caller rolls back. `again`: reload HAProxy even if it
        reports this configuration, and drop applications of no release from the agent, since something was changed outside
        guardpanel."""

    async def roll_back(self, release: Release, bundle: Bundle) -> str:
        """Put an earlier release back and verify it. Returns what remains to be reported. Raises DeploymentFailed."""

    def tidy(self) -> None:
        """Drop the applications that no live worker uses, once old workers are gone. Runs in the background."""

    async def drop_unused(self) -> set[str] | None:
        """Drop the applications that no live worker uses. Returns the checksums that old workers still run. None, and nothing is
        dropped, if HAProxy runs something other than the current release. Raises EngineUnavailable."""

    async def is_haproxy_there(self) -> bool:
        """Whether a process listens on the master's socket. It may hang."""

    async def runs(self, checksum: str, patience: float = ...) -> bool:
        """Whether HAProxy's newest worker has loaded this configuration. False if it does not respond within this number of
        seconds."""

    async def inspect(self, expected: Expected) -> list[Drift]:
        """What differs on disk or in memory from the live revision."""

    async def status(self) -> EnginesStatus:
        """The status of both engines, as fresh as possible without waiting long. Raises nothing."""

    async def servers(self, needed: Collection[str] = (), patience: float = SERVERS_PATIENCE_SECONDS) -> Servers:
        """The states of all servers by backend (`be_17`), as HAProxy's newest worker reported them. If a needed backend is
        missing from the cached answer, waits for a new one."""

    async def servers_of(self, backend: str) -> tuple[ServerStatus, ...]:
        """The current states of one backend's servers."""

    async def follow_names(self) -> frozenset[str]:
        """Look up the names of all servers, and update changed addresses in HAProxy. Returns the names that resolve but whose
        servers have no address in HAProxy: they need a reload."""

    async def reload_again(self) -> None:
        """Reload the same configuration: HAProxy cannot give an address at run time to a server that had none. Raises
        DeploymentFailed."""

    def sweep(self) -> None:
        """Delete what a killed process left unfinished. Only while nobody saves."""

    async def close(self) -> None:
        """Stop what `tidy` began, between two looks."""
