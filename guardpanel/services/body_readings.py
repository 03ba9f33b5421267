"""Body readings: their lists, their effect in a sentence, and a check that they have one."""

from typing import Unpack

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Invalid
from guardpanel.models import BodyReading, Policy
from guardpanel.models.policies.body_reading import NOUN, BodyReadingColumns, BodyReadingFields
from guardpanel.models.policies.content_types import ReadAs, reading_of
from guardpanel.rendering import EngineFacts, body_readings
from guardpanel.rendering.body_readings import FOREIGN_PROCESSORS, BodyReadingState
from guardpanel.services.crud import Crud
from guardpanel.services.paging import Page, Paging, holds
from guardpanel.services.rules.exclusion_checks import never_matches
from guardpanel.services.rules.exclusion_words import listed, requests_to
from guardpanel.services.saving.changes import Changes, SaveRequest, SaveResult

SORTS = {"name": col(BodyReading.name), "changed": col(BodyReading.updated_at)}

AS = {
    ReadAs.FORM: "a form",
    ReadAs.MULTIPART: "a multipart form",
    ReadAs.JSON: "JSON",
    ReadAs.NDJSON: "lines of JSON",
    ReadAs.XML: "XML",
    ReadAs.TEXT: "one text value",
    ReadAs.BINARY: "binary data",
}

PRICES = {
    ReadAs.NONE: "No rule sees these bodies: any attack in them passes. URL, headers, and cookies are inspected.",
    ReadAs.BINARY: "A body with a byte that is not text passes uninspected.",
    ReadAs.TEXT: "Names of fields are not told apart: an exclusion for one of them covers the whole body (text.body).",
}
MALFORMED = {ReadAs.MULTIPART, ReadAs.JSON, ReadAs.NDJSON, ReadAs.XML}


class BodyReadings(Crud[BodyReading, BodyReadingFields]):
    async def page(self, session: AsyncSession, *, q: str = "", **paging: Unpack[Paging]) -> Page[BodyReading]:
        """Those whose name or reason contains `q`."""
        wanted = select(BodyReading)
        if q:
            wanted = wanted.where(holds(q, BodyReading.name, BodyReading.reason))
        return await self.listed(session, wanted, SORTS, **paging)

    async def create(
        self, changes: Changes, request: SaveRequest, fields: BodyReadingFields
    ) -> SaveResult[BodyReading]:
        await self._must_have_effect(changes, fields)
        return await super().create(changes, request, fields)

    async def update(
        self, changes: Changes, request: SaveRequest, number: int, fields: BodyReadingFields, version: int | None = None
    ) -> SaveResult[BodyReading]:
        await self._must_have_effect(changes, fields)
        return await super().update(changes, request, number, fields, version)

    def must_fit(self, fields: BodyReadingFields, facts: EngineFacts) -> None:
        if facts.small_frames and fields.read_as not in FOREIGN_PROCESSORS:
            raise Invalid.at("read_as", f"coraza-spoa can’t read a body as {AS[fields.read_as]}.")

    async def _must_have_effect(self, changes: Changes, fields: BodyReadingFields) -> None:
        if words := never_matches(fields.path_match, fields.path):
            raise Invalid.at("path", words)
        async with changes.database.read() as session:
            policy = await session.get(Policy, self.parent_id)
        if policy is not None:
            must_have_effect(fields, policy.content_type_readings)


def must_have_effect(fields: BodyReadingFields, content_type_readings: list[str]) -> None:
    """Raises Invalid if the policy already parses each of the content types this way."""
    kinds = fields.content_types
    if kinds and all(reading_of(kind, content_type_readings) is fields.read_as for kind in kinds):
        does = "is" if len(kinds) == 1 else "are"
        raise Invalid.at("read_as", f"{listed(kinds)} {does} already {read(fields.read_as)} in this policy.")


def read(how: ReadAs) -> str:
    """`read as JSON`"""
    return "not inspected" if how is ReadAs.NONE else f"read as {AS[how]}"


def reach(fields: BodyReadingColumns) -> str:
    """`Bodies of POST requests to /event with content type text/plain are read as JSON. All other bodies are read as before.`"""
    requests = requests_to(fields.path_match, fields.path, fields.methods)
    types = f" with content type {listed(fields.content_types, 'or')}" if fields.content_types else ""
    return f"Bodies of {requests}{types} are {read(fields.read_as)}. All other bodies are read as before."


def prices(fields: BodyReadingColumns) -> list[str]:
    """What is lost, or additionally rejected."""
    words = [PRICES[fields.read_as]] if fields.read_as in PRICES else []
    if fields.read_as in MALFORMED:
        words.append("Bodies that are something else get 400, or are only detected.")
    return words


def directives(row: BodyReading) -> str:
    """Its SecLang, as the agent gets it."""
    return body_readings.directives(BodyReadingState.of(row))


ROWS = BodyReadings(NOUN, BodyReading, BodyReadingFields)

page, fields_of = ROWS.page, ROWS.fields_of
