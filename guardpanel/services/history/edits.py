"""What others did to something since a form was opened with it: read from what every change kept."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import NOUNS, Deployment
from guardpanel.models.revision import Outcome
from guardpanel.rendering import Rows
from guardpanel.services.history import history
from guardpanel.services.saving import revisions, snapshots

F = TypeVar("F", bound=BaseModel)

FieldsIn = Callable[[Rows, int], F | None]
"A noun's fields as a kept state has them; None if it was not there."

MOST = 50
"So many changes back; a form older than that is compared without knowing what it began with."


@dataclass
class EditHistory(Generic[F]):
    """What became of one thing since it had a version."""

    opened: F | None = None
    "Its fields at that version; None where they are not kept."
    by: dict[str, Deployment] = field(default_factory=dict)
    "The last change of each field that changed."
    last: Deployment | None = None
    "The last change of it at all; also the one that deleted it."


async def since(
    session: AsyncSession,
    noun: str,
    noun_id: int,
    version: int,
    now: F | None,
    fields_in: FieldsIn[F],
) -> EditHistory[F]:
    """From `now` (None: it is deleted) back to `version`, one kept state after the other. If that is not found, only
    the last change is said."""
    history: EditHistory[F] = EditHistory()
    later = now
    for change in await _changes_of(session, noun, noun_id):
        rows = await _rows_before(session, change)
        before = fields_in(rows, noun_id) if rows else None
        if before != later:
            history.last = history.last or change
        for name in changed(before, later):
            history.by.setdefault(name, change)
        later = before or later
        if before and rows and _version(rows, noun, noun_id) == version:
            history.opened = before
            return history
    return EditHistory(last=history.last)


def changed(before: F | None, after: F | None) -> list[str]:
    """The names of the fields that differ."""
    if before is None or after is None:
        return []
    return [name for name in type(after).model_fields if getattr(before, name) != getattr(after, name)]


async def _changes_of(session: AsyncSession, noun: str, noun_id: int) -> list[Deployment]:
    """What went live and touched it, newest first; a restore of everything may have."""
    touched = or_((col(Deployment.noun) == noun) & (col(Deployment.noun_id) == noun_id), col(Deployment.noun) == "")
    rows = await session.exec(
        select(Deployment)
        .options(*revisions.LIGHT)
        .where(col(Deployment.outcome) == Outcome.LIVE, touched)
        .order_by(col(Deployment.id).desc())
        .limit(MOST)
    )
    return list(rows.all())


async def _rows_before(session: AsyncSession, change: Deployment) -> Rows | None:
    before = await history.predecessor(session, change)
    state = await history.after(session, before) if before else None
    return await asyncio.to_thread(_rows, state.rows) if state else None


def _rows(packed: bytes) -> Rows:
    return snapshots.rows(snapshots.unpacked(packed))


def _version(rows: Rows, noun: str, noun_id: int) -> int | None:
    return next((int(row["version"]) for row in rows[NOUNS[noun].table_name] if row["id"] == noun_id), None)
