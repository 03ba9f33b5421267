"""What was made live, and every attempt to."""

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import NotFound
from guardpanel.models import Deployment, Revision
from guardpanel.models.revision import Outcome
from guardpanel.services.pages import Page


async def live(session: AsyncSession) -> Revision | None:
    """The revision that the newest successful deployment made live."""
    found = await session.exec(
        select(Revision)
        .join(Deployment, col(Deployment.revision_id) == col(Revision.id))
        .where(col(Deployment.outcome) == Outcome.LIVE)
        .order_by(col(Deployment.id).desc())
        .limit(1)
    )
    return found.first()


async def last_deployment(session: AsyncSession) -> Deployment | None:
    return (await session.exec(select(Deployment).order_by(col(Deployment.id).desc()).limit(1))).first()


async def open_deployments(session: AsyncSession) -> list[Deployment]:
    """Attempts whose end was never recorded: the panel was killed during them."""
    found = await session.exec(
        select(Deployment).where(col(Deployment.outcome) == Outcome.DEPLOYING).order_by(col(Deployment.id))
    )
    return list(found.all())


async def find(session: AsyncSession, deployment_id: int) -> Deployment:
    deployment = await session.get(Deployment, deployment_id)
    if deployment is None:
        raise NotFound("There is no such change.")
    return deployment


async def page(
    session: AsyncSession, *, noun: str = "", noun_id: int | None = None, offset: int = 0, limit: int = 50
) -> Page[Deployment]:
    """Attempts, newest first; of one virtual host or policy where `noun` and `noun_id` say so."""
    conditions = []
    if noun:
        conditions = [col(Deployment.noun) == noun, col(Deployment.noun_id) == noun_id]
    total = (await session.exec(select(func.count()).select_from(Deployment).where(*conditions))).one()
    found = await session.exec(
        select(Deployment).where(*conditions).order_by(col(Deployment.id).desc()).offset(offset).limit(limit)
    )
    return Page(list(found.all()), total, offset, limit)
