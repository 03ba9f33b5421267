"""Whether a policy would keep out whoever saves or assigns it, by where they are from: said before."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sqlmodel import col, select

from guardpanel.access.geo_files import GeoKind
from guardpanel.errors import FieldError, NeedsConfirmation
from guardpanel.models import Policy
from guardpanel.models.policies.countries import UNKNOWN
from guardpanel.models.policies.enforcement import EnforcementMode, effective_mode
from guardpanel.models.policies.policy import PolicyFields, PolicyInput
from guardpanel.models.policies.policy_geo import GeoMode, rejects
from guardpanel.services.access.geo import FIELDS, where_from
from guardpanel.services.access.lockout import plain_address
from guardpanel.services.policy_uses import Choice
from guardpanel.services.saving.changes import Changes

BLOCK = EnforcementMode.BLOCK


Origin = Mapping[GeoKind, str | None]
"Country and network of an address. None where there is no data."


async def must_let_in(changes: Changes, client: str, fields: PolicyFields, row: Policy | None) -> None:
    """Raises NeedsConfirmation (409) if these fields would reject this address, and those before did not."""
    address = plain_address(client)
    modes = fields.country_mode, fields.asn_mode
    if not address or set(modes) == {GeoMode.OFF} or (isinstance(fields, PolicyInput) and fields.save_anyway):
        return
    origin = await _origin(changes, address)
    begins_to_block = row is not None and BLOCK is fields.enforcement_mode is not row.enforcement_mode
    before = set(_rejecting(row, origin)) if row is not None and not begins_to_block else set()
    if new := [kind for kind in _rejecting(fields, origin) if kind not in before]:
        words = "in mode Block, this would reject it."
        errors = {FIELDS[kind]: FieldError(_words(address, kind, origin, words)) for kind in new}
        raise NeedsConfirmation(" ".join(error.message for error in errors.values()), errors)


async def must_let_in_where(
    changes: Changes, client: str, uses: Sequence[tuple[Choice, Choice | None]], *, is_meant: bool
) -> None:
    """Raises NeedsConfirmation (409) if a policy would reject this address where it is used from now on. `uses`: each with what
    was there before."""
    address, new = plain_address(client), [use for use in uses if use[0] != use[1]]
    if not address or is_meant or not new:
        return
    numbers = {number for use in new for number, _ in filter(None, use) if number is not None}
    async with changes.database.read() as session:
        rows = (await session.exec(select(Policy).where(col(Policy.id).in_(numbers)))).all()
    policies = {row.id: row for row in rows}
    if all({row.country_mode, row.asn_mode} == {GeoMode.OFF} for row in rows):
        return
    origin = await _origin(changes, address)
    for now, before in new:
        kinds = _blocked(now, policies, origin)
        if kinds and not (before and _blocked(before, policies, origin)):
            name = policies[now[0]].name
            words = _words(address, kinds[0], origin, f"policy {name} would reject it in mode Block.")
            field = "enforcement_mode" if before and before[0] == now[0] else "policy_id"
            raise NeedsConfirmation(words, {field: FieldError(words)})


async def _origin(changes: Changes, address: str) -> Origin:
    directory = Path(changes.renderer.facts.geo_dir)
    return {kind: await asyncio.to_thread(where_from, directory, kind, address) for kind in GeoKind}


def _blocked(choice: Choice, policies: Mapping[int | None, Policy], origin: Origin) -> list[GeoKind]:
    policy = policies.get(choice[0])
    blocks = policy is not None and effective_mode(choice[1], policy) is BLOCK
    return list(_rejecting(policy, origin)) if policy and blocks else []


def _rejecting(fields: PolicyFields, origin: Origin) -> Iterator[GeoKind]:
    choices = {
        GeoKind.COUNTRY: (fields.country_mode, fields.countries),
        GeoKind.NETWORK: (fields.asn_mode, fields.asns),
    }
    for kind, (mode, named) in choices.items():
        place = origin[kind]
        if place is not None and rejects(mode, named, place):
            yield kind


def _words(address: str, kind: GeoKind, origin: Origin, then: str) -> str:
    place = origin[kind] or UNKNOWN
    where = f"an unknown {kind.value}" if place == UNKNOWN else place
    return f"Your own address, {address}, is from {where}: {then}"
