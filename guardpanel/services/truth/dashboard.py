"""The dashboard: one true sentence about everything, and the facts behind it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import case, true
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates.choosing import State
from guardpanel.engines import EnginesStatus, Servers, ServerStatus
from guardpanel.engines.haproxy.server_states import is_of_path, is_up
from guardpanel.models import Certificate, Deployment, Policy, Revision, RuleExclusion, Server, VirtualHost
from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.services import certificate_uses, client_cas, exclusion_ends, policies, virtual_hosts
from guardpanel.services.client_cas import AskedCa
from guardpanel.services.https.hosts_in_need import HostInNeed, hosts_in_need
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import Changes
from guardpanel.services.truth import live_line
from guardpanel.services.truth.live_line import LiveLine

WORST, BAD = 10, ("down", "degraded")

MOST = 500
"Maximum ids per query: of more virtual hosts that are down, only the first by name are considered. SQLite has its limits."


@dataclass(frozen=True)
class Health:
    """A virtual host and its servers as HAProxy sees them. `state`: down, degraded, unknown, up, redirects,
    maintenance or off."""

    host: VirtualHost
    policy: Policy | None
    mode: EnforcementMode
    state: str
    servers: dict[str, ServerStatus]


@dataclass(frozen=True)
class Overview:
    """`worst` are the first WORST virtual hosts. `states` counts all of them, `modes` those whose requests are not redirected."""

    engines: EnginesStatus
    live: Revision | None
    line: LiveLine
    last: list[Deployment]
    worst: list[Health]
    states: Counter[str]
    modes: Counter[EnforcementMode]
    problem: str | None
    ending: Sequence[RuleExclusion] = ()
    "Rule exclusions whose last day is near."
    hosts_in_need: Sequence[HostInNeed] = ()
    certificates: Sequence[tuple[Certificate, State]] = ()
    "Those without content, that ended, or end soon, and are not among `hosts_in_need`."
    client_cas: Sequence[AskedCa] = ()
    "In use, and ended or about to end."

    @property
    def total(self) -> int:
        return self.states.total()

    @property
    def tone(self) -> str:
        """ok, warn or bad."""
        if self.line.state in {"failed", "down"} or self.states["down"]:
            return "bad"
        return "warn" if self.line.state in {"drift", "unverified", "fault"} or self.states["degraded"] else "ok"

    @property
    def sentence(self) -> str:
        """The most severe first."""
        if self.line.state in {"failed", "down", "drift", "unverified"}:
            return self.line.text
        down, degraded = self.states["down"], self.states["degraded"]
        checked = down + degraded + self.states["up"]
        up = checked - down
        if down:
            what = f"{self.worst[0].host.name} is down" if down == 1 else f"{down} virtual hosts are down"
            return f"{what}; {up} of {checked} up" if up else what
        if degraded:
            return (
                f"{self.worst[0].host.name} has a server down"
                if degraded == 1
                else f"{degraded} virtual hosts have a server down"
            )
        if self.line.state == "fault":
            return self.line.text
        if not self.total:
            return "Ready for your first virtual host"
        unchecked = self.states["unknown"]
        if not checked:
            resting = "redirects, or is disabled or" if self.states["redirects"] else "is disabled or"
            return "No health check results" if unchecked else f"Every virtual host {resting} in maintenance"
        if unchecked:
            return f"{checked} of {checked + unchecked} up, {unchecked} not checked"
        return "1 virtual host up" if checked == 1 else f"All {checked} virtual hosts up"

    @property
    def why(self) -> str:
        """What guardpanel itself fails at. Empty if the page shows it elsewhere."""
        return self.line.detail if self.line.state == "fault" else ""


async def overview(changes: Changes, session: AsyncSession, problem: str | None) -> Overview:
    """`problem`: what prevented the configuration from going live at startup. There may be thousands of virtual hosts: they are
    counted in the database and in HAProxy's answer, and only the worst are read."""
    engines, servers = await asyncio.gather(changes.engines.status(), changes.engines.servers())
    resting, redirecting, modes, total = await _counted(session)
    by_state = await asyncio.to_thread(_by_state, servers, await _out_of_use(session), set(resting))
    resting |= dict.fromkeys(set(redirecting).difference(*by_state.values()), REDIRECTS)
    states = Counter({state: len(ids) for state, ids in by_state.items()}) + Counter(resting.values())
    states["unknown"] += max(0, total - states.total())
    in_need = await hosts_in_need(session)
    named = {host.covered.certificate_id for host in in_need}
    return Overview(
        engines=engines,
        live=await revisions.named_live(session),
        line=await live_line.live_line(changes, session),
        last=(await revisions.page(session, limit=6)).items,
        worst=await _worst(session, by_state, resting, servers),
        states=states,
        modes=modes,
        problem=problem,
        ending=await exclusion_ends.announced(session),
        hosts_in_need=in_need,
        certificates=[row for row in await certificate_uses.announced(session) if row[0].id not in named],
        client_cas=await client_cas.announced(session),
    )


class _Counted(NamedTuple):
    """Of all virtual hosts."""

    resting: dict[int, str]
    "Those that are intentionally out of service: `off` or `maintenance`."
    redirecting: list[int]
    "Of the others. HAProxy has servers of these only for paths."
    modes: Counter[EnforcementMode]
    total: int


RESTING, REDIRECTS = ("off", "maintenance"), "redirects"

SERVICE = case(
    (col(VirtualHost.enabled).is_(False), RESTING[0]),
    (col(VirtualHost.maintenance), RESTING[1]),
    (col(VirtualHost.redirect) != Redirect.NO, REDIRECTS),
)


async def _counted(session: AsyncSession) -> _Counted:
    """The table is read once: rows are wide, and there may be thousands."""
    mode = virtual_hosts.EFFECTIVE_MODE
    ids = func.group_concat(case((SERVICE.is_not(None), col(VirtualHost.id))))
    query = select(mode, SERVICE, func.count(), ids).select_from(VirtualHost).join(Policy, isouter=True)
    rows = (await session.exec(query.group_by(mode, SERVICE))).all()
    own = [(word, int(number)) for _, word, _, numbers in rows if numbers for number in numbers.split(",")]
    modes: Counter[EnforcementMode] = Counter()
    for name, _, count, _ in rows:
        modes.update({EnforcementMode(name): count} if name else {})
    return _Counted(
        {number: word for word, number in own if word in RESTING},
        [number for word, number in own if word == REDIRECTS],
        modes,
        sum(count for _, _, count, _ in rows),
    )


async def _out_of_use(session: AsyncSession) -> set[tuple[str, str]]:
    """Backend and name of every server that an operator has taken out."""
    out = col(Server.enabled).is_(False) | col(Server.draining) | (col(Server.weight) == 0)
    rows = await session.exec(select(Server.virtual_host_id, Server.position).where(out))
    return {(f"be_{number}", f"s{position + 1}") for number, position in rows.all()}


def _by_state(everywhere: Servers, out_of_use: set[tuple[str, str]], resting: Container[int]) -> dict[str, list[int]]:
    """The virtual hosts that HAProxy serves, by state."""
    by_state: dict[str, list[int]] = {"down": [], "degraded": [], "up": [], "unknown": []}
    for number, states in _by_virtual_host(everywhere, out_of_use).items():
        if number not in resting:
            by_state[_state(states)].append(number)
    return by_state


def _by_virtual_host(everywhere: Servers, out_of_use: set[tuple[str, str]]) -> dict[int, list[str]]:
    """The states of its servers, and of those that its paths have of their own."""
    states: dict[int, list[str]] = defaultdict(list)
    for backend, servers in everywhere.states.items():
        number = int(backend.removeprefix("be_").partition(".")[0])
        counted = [server for server in servers if not is_of_path(backend) or server[0].startswith("p")]
        states[number] += [state for name, state in counted if (backend, name) not in out_of_use]
    return states


def _state(servers: Sequence[str]) -> str:
    if not servers:
        return "down"
    if set(servers) <= {"no check"}:
        return "unknown"
    up = sum(map(is_up, servers))
    return "up" if up == len(servers) else "degraded" if up else "down"


async def _worst(
    session: AsyncSession, by_state: Mapping[str, Sequence[int]], resting: Mapping[int, str], servers: Servers
) -> list[Health]:
    """Those that are down, then those with a server down, then others, each by name."""
    known = {number: state for state, ids in by_state.items() for number in ids} | dict(resting)
    hosts: dict[int, VirtualHost] = {}
    for among in (*(col(VirtualHost.id).in_(by_state[state][:MOST]) for state in BAD if by_state[state]), true()):
        hosts |= {host.id or 0: host for host in await virtual_hosts.first(session, among, WORST)}
    worst = [*hosts.items()][:WORST]
    own = await policies.with_ids(session, {host.policy_id for _, host in worst})
    return [_health(host, own.get(host.policy_id), known.get(number, "unknown"), servers) for number, host in worst]


def _health(host: VirtualHost, policy: Policy | None, state: str, everywhere: Servers) -> Health:
    servers = {server.name: server for server in everywhere.of(f"be_{host.id}")}
    return Health(host, policy, host.mode_under(policy), state, servers)
