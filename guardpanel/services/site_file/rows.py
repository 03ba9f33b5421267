"""The rows as a file sees them: by section, each with its values and what it is called."""

from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models.noun import Noun
from guardpanel.services.site_file.keys import Values, operations


@dataclass(frozen=True)
class FileRow:
    id: int
    parent_id: int | None
    name: str
    values: Values
    "By field. References are ids."


async def stored(session: AsyncSession, noun: Noun) -> list[FileRow]:
    """All of them, in the order in which they were added."""
    crud = operations(noun)
    query = select(crud.row).options(*crud.loading).order_by(crud.row.id)
    rows: list[Any] = list((await session.exec(query)).all())
    if noun.only_name and not rows:
        rows = [crud.row()]
    return [await of(session, noun, row) for row in rows]


async def of(session: AsyncSession, noun: Noun, row: Any) -> FileRow:
    crud = operations(noun)
    values = to_jsonable_python(await crud.file_values(session, row))
    return FileRow(row.id, getattr(row, noun.within) if noun.within else None, crud.name(row), values)


async def again(session: AsyncSession, noun: Noun, row_id: int) -> FileRow:
    """As it is by now."""
    return await of(session, noun, await operations(noun).find(session, row_id))
