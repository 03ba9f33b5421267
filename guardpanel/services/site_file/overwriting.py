"""What was saved on pages or over JSON since a file was last applied, where applying it again overwrites that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import NOUNS, Deployment
from guardpanel.models.revision import Outcome
from guardpanel.services.site_file.applying import Step

MOST_READ = 2_000
"The newest changes."


@dataclass(frozen=True)
class OverwrittenChange:
    change_id: int
    revision: int | None
    author: str
    summary: str
    at: datetime


async def overwritten_changes(session: AsyncSession, name: str, steps: Sequence[Step]) -> tuple[OverwrittenChange, ...]:
    """In the transaction of a plan with these steps. Newest first. Empty if no file of this name was applied yet."""
    live = select(func.max(Deployment.id)).where(col(Deployment.outcome) == Outcome.LIVE)
    applied = (await session.exec(live.where(col(Deployment.applied_file) == name))).one() if name and steps else None
    if applied is None:
        return ()
    since = select(
        Deployment.id, Deployment.revision_id, Deployment.author, Deployment.summary, Deployment.started_at,
        Deployment.noun, Deployment.noun_id, Deployment.touched,
    )  # type: ignore[call-overload]  # fmt: skip
    later = since.where(
        col(Deployment.id) > applied, col(Deployment.outcome) == Outcome.LIVE, col(Deployment.applied_file) != name
    )
    rows = (await session.exec(later.order_by(col(Deployment.id).desc()).limit(MOST_READ))).all()
    overwrites = Overwriting(session, steps)
    return tuple(
        [
            OverwrittenChange(number, revision, author, summary, at)
            for number, revision, author, summary, at, noun, noun_id, touched in rows
            if await overwrites.any_of([f"{noun}:{noun_id}"] if noun else touched)
        ]
    )


class Overwriting:
    """Rows as `policy:3`: those that the steps change or remove, and deleted ones where they add such a row."""

    def __init__(self, session: AsyncSession, steps: Sequence[Step]) -> None:
        self._session = session
        self._kept = {f"{step.noun}:{step.id}" for step in steps if step.kind != "added"}
        self._added = {step.noun for step in steps if step.kind == "added"}

    async def any_of(self, rows: Sequence[str]) -> bool:
        return not self._kept.isdisjoint(rows) or any([await self._was_deleted(row) for row in rows])

    async def _was_deleted(self, row: str) -> bool:
        key, _, number = row.partition(":")
        if key not in self._added or not number.isdigit():
            return False
        table: Any = NOUNS[key].table
        return (await self._session.exec(select(func.count()).where(table.id == int(number)))).one() == 0
