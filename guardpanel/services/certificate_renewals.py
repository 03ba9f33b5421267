"""Certificates that are made here are renewed before they end, and keys that the master key does not open are reported."""

import logging
from datetime import UTC, datetime, timedelta
from functools import partial

from guardpanel.certificates import contents
from guardpanel.certificates.making import LIFETIME
from guardpanel.errors import Busy, Drifted, EngineUnavailable, NotFound
from guardpanel.models.certificate_content import CertificateContent
from guardpanel.sealing import KeyLost, Seal
from guardpanel.services import certificates
from guardpanel.services.saving.changes import Changes, SaveRequest

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
AUTHOR = SaveRequest("guardpanel")


def follow(changes: Changes) -> None:
    """Runs as long as the panel."""
    changes.background.keep("certificates", partial(_look, changes), EVERY_SECONDS)


async def _look(changes: Changes) -> None:
    async with changes.database.read() as session:
        current = await contents.current_of(session)
    changes.watch.keys = (
        KeyLost().message if any(is_lost(content, changes.seal) for content in current.values()) else ""
    )
    try:
        await renew(changes, datetime.now(UTC))
    except (Busy, Drifted, EngineUnavailable) as problem:
        log.warning("cannot renew certificates yet: %s", problem.message)


def is_lost(content: CertificateContent, seal: Seal) -> bool:
    """Whether its key is stored, and our master key does not open it."""
    try:
        contents.key_of(content, seal)
    except KeyLost:
        return content.sealed_key is not None
    return False


async def renew(changes: Changes, now: datetime) -> None:
    """Those that are made here and have less than a third of their life left."""
    async with changes.database.read() as session:
        ends = {number: content.not_after for number, content in (await contents.current_of(session)).items()}
        page = await certificates.page(session, limit=10_000)
        due = [row.id or 0 for row in page.items if row.source.is_made_here and is_due(ends.get(row.id or 0), now)]
    for number in due:
        try:
            await certificates.renew(changes, AUTHOR, number)
        except NotFound:
            continue  # It was deleted meanwhile.


def is_due(not_after: datetime | None, now: datetime, lifetime: timedelta = LIFETIME) -> bool:
    return not_after is not None and not_after - now < lifetime / 3
