"""Engines that do as they are told: everything of a save is real but HAProxy and the agent."""

from collections.abc import Collection, Mapping

from argon2 import PasswordHasher

from guardpanel.background import Background
from guardpanel.bundle import Bundle, NamedServer
from guardpanel.engines import (
    AgentStatus,
    Drift,
    EnginesStatus,
    Expected,
    HAProxy,
    HAProxyStatus,
    Place,
    Servers,
    ServerStatus,
)
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.protocol import Tell
from guardpanel.engines.releases import Release, Releases
from guardpanel.engines.runtime.outside_map import OutsideMap, OutsideMaps
from guardpanel.engines.servers.addresses import Addresses
from guardpanel.engines.verify import Verifier
from guardpanel.engines.waf.coraza_spoa import agent_of
from guardpanel.errors import ConfigRejected, DeploymentFailed, EngineUnavailable, Finding
from guardpanel.panel import Parts
from guardpanel.services.accounts.passwords import Passwords
from guardpanel.services.issuing.issuer import Issuer
from guardpanel.settings import Settings


class FakeEngines:
    """`reject` and `fail` say what the next saves meet; `running` is the bundle that is live."""

    def __init__(self, settings: Settings, secret: str, _background: Background | None = None) -> None:
        self.releases = Releases(settings.data_dir)
        self.haproxy = HAProxy(settings.haproxy_bin)
        self.agent = agent_of(settings)
        self.addresses = Addresses(settings.server_addresses)
        cli = MasterCli(settings.master_socket)
        self.bans = OutsideMap(settings.bans_map, cli)
        self.feeds = OutsideMaps(settings.feeds_dir, cli)
        self.verifier = Verifier(cli, self.agent.answers_at, settings.probe_socket, settings.http_binds, secret)
        self.running: Bundle | None = None
        self.rejection: ConfigRejected | None = None
        self.failing: str | None = None
        self.is_up = True
        self.haproxy_version = "2.8.25"
        self.agent_says = AgentStatus(running=True, version="0.1.0", coraza_version="3.8.1", crs_version="4.25.0")
        self.drifted: list[Drift] = []
        self.old_workers: set[str] = set()
        self.dropped_logs = 0
        self.uninspected: dict[int, int] = {}
        self.checks = 0
        self.deployments = 0

    def reject(self, field: str, message: str, *, noun: str, noun_id: int, engine: str = "HAProxy") -> None:
        """The next check complains of this field of this thing."""
        finding = Finding(engine, message, file="haproxy.cfg", line=212, noun=noun, noun_id=noun_id, field=field)
        self.rejection = ConfigRejected(
            f"{engine} rejected this change.",
            engine=engine,
            output=f"[ALERT] haproxy.cfg:212 : {message}",
            findings=[finding],
        )

    def fail(self, step: str | None) -> None:
        """The next deployments fail in this step: `agent`, `reload` or `verify`."""
        self.failing = step

    def stage(self, bundle: Bundle, number: int, *, sync: bool = True) -> Release:
        return self.releases.stage(number, bundle, sync=sync)

    async def must_answer(self, patience: float) -> None:
        if not self.is_up:
            raise EngineUnavailable("HAProxy’s master socket is not responding: no answer")

    async def runs(self, checksum: str, patience: float = 0) -> bool:
        return self.running is not None and self.running.checksum == checksum

    async def inspect(self, expected: Expected) -> list[Drift]:
        if self.running is not None and self.running.checksum != expected.checksum:
            return [Drift(Place.HAPROXY, "HAProxy’s newest worker runs another configuration.")]
        return list(self.drifted)

    async def check(
        self, release: Release, bundle: Bundle, *, changed: Collection[str], names: Collection[NamedServer]
    ) -> None:
        self.checks += 1
        if self.rejection is not None:
            raise self.rejection

    async def deploy(
        self,
        release: Release,
        bundle: Bundle,
        *,
        changed: Collection[str],
        tell: Tell,
        again: bool = False,
    ) -> None:
        self.deployments += 1
        for step in ("agent", "reload", "verify"):
            tell(step)
            if self.failing == step:
                raise DeploymentFailed(f"It broke at {step}.", step=step, evidence="what was seen")
        self.releases.publish(release)
        self.running = bundle

    async def roll_back(self, release: Release, bundle: Bundle) -> str:
        self.releases.publish(release)
        self.running = bundle
        return ""

    async def drop_unused(self) -> set[str] | None:
        return self.old_workers

    def tidy(self) -> None:
        """There is nothing to drop."""

    async def status(self) -> EnginesStatus:
        if not self.is_up:
            return EnginesStatus(
                HAProxyStatus(running=False, problem="no answer"), AgentStatus(running=False, problem="no answer")
            )
        checksum = self.running.checksum if self.running else None
        return EnginesStatus(
            HAProxyStatus(
                running=True,
                version=self.haproxy_version,
                pid=4711,
                checksum=checksum,
                workers=(4712,),
                dropped_logs=self.dropped_logs,
                uninspected=self.uninspected,
            ),
            self.agent_says,
        )

    async def is_haproxy_there(self) -> bool:
        return self.is_up

    async def servers(self, wanted: Collection[str] = (), patience: float = 0) -> Servers:
        return Servers()

    async def servers_of(self, backend: str) -> tuple[ServerStatus, ...]:
        return ()

    async def follow_names(self) -> frozenset[str]:
        return frozenset()

    async def reload_again(self) -> None:
        """Nobody waits for the address of a name."""

    def sweep(self) -> None:
        self.releases.sweep()

    async def close(self) -> None:
        """There is nothing to close."""


def cheap_passwords() -> Passwords:
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


async def well(_settings: Settings) -> Mapping[str, object]:
    """What an ingest says that has stored all there is."""
    return {"lag_bytes": 0, "lag_seconds": 0.0, "problem": None}


class IdleIssuer(Issuer):
    """Asks no authority."""

    def follow(self) -> None:
        pass


FAKES = Parts(engines=FakeEngines, passwords=cheap_passwords, ask_ingest=well, issuer=IdleIssuer)
