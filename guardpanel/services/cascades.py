"""What the database's foreign keys delete together with a row."""

from sqlmodel import func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import NOUNS
from guardpanel.models.noun import Noun


async def goes_with(session: AsyncSession, noun: Noun, number: int) -> list[tuple[Noun, int]]:
    """How many rows of which other nouns."""
    counts = []
    for other in NOUNS.values():
        columns = other.table.__table__.c  # type: ignore[attr-defined]
        own = [columns[name] for name, key in other.references.items() if key == noun.key]
        bound = [column == number for column in own if any(key.ondelete == "CASCADE" for key in column.foreign_keys)]
        if bound and (count := (await session.exec(select(func.count()).where(or_(*bound)))).one()):
            counts.append((other, count))
    return counts
