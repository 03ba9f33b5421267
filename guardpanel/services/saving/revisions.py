"""Revisions and deployments."""

import asyncio
from typing import Any

from sqlalchemy import and_, exists
from sqlalchemy.orm import defer
from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.database import Database
from guardpanel.errors import NotFound
from guardpanel.models import Deployment, Revision
from guardpanel.models.revision import Outcome
from guardpanel.services.paging import Page, like
from guardpanel.services.saving import snapshots
from guardpanel.services.saving.snapshots import Snapshot

LIGHT: tuple[Any, ...] = tuple(
    defer(column)  # type: ignore[arg-type]
    for column in (Deployment.snapshot, Deployment.before, Deployment.touched, Deployment.output)
)
"For lists: without columns that may be large."


async def live(session: AsyncSession, *options: Any) -> Revision | None:
    """The revision that the newest successful deployment made live."""
    rows = await session.exec(
        select(Revision)
        .options(*options)
        .join(Deployment, col(Deployment.revision_id) == col(Revision.id))
        .where(col(Deployment.outcome) == Outcome.LIVE)
        .order_by(col(Deployment.id).desc())
        .limit(1)
    )
    return rows.first()


async def named_live(session: AsyncSession) -> Revision | None:
    """The same without its rows, for what only names it: each page does, and of thousands of virtual hosts they are large."""
    return await live(session, defer(Revision.snapshot, raiseload=True))  # type: ignore[arg-type]


async def live_rows(session: AsyncSession) -> Snapshot | None:
    """The desired configuration rows: those that the newest successful deployment left."""
    rows = await session.exec(
        select(Deployment.snapshot, Revision.snapshot)
        .join(Revision, col(Deployment.revision_id) == col(Revision.id))
        .where(col(Deployment.outcome) == Outcome.LIVE)
        .order_by(col(Deployment.id).desc())
        .limit(1)
    )
    row = rows.first()
    return None if row is None else await asyncio.to_thread(snapshots.unpacked, row[0] or row[1])


async def change_of(session: AsyncSession, revision: int) -> int | None:
    """The change that first made this revision live. None if it is no longer stored."""
    query = select(func.min(Deployment.id)).where(col(Deployment.revision_id) == revision)
    return (await session.exec(query.where(col(Deployment.outcome) == Outcome.LIVE))).one()


async def last_deployment(session: AsyncSession) -> Deployment | None:
    return (await session.exec(select(Deployment).options(*LIGHT).order_by(col(Deployment.id).desc()).limit(1))).first()


async def open_deployments(session: AsyncSession) -> list[Deployment]:
    """Attempts whose outcome was never recorded: the panel was killed during them."""
    rows = await session.exec(
        select(Deployment).where(col(Deployment.outcome) == Outcome.DEPLOYING).order_by(col(Deployment.id))
    )
    return list(rows.all())


async def find(session: AsyncSession, deployment_id: int) -> Deployment:
    # Loaded whole, even if a list has read it without large columns.
    deployment = await session.get(Deployment, deployment_id, populate_existing=True)
    if deployment is None:
        raise NotFound("Change not found.")
    return deployment


async def page(
    session: AsyncSession,
    *,
    q: str = "",
    noun: str = "",
    noun_id: int | None = None,
    author: str = "",
    outcome: Outcome | None = None,
    before: int | None = None,
    offset: int = 0,
    limit: int = 50,
) -> Page[Deployment]:
    """Attempts, newest first, from the one `before` this id on. `q` searches summary and note. The other parameters filter."""
    conditions: list[Any] = []
    if q:
        pattern = like(q.strip().lower())
        texts = func.lower(Deployment.summary), func.lower(Deployment.note)
        conditions.append(or_(*(text.like(pattern, escape="\\") for text in texts)))
    if noun:
        conditions.append(_touched(noun, noun_id))
    if author:
        conditions.append(col(Deployment.author) == author)
    if outcome is not None:
        conditions.append(col(Deployment.outcome) == outcome)
    total = (await session.exec(select(func.count()).select_from(Deployment).where(*conditions))).one()
    rows = await session.exec(
        select(Deployment)
        .options(*LIGHT)
        .where(*conditions, *([col(Deployment.id) < before] if before else []))
        .order_by(col(Deployment.id).desc())
        .offset(offset)
        .limit(limit)
    )
    return Page(list(rows.all()), total, offset, limit)


AT_ONCE = 100
"Attempts that are read after another one."


async def after(session: AsyncSession, deployment_id: int, limit: int = AT_ONCE) -> list[Deployment]:
    """Attempts that began after this one, oldest first."""
    rows = await session.exec(
        select(Deployment)
        .options(*LIGHT)
        .where(col(Deployment.id) > deployment_id)
        .order_by(col(Deployment.id))
        .limit(limit)
    )
    return list(rows.all())


async def version_after(session: AsyncSession, version: int) -> int:
    """The next version of a row edited in this transaction: one that it never had, not even briefly in an edit that was rolled
    back."""
    if "highest_version" not in session.info:  # The same for each of thousands of rows of a file.
        taken_back = col(Deployment.outcome).in_([Outcome.ROLLED_BACK, Outcome.FAILED])
        was_taken_back = (await session.exec(select(Deployment.id).where(taken_back).limit(1))).first() is not None
        session.info["highest_version"] = await highest_version(session) if was_taken_back else 0
    return int(session.info["highest_version"]) or version + 1


def has_plain_versions(session: AsyncSession) -> bool:
    """Whether `version_after` was asked in this transaction, and counts by one."""
    return session.info.get("highest_version") == 0


def note_plain_versions(session: AsyncSession) -> None:
    """It does: the previous save has asked, and was not rolled back."""
    session.info["highest_version"] = 0


async def highest_version(session: AsyncSession) -> int:
    """Higher than any version a row ever had: an attempt increases it by one at most, and attempt ids are never reused."""
    newest = (await session.exec(select(func.max(Deployment.id)))).one()
    return (newest or 0) + 2


def _touched(noun: str, noun_id: int | None) -> Any:
    """The change was about this row, or a restore touched it among others."""
    each = func.json_each(Deployment.touched).table_valued("value")
    own = and_(col(Deployment.noun) == noun, col(Deployment.noun_id) == noun_id)
    return or_(own, exists().where(each.c.value == f"{noun}:{noun_id}"))


async def lately_touched(session: AsyncSession, noun: str, limit: int = 20) -> list[int]:
    """The ids of the rows that were changed last."""
    rows = await session.exec(
        select(Deployment.noun_id)
        .where(col(Deployment.noun) == noun, col(Deployment.noun_id).is_not(None))
        .group_by(col(Deployment.noun_id))
        .order_by(func.max(Deployment.id).desc())
        .limit(limit)
    )
    return [number for number in rows.all() if number is not None]


async def numbers(session: AsyncSession, limit: int = 50) -> list[tuple[int, str]]:
    """The newest revisions, each with the change that made it."""
    rows = await session.exec(select(Revision.id, Revision.summary).order_by(col(Revision.id).desc()).limit(limit))
    return [(number, summary) for number, summary in rows.all() if number is not None]


async def authors(session: AsyncSession) -> list[str]:
    """Everyone who ever changed something."""
    return list((await session.exec(select(Deployment.author).distinct().order_by(Deployment.author))).all())


async def note(database: Database, deployment_id: int, text: str) -> None:
    """Store an operator's note. Changes nothing else."""
    async with database.write() as session:
        deployment = await find(session, deployment_id)
        deployment.note = text
        session.add(deployment)
