"""What others changed since a form was opened, from the states that changes stored."""

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
"Reads a noun's fields from a stored state. None if the row did not exist."

MOST = 50
"Changes to look back. An older form is compared without its initial values."


@dataclass
class EditHistory(Generic[F]):
    """What happened to a row since it had a version."""

    opened: F | None = None
    "Its fields at that version. None if they are not stored."
    by: dict[str, Deployment] = field(default_factory=dict)
    "The last change of each changed field."
    last: Deployment | None = None
    "The last change of all. Also the one that deleted it."


async def since(
    session: AsyncSession,
    noun: str,
    noun_id: int,
    version: int,
    now: F | None,
    fields_in: FieldsIn[F],
) -> EditHistory[F]:
    """Look back from `now` (None: it is deleted) to `version`, one stored state after the other. If that is not found, only the
    last change is returned."""
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
    """The changes that went live and touched it, newest first, including restores of everything."""
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
