"""Which policies a virtual host uses, and where: on some of its paths, and on all its others."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import Subquery
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import PathBinding, Policy, VirtualHost
from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.path_binding import BoundPath, PathBindingColumns
from guardpanel.models.policies.enforcement import EnforcementMode, at_path, effective_mode
from guardpanel.models.virtual_host import VirtualHostFields

Choice = tuple[int | None, EnforcementMode | None]
"A policy, and the mode that overrides its own."


class Place(NamedTuple):
    """Of a virtual host: a path that is bound, or everything else."""

    virtual_host: VirtualHost
    path: PathBindingColumns | None
    policy_id: int | None
    own_mode: EnforcementMode | None
    "Overrides the policy's."

    @classmethod
    def of(cls, host: VirtualHost, path: PathBindingColumns | None = None) -> Self:
        return cls(host, path, *(at_path(path, host) if path else (host.policy_id, host.enforcement_mode)))

    @property
    def is_inspected(self) -> bool:
        """False for a redirect: its policy has no effect."""
        return (self.path or self.virtual_host).redirect is Redirect.NO

    @property
    def words(self) -> str:
        """`shop.example`, `/login of shop.example`"""
        of = f"{self.path.path} of " if self.path else ""
        return of + self.virtual_host.name

    def mode_under(self, policy: Policy | None) -> EnforcementMode:
        return effective_mode(self.own_mode, policy)


def places(host: VirtualHost, paths: Iterable[PathBinding]) -> list[Place]:
    return [Place.of(host), *(Place.of(host, path) for path in paths)]


async def of_hosts(session: AsyncSession, hosts: Sequence[VirtualHost]) -> Mapping[int, list[Place]]:
    """By the virtual host's id."""
    bound = select(PathBinding).where(col(PathBinding.virtual_host_id).in_({host.id for host in hosts}))
    paths: dict[int | None, list[PathBinding]] = defaultdict(list)
    for path in (await session.exec(bound.order_by(col(PathBinding.path)))).all():
        paths[path.virtual_host_id].append(path)
    return {host.id or 0: places(host, paths[host.id]) for host in hosts}


async def of_host(session: AsyncSession, host: VirtualHost) -> list[Place]:
    return (await of_hosts(session, [host]))[host.id or 0]


def choices(
    fields: VirtualHostFields, row: VirtualHost | None, now: Sequence[Place]
) -> list[tuple[Choice, Choice | None]]:
    """What a virtual host that is saved with these fields and its paths choose, each with what they choose now."""
    if not fields.enabled:
        return []
    own = [(fields.policy_id, fields.enforcement_mode)] if fields.redirect is Redirect.NO else []
    if row is None:
        return [(after, None) for after in own]
    before = (row.policy_id, row.enforcement_mode) if row.enabled and row.redirect is Redirect.NO else None
    paths = [place.path for place in now if place.path and place.is_inspected]
    below = ((at_path(path, fields), at_path(path, row) if row.enabled else None) for path in paths)
    return [*((after, before) for after in own), *below]


def of_paths(places: Sequence[Place]) -> list[int]:
    """The policies that some paths of a virtual host have, and not the rest of it."""
    (rest, *bound) = places
    numbers = dict.fromkeys(place.policy_id for place in bound if place.is_inspected)
    known = {None, rest.policy_id if rest.is_inspected else None}
    return [number for number in numbers if number is not None and number not in known]


async def inspected(session: AsyncSession, policy_ids: Collection[int]) -> list[Place]:
    """Where these policies are in effect."""
    uses = users()
    using = select(uses.c.virtual_host_id).where(uses.c.policy_id.in_(policy_ids))
    hosts = select(VirtualHost).where(col(VirtualHost.enabled), col(VirtualHost.id).in_(using))
    by_host = await of_hosts(session, (await session.exec(hosts)).all())
    every = (place for own in by_host.values() for place in own)
    return [place for place in every if place.is_inspected and place.policy_id in policy_ids]


async def policy_of(session: AsyncSession, place: Place) -> Policy | None:
    return await session.get(Policy, place.policy_id) if place.policy_id is not None else None


async def at_home(session: AsyncSession, host: VirtualHost) -> tuple[Policy | None, EnforcementMode]:
    """Policy and mode of a virtual host's home page, which may be bound exactly."""
    home = select(PathBinding).where(
        PathBinding.virtual_host_id == host.id, PathBinding.path == "/", PathBinding.path_match == BoundPath.EXACT
    )
    place = Place.of(host, (await session.exec(home)).first())
    policy = await policy_of(session, place)
    return policy, place.mode_under(policy)


async def policy_used(session: AsyncSession, host: VirtualHost, policy_id: int | None) -> Policy | None:
    """The one with this id if the virtual host or some path of it has it. Otherwise the virtual host's."""
    used = {place.policy_id for place in await of_host(session, host)}
    number = policy_id if policy_id in used else host.policy_id
    return await session.get(Policy, number) if number is not None else None


def users() -> Subquery:
    """Each policy's virtual hosts: those that have it, and those with paths that have it, redirected ones too."""
    whole: Any = select(VirtualHost.policy_id, col(VirtualHost.id).label("virtual_host_id"))
    both: Subquery = whole.union(select(PathBinding.policy_id, PathBinding.virtual_host_id)).subquery()
    return both


async def host_counts(session: AsyncSession) -> dict[int, int]:
    """The number of virtual hosts by policy."""
    uses = users()
    rows = await session.exec(select(uses.c.policy_id, func.count()).group_by(uses.c.policy_id))
    return {policy_id: count for policy_id, count in rows.all() if policy_id is not None}
