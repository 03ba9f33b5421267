"""Which policies reject an address because of its country or network, as the running HAProxy has them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access.geo_files import GeoKind
from guardpanel.engines.haproxy.map_commands import Line, MapCommands, MapState
from guardpanel.models import Policy
from guardpanel.models.policies.countries import UNKNOWN
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.policy_geo import GeoMode, rejects
from guardpanel.services import policy_uses
from guardpanel.services.access.geo import FIELDS
from guardpanel.services.access.geo_sources import MAPS


@dataclass(frozen=True)
class Where:
    """What HAProxy says of an address, by kind: an entry of its map. A kind that no policy asks about is missing."""

    address: str
    entries: Mapping[GeoKind, Line]

    @property
    def words(self) -> str:
        """`DE, AS64500`"""
        return ", ".join(
            f"unknown {kind.value}" if value == UNKNOWN else value for kind, (_, value) in self.entries.items()
        )


NOWHERE = Where("", {})

CHOICES = {GeoKind.COUNTRY: ("country_mode", "countries"), GeoKind.NETWORK: ("asn_mode", "asns")}
"The fields of a policy by kind: the mode, and what it names."


@dataclass(frozen=True)
class Place:
    """A policy that rejects it, where it blocks."""

    policy: Policy
    kind: GeoKind
    value: str
    network: str
    "The network that HAProxy's map has it for, or the address."
    uses: Sequence[policy_uses.Place]
    "Of enabled virtual hosts, and of paths."

    @property
    def virtual_host_ids(self) -> Collection[int]:
        return {use.virtual_host.id or 0 for use in self.uses}

    @property
    def field(self) -> str:
        return FIELDS[self.kind]


async def where_is(cli: MapCommands, states: Mapping[str, MapState], geo_dir: Path, address: str) -> Where:
    """Raises EngineUnavailable."""
    entries = {}
    for kind, file in MAPS.items():
        if state := states.get(str(geo_dir / file)):
            entries[kind] = await cli.look_up(state.number, address) or (address, UNKNOWN)
    return Where(address, entries)


async def rejecting(session: AsyncSession, where: Where) -> Sequence[Place]:
    if not where.entries:
        return ()
    asking = (Policy.country_mode != GeoMode.OFF) | (Policy.asn_mode != GeoMode.OFF)
    policies = (await session.exec(select(Policy).where(asking).order_by(col(Policy.id)))).all()
    uses = await _blocking(session, {policy.id or 0: policy for policy in policies})
    return [
        Place(policy, kind, value, network, uses[policy.id])
        for policy in policies
        if policy.id in uses
        for kind, (network, value) in where.entries.items()
        if _rejects(policy, kind, value)
    ]


async def _blocking(
    session: AsyncSession, policies: Mapping[int, Policy]
) -> Mapping[int | None, Sequence[policy_uses.Place]]:
    """By policy: where it blocks."""
    uses: dict[int | None, list[policy_uses.Place]] = {}
    for place in await policy_uses.inspected(session, policies.keys()):
        if place.mode_under(policies[place.policy_id or 0]) is EnforcementMode.BLOCK:
            uses.setdefault(place.policy_id, []).append(place)
    return uses


def _rejects(policy: Policy, kind: GeoKind, value: str) -> bool:
    mode, named = CHOICES[kind]
    return rejects(getattr(policy, mode), getattr(policy, named), value)
