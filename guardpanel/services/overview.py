"""What the dashboard says: one true sentence about everything, and what it rests on."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import case
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines import EnginesStatus, ServerStatus
from guardpanel.models import Deployment, Policy, Revision, Server, VirtualHost
from guardpanel.models.policy import EnforcementMode
from guardpanel.services import revisions, status, virtual_hosts
from guardpanel.services.changes import Changes
from guardpanel.services.status import LiveLine

WORST = 10
ORDER = ("down", "degraded", "unknown", "up", "maintenance", "off")
"States of a virtual host, the worst first."


@dataclass(frozen=True)
class Health:
    """A virtual host and its servers as HAProxy sees them."""

    host: VirtualHost
    policy: Policy | None
    mode: EnforcementMode
    state: str
    servers: dict[str, ServerStatus]


@dataclass(frozen=True)
class Overview:
    """`worst` are the first WORST virtual hosts; `states` and `modes` count all of them."""

    engines: EnginesStatus
    live: Revision | None
    line: LiveLine
    last: list[Deployment]
    worst: list[Health]
    states: Counter[str]
    modes: Counter[EnforcementMode]
    problem: str | None

    @property
    def total(self) -> int:
        return self.states.total()

    @property
    def tone(self) -> str:
        """ok, warn or bad."""
        if self.line.state in {"failed", "down"} or self.states["down"]:
            return "bad"
        return "warn" if self.line.state == "drift" or self.states["degraded"] else "ok"

    @property
    def sentence(self) -> str:
        """The worst thing first."""
        if self.line.state in {"failed", "down", "drift"}:
            return self.line.text
        down, degraded = self.states["down"], self.states["degraded"]
        checked = down + degraded + self.states["up"]
        up = checked - down
        if down:
            what = f"{self.worst[0].host.name} is down" if down == 1 else f"{down} virtual hosts are down"
            return f"{what}; {up} of {checked} {'is' if up == 1 else 'are'} up"
        if degraded:
            return (
                f"{self.worst[0].host.name} has a server down; all virtual hosts answer"
                if degraded == 1
                else f"{degraded} virtual hosts have a server down; all answer"
            )
        if not self.total:
            return "HAProxy and the WAF agent are up, and wait for a virtual host"
        if not checked:
            return "HAProxy and the WAF agent are up; no server was checked yet"
        return "The virtual host is up" if self.total == 1 else f"All {checked} virtual hosts are up"


async def of(changes: Changes, session: AsyncSession, problem: str | None) -> Overview:
    """`problem`: what kept the configuration from going live at start."""
    engines = await changes.engines.status()
    known = await _known(session)
    states = await asyncio.to_thread(_states, known, await _out_of_use(session), engines)
    order = sorted(known, key=lambda row: (ORDER.index(states[row.id]), row.name.lower()))
    return Overview(
        engines=engines,
        live=await revisions.live(session),
        line=await status.live_line(changes, session),
        last=(await revisions.page(session, limit=6)).items,
        worst=[await _health(session, row.id, states[row.id], engines) for row in order[:WORST]],
        states=Counter(states.values()),
        modes=Counter(row.mode for row in known),
        problem=problem,
    )


class _Known(NamedTuple):
    """As much of a virtual host as its state needs: there may be thousands. `resting`: off, maintenance or nothing."""

    id: int
    name: str
    resting: str
    mode: EnforcementMode


async def _known(session: AsyncSession) -> list[_Known]:
    resting = case(
        (col(VirtualHost.enabled).is_(False), "off"), (col(VirtualHost.maintenance), "maintenance"), else_=""
    )
    found = await session.exec(
        select(VirtualHost.id, VirtualHost.name, resting, virtual_hosts.EFFECTIVE_MODE).join(Policy, isouter=True)
    )
    return [_Known(number or 0, name, resting, EnforcementMode(mode)) for number, name, resting, mode in found.all()]


async def _out_of_use(session: AsyncSession) -> set[tuple[str, str]]:
    """Backend and name of every server that an operator has switched off."""
    found = await session.exec(select(Server.virtual_host_id, Server.position).where(col(Server.enabled).is_(False)))
    return {(f"be_{number}", f"s{position + 1}") for number, position in found.all()}


def _states(known: list[_Known], out_of_use: set[tuple[str, str]], engines: EnginesStatus) -> dict[int, str]:
    return {row.id: _state(row, out_of_use, engines) for row in known}


def _state(row: _Known, out_of_use: set[tuple[str, str]], engines: EnginesStatus) -> str:
    if row.resting:
        return row.resting
    name = f"be_{row.id}"
    servers = [one for one in engines.haproxy.servers.get(name, ()) if (name, one.name) not in out_of_use]
    if all(one.state == "no check" for one in servers):
        return "unknown"
    up = sum(one.is_up for one in servers)
    return "up" if up == len(servers) else "degraded" if up else "down"


async def _health(session: AsyncSession, number: int, state: str, engines: EnginesStatus) -> Health:
    host = await virtual_hosts.find(session, number)
    policy = await session.get(Policy, host.policy_id) if host.policy_id is not None else None
    servers = {one.name: one for one in engines.haproxy.servers.get(f"be_{host.id}", ())}
    return Health(host, policy, host.mode_under(policy), state, servers)
