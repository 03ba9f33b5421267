"""Who put there what rejects an address, and when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access import contents
from guardpanel.errors import NotFound
from guardpanel.models import AddressList, Ban, Deployment
from guardpanel.models.access.reference import Reference
from guardpanel.models.policies.policy_geo import GeoMode, rejects
from guardpanel.rendering.rows import Row
from guardpanel.services.access.geo_checks import CHOICES, Place
from guardpanel.services.history.origins import origin


@dataclass(frozen=True)
class Origin:
    who: str
    at: datetime
    change_id: int | None = None
    "In the history. None: it is no configuration."

    @classmethod
    def of(cls, change: Deployment | None) -> Self | None:
        return cls(change.author, change.started_at, change.id) if change else None


def of_ban(ban: Ban) -> Origin:
    return Origin(ban.created_by, ban.created_at)


async def of_entry(session: AsyncSession, row: AddressList, network: str) -> Origin | None:
    """Of a list that is filled by hand. None: it is further back than what is stored."""

    async def holds(earlier: Row) -> bool:
        return await contents.has(session, Reference.read(earlier["content"]).digest, network)

    try:
        return Origin.of(await origin(session, ("address_list", row.id or 0), holds))
    except (NotFound, contents.Damaged):  # Entries of an earlier state.
        return None


async def of_place(session: AsyncSession, place: Place) -> Origin | None:
    """Since when its policy rejects it. None: it is further back than what is stored."""
    mode, named = CHOICES[place.kind]

    async def holds(earlier: Row) -> bool:
        return rejects(GeoMode(earlier[mode]), earlier[named], place.value)

    return Origin.of(await origin(session, ("policy", place.policy.id or 0), holds))
