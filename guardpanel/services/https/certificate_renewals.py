"""Certificates that are made here are renewed before they end, and keys that the master key does not open are reported."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates import contents
from guardpanel.errors import Busy, Drifted, EngineUnavailable, NotFound, Problem
from guardpanel.models.certificates.certificate import Certificate
from guardpanel.models.certificates.certificate_content import CertificateContent
from guardpanel.sealing import KeyLost, Seal
from guardpanel.services import certificate_choices, certificates
from guardpanel.services.issuing import plans
from guardpanel.services.saving.changes import Changes, SaveRequest

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
AUTHOR = SaveRequest("guardpanel")


SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=1)
"Before a renewal that failed is tried again: each try may reload HAProxy twice."

CHOICE = 0
"No certificate's id: pauses between choices from all of them."


@dataclass
class Pauses:
    """Renewals that failed, by certificate."""

    failures: dict[int, int] = field(default_factory=dict)
    until: dict[int, datetime] = field(default_factory=dict)

    def is_over(self, number: int, now: datetime) -> bool:
        return number not in self.until or now >= self.until[number]

    def begin(self, number: int, now: datetime) -> timedelta:
        """Twice as long each time."""
        failures = self.failures[number] = self.failures.get(number, 0) + 1
        pause = min(SHORTEST * (1 << min(failures - 1, 10)), LONGEST)
        self.until[number] = now + pause
        return pause

    def forget(self, number: int) -> None:
        self.failures.pop(number, None)
        self.until.pop(number, None)


def follow(changes: Changes) -> None:
    """Runs as long as the panel."""
    changes.background.keep("certificates", partial(_look, changes, Pauses()), EVERY_SECONDS)


async def _look(changes: Changes, pauses: Pauses) -> None:
    async with changes.database.read() as session:
        current = await contents.current_of(session)
    changes.watch.keys = (
        KeyLost().message if any(is_lost(content, changes.seal) for content in current.values()) else ""
    )
    now = datetime.now(UTC)
    try:
        await renew(changes, now, pauses)
        await _choose_again(changes, now, pauses)
    except (Busy, Drifted, EngineUnavailable) as problem:
        log.warning("cannot renew certificates yet: %s", problem.message)


def is_lost(content: CertificateContent, seal: Seal) -> bool:
    """Whether its key is stored, and our master key does not open it."""
    try:
        contents.key_of(content, seal)
    except KeyLost:
        return content.sealed_key is not None
    return False


async def _choose_again(changes: Changes, now: datetime, pauses: Pauses) -> None:
    if not pauses.is_over(CHOICE, now):
        return
    try:
        await certificate_choices.choose_again(changes, now)
    except (Busy, EngineUnavailable):
        raise
    except Problem as problem:
        pause = pauses.begin(CHOICE, now)
        log.warning("cannot choose certificates again, trying again in %s: %s", pause, problem.message)
    else:
        pauses.forget(CHOICE)


async def renew(changes: Changes, now: datetime, pauses: Pauses) -> None:
    """Those that are made here and have less than a third of their life left. One that fails does not keep the others from
    being renewed. Raises Busy, Drifted or EngineUnavailable, which no certificate is the reason for."""
    async with changes.database.read() as session:
        current = await contents.current_of(session)
        page = await certificates.page(session, limit=10_000)
        due = [row.id or 0 for row in page.items if row.source.is_made_here and is_due(current.get(row.id or 0), now)]
    for number in due:
        if not pauses.is_over(number, now):
            continue
        try:
            await certificates.renew(changes, AUTHOR, number)
        except (Busy, Drifted, EngineUnavailable):
            raise
        except NotFound:
            pauses.forget(number)  # It was deleted meanwhile.
        except Problem as problem:
            pause = pauses.begin(number, now)
            log.warning("cannot renew certificate %d, trying again in %s: %s", number, pause, problem.message)
        else:
            pauses.forget(number)


def is_due(content: CertificateContent | None, now: datetime) -> bool:
    return content is not None and moment_of(content) < now


def moment_of(content: CertificateContent) -> datetime:
    """When one that is made here is renewed."""
    return content.not_after - (content.not_after - content.not_before) / 3


async def next_renewals(session: AsyncSession, rows: Collection[Certificate]) -> dict[int, datetime]:
    """When each is renewed, or ordered, next. Without those for which no moment is set."""
    ordered = {number: plan.due_at for number, plan in (await plans.by_certificate(session)).items() if plan.due_at}
    made = {row.id or 0: moment_of(row.content) for row in rows if row.source.is_made_here and row.content}
    return ordered | made
