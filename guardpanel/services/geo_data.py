"""Where the data about addresses is downloaded from: one row, read and saved."""

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import GeoData
from guardpanel.models.access.geo_data import NOUN, GeoDataFields
from guardpanel.models.noun import ONLY
from guardpanel.rendering import EngineFacts
from guardpanel.services.crud import Crud
from guardpanel.services.saving.changes import Changes, SaveRequest, SaveResult


class GeoDataRow(Crud[GeoData, GeoDataFields]):
    async def find(self, session: AsyncSession, number: int) -> GeoData:
        return await session.get(GeoData, number) or GeoData()


ROWS = GeoDataRow(NOUN, GeoData, GeoDataFields)


async def find(session: AsyncSession) -> GeoData:
    return await ROWS.find(session, ONLY)


def fields_of(row: GeoData, _facts: EngineFacts) -> GeoDataFields:
    return ROWS.fields_of(row)


async def update(
    changes: Changes, request: SaveRequest, fields: GeoDataFields, version: int | None = None
) -> SaveResult[GeoData]:
    """`version` is the one that the form was opened with. Raises Stale (412) if it is no longer current."""
    return await ROWS.update(changes, request, ONLY, fields, version)
