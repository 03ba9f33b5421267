"""A profile applied to a virtual host, or taken off it: one save, with one undo."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines import Engines, RuleSet
from guardpanel.errors import Conflict, Invalid
from guardpanel.models import RuleExclusion, VirtualHost
from guardpanel.models.virtual_host import NOUN
from guardpanel.services import virtual_hosts
from guardpanel.services.profiles.catalogue import Profile, profiles
from guardpanel.services.profiles.choice import ProfileChoice
from guardpanel.services.profiles.judging_policies import JudgingPolicies
from guardpanel.services.profiles.plans import Plan, Source, applied, plan
from guardpanel.services.rules import catalogue
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import Change, Changes, SaveRequest, SaveResult


@dataclass(frozen=True)
class Offer:
    """A profile on a virtual host: what is there of it, and what applying it would do."""

    profile: Profile
    prefix: str
    version: int | None
    "That is applied; None: none is."
    plan: Plan

    @property
    def is_update(self) -> bool:
        return self.version is not None and self.plan.is_change


@dataclass(frozen=True)
class AppliedProfile:
    name: str
    "`WordPress`, or `WordPress below /blog`."
    version: int
    newest: int
    "That comes with this guardpanel."


async def applied_to(session: AsyncSession, host: VirtualHost) -> list[AppliedProfile]:
    """What virtual hosts' pages tell, without asking the agent."""
    profiles_there = []
    policies = await JudgingPolicies.load(session, host)
    for (key, prefix), rows in applied(await _rows(session, host, policies)).items():
        profile, version = profiles().get(key), _version(rows) or 0
        name = f"{profile.name if profile else key}{f' below {prefix}' if prefix else ''}"
        profiles_there.append(AppliedProfile(name, version, profile.version if profile else version))
    return sorted(profiles_there, key=lambda each: each.name.lower())


async def offers(session: AsyncSession, engines: Engines, host_id: int) -> list[Offer]:
    """Those applied first, each with its prefix, then the others for the whole site."""
    host = await virtual_hosts.find(session, host_id)
    policies = await JudgingPolicies.load(session, host)
    groups = applied(await _rows(session, host, policies))
    await session.commit()
    rule_set = (await catalogue.load(engines)).rule_set
    known = [(profiles()[key], prefix) for key, prefix in groups if key in profiles()]
    others = [
        (profile, "") for profile in profiles().values() if profile.key not in {applied.key for applied, _ in known}
    ]
    return [
        _offer(profile, prefix, host_id, groups.get((profile.key, prefix), []), policies, rule_set)
        for profile, prefix in (*known, *others)
    ]


def _offer(
    profile: Profile,
    prefix: str,
    host_id: int,
    rows: Sequence[RuleExclusion],
    policies: JudgingPolicies,
    rule_set: RuleSet | None,
) -> Offer:
    return Offer(profile, prefix, _version(rows), plan(profile, prefix, host_id, rows, policies, rule_set))


def _version(rows: Iterable[RuleExclusion]) -> int | None:
    """The oldest that one of them is of."""
    return min((source.version for row in rows if (source := Source.parse(row.source))), default=None)


async def apply(changes: Changes, request: SaveRequest, host_id: int, choice: ProfileChoice) -> SaveResult[Source]:
    """Add what the profile has and is not there, and remove what it no longer has."""
    profile = profiles()[choice.profile]
    rule_set = (await catalogue.load(changes.engines)).rule_set
    source, crs = Source(profile.key, profile.version, choice.path), rule_set.crs_version if rule_set else ""
    change = Change(request, f"Applied the profile {profile.name}", NOUN.key, host_id)

    async def mutate(session: AsyncSession) -> Source:
        host = await virtual_hosts.find(session, host_id)
        policies = await JudgingPolicies.load(session, host)
        if not policies.by_id:
            raise Invalid.at("profile", f"{host.name} has no policy, so no rule inspects its requests.")
        change.summary = f"{host.name}: applied the profile {source.name}"
        rows = applied(await _rows(session, host, policies)).get((profile.key, choice.path), [])
        made = plan(profile, choice.path, host_id, rows, policies, rule_set)
        await _put(session, made, str(source), crs, request.who)
        return source

    return await changes.save(change, mutate)


async def remove(changes: Changes, request: SaveRequest, host_id: int, choice: ProfileChoice) -> SaveResult[str]:
    """Delete all that a profile made there. Its value is the profile's name."""
    name = profiles()[choice.profile].name
    change = Change(request, f"Removed the profile {name}", NOUN.key, host_id)

    async def mutate(session: AsyncSession) -> str:
        host = await virtual_hosts.find(session, host_id)
        policies = await JudgingPolicies.load(session, host)
        rows = applied(await _rows(session, host, policies)).get((choice.profile, choice.path), [])
        if not rows:
            raise Conflict(f"The profile {name} is not applied to {host.name}{choice.path}.")
        change.summary = f"{host.name}: removed the profile {name}"
        for row in rows:
            await session.delete(row)
        return name

    return await changes.save(change, mutate)


async def _put(session: AsyncSession, made: Plan, source: str, crs_version: str, owner: str) -> None:
    for row in made.removed:
        await session.delete(row)
    for row in made.kept:
        if row.source != source:
            row.source = source
            row.touch(await revisions.version_after(session, row.version))
            session.add(row)
    for row in made.added:
        row.source, row.owner, row.crs_version = source, owner, crs_version
        session.add(row)


async def _rows(session: AsyncSession, host: VirtualHost, policies: JudgingPolicies) -> Sequence[RuleExclusion]:
    """Those that profiles made in policies that the virtual host and its paths use now."""
    wanted = select(RuleExclusion).where(
        RuleExclusion.virtual_host_id == host.id,
        col(RuleExclusion.policy_id).in_(policies.by_id),
        RuleExclusion.source != "",
    )
    return (await session.exec(wanted.order_by(col(RuleExclusion.id)))).all()
