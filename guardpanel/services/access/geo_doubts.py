"""Whether a policy would keep out whoever saves it, by where he is from: said before."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from guardpanel.access.geo_files import GeoKind
from guardpanel.errors import FieldError, NeedsConfirmation
from guardpanel.models import Policy
from guardpanel.models.policies.countries import UNKNOWN
from guardpanel.models.policies.policy import PolicyFields, PolicyInput
from guardpanel.models.policies.policy_geo import GeoMode, rejects
from guardpanel.services.access.geo import FIELDS, where_from
from guardpanel.services.access.lockout import plain_address
from guardpanel.services.saving.changes import Changes


async def must_let_in(changes: Changes, client: str, fields: PolicyFields, row: Policy | None) -> None:
    """Raises NeedsConfirmation (409) if these fields would reject this address, and those before did not."""
    address = plain_address(client)
    modes = fields.country_mode, fields.asn_mode
    if not address or set(modes) == {GeoMode.OFF} or (isinstance(fields, PolicyInput) and fields.save_anyway):
        return
    directory = Path(changes.renderer.facts.geo_dir)
    places = {kind: await asyncio.to_thread(where_from, directory, kind, address) for kind in GeoKind}
    before = set(_rejecting(row, places)) if row is not None else set()
    if new := [kind for kind in _rejecting(fields, places) if kind not in before]:
        errors = {FIELDS[kind]: FieldError(_words(address, kind, places[kind] or UNKNOWN)) for kind in new}
        raise NeedsConfirmation(" ".join(error.message for error in errors.values()), errors)


def _rejecting(fields: PolicyFields, places: dict[GeoKind, str | None]) -> Iterator[GeoKind]:
    choices = {
        GeoKind.COUNTRY: (fields.country_mode, fields.countries),
        GeoKind.NETWORK: (fields.asn_mode, fields.asns),
    }
    for kind, (mode, named) in choices.items():
        place = places[kind]
        if place is not None and rejects(mode, named, place):
            yield kind


def _words(address: str, kind: GeoKind, place: str) -> str:
    where = f"an unknown {kind.value}" if place == UNKNOWN else place
    return f"Your own address, {address}, is from {where}: in mode Block, this would reject it."
