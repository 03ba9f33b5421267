"""What the dashboard says: one true sentence about everything, and what it rests on."""

from collections import Counter
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines import EnginesStatus, ServerStatus
from guardpanel.models import Deployment, Policy, Revision, VirtualHost
from guardpanel.models.policy import EnforcementMode
from guardpanel.services import policies, revisions, status, virtual_hosts
from guardpanel.services.changes import Changes
from guardpanel.services.status import LiveLine

MOST = 10_000
WORST = 10


@dataclass(frozen=True)
class Health:
    """A virtual host and its servers as HAProxy sees them. `state`: down, degraded, unknown, up, maintenance or off."""

    host: VirtualHost
    policy: Policy | None
    mode: EnforcementMode
    state: str
    servers: dict[str, ServerStatus]


@dataclass(frozen=True)
class Overview:
    engines: EnginesStatus
    live: Revision | None
    line: LiveLine
    last: list[Deployment]
    hosts: list[Health]
    total: int
    modes: Counter[EnforcementMode]
    problem: str | None

    @property
    def tone(self) -> str:
        """ok, warn or bad."""
        if self.line.state in {"failed", "down"} or any(one.state == "down" for one in self.hosts):
            return "bad"
        return "warn" if self.line.state == "drift" or any(one.state == "degraded" for one in self.hosts) else "ok"

    @property
    def sentence(self) -> str:
        """The worst thing first."""
        if self.line.state in {"failed", "down", "drift"}:
            return self.line.text
        down = [one for one in self.hosts if one.state == "down"]
        degraded = [one for one in self.hosts if one.state == "degraded"]
        checked = [one for one in self.hosts if one.state in {"up", "down", "degraded"}]
        up = len(checked) - len(down)
        if down:
            what = f"{down[0].host.name} is down" if len(down) == 1 else f"{len(down)} virtual hosts are down"
            return f"{what}; {up} of {len(checked)} {'is' if up == 1 else 'are'} up"
        if degraded:
            return (
                f"{degraded[0].host.name} has a server down; all virtual hosts answer"
                if len(degraded) == 1
                else (f"{len(degraded)} virtual hosts have a server down; all answer")
            )
        if not self.total:
            return "HAProxy and the WAF agent are up, and wait for a virtual host"
        if not checked:
            return "HAProxy and the WAF agent are up; no server was checked yet"
        return "The virtual host is up" if self.total == 1 else f"All {len(checked)} virtual hosts are up"


async def of(changes: Changes, session: AsyncSession, problem: str | None) -> Overview:
    """`problem`: what kept the configuration from going live at start."""
    engines = await changes.engines.status()
    bound = {one.id: one for one in await policies.all_of_them(session)}
    found = await virtual_hosts.page(session, limit=MOST)
    health = [_health(host, bound.get(host.policy_id), engines) for host in found.items]
    order = {"down": 0, "degraded": 1, "unknown": 2, "up": 3, "maintenance": 4, "off": 5}
    live = await revisions.live(session)
    last = (await revisions.page(session, limit=6)).items
    return Overview(
        engines=engines,
        live=live,
        line=await status.live_line(changes, session),
        last=last,
        hosts=sorted(health, key=lambda one: (order[one.state], one.host.name.lower())),
        total=found.total,
        modes=Counter(one.mode for one in health),
        problem=problem,
    )


def _health(host: VirtualHost, policy: Policy | None, engines: EnginesStatus) -> Health:
    servers = {one.name: one for one in engines.haproxy.servers.get(f"be_{host.id}", ())}
    known = [
        servers[f"s{row.position + 1}"] for row in host.servers if row.enabled and f"s{row.position + 1}" in servers
    ]
    up = sum(one.is_up for one in known)
    state = "up"
    if not host.enabled:
        state = "off"
    elif host.maintenance:
        state = "maintenance"
    elif not known or all(one.state == "no check" for one in known):
        state = "unknown"
    elif not up:
        state = "down"
    elif up < len(known):
        state = "degraded"
    return Health(host, policy, host.mode_under(policy), state, servers)
