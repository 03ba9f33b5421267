"""Rule exclusions with a last day: announced before, and disabled afterwards, each by its own change."""

import logging
from datetime import date, timedelta
from functools import partial

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Busy, Drifted, EngineUnavailable, NotFound
from guardpanel.models import RuleExclusion
from guardpanel.services import rule_exclusions
from guardpanel.services.saving.changes import Changes, SaveRequest

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
"Seconds between two looks."

ANNOUNCED = timedelta(days=7)

AUTHOR = "guardpanel"


def follow(changes: Changes) -> None:
    """Runs as long as the panel."""
    changes.background.keep("rule exclusions", partial(_look, changes), EVERY_SECONDS)


async def _look(changes: Changes) -> None:
    try:
        await end(changes, rule_exclusions.today())
    except (Busy, Drifted, EngineUnavailable) as problem:
        log.warning("cannot end rule exclusions yet: %s", problem.message)


async def end(changes: Changes, day: date) -> None:
    """Those whose last day was before this one."""
    async with changes.database.read() as session:
        over = [
            (exclusion.policy_id or 0, exclusion.id or 0)
            for exclusion in await ending(session, day - timedelta(days=1))
        ]
    for policy_id, number in over:
        try:
            await rule_exclusions.ROWS.under(policy_id).end(changes, SaveRequest(AUTHOR), number)
        except NotFound:
            continue  # It was deleted meanwhile.


async def ending(session: AsyncSession, day: date) -> list[RuleExclusion]:
    """Those whose last day is at most this one, in that order."""
    query = select(RuleExclusion).where(col(RuleExclusion.enabled), col(RuleExclusion.ends_on) <= day)
    return list((await session.exec(query.order_by(col(RuleExclusion.ends_on), col(RuleExclusion.id)))).all())


async def announced(session: AsyncSession) -> list[RuleExclusion]:
    return await ending(session, rule_exclusions.today() + ANNOUNCED)
