"""Checks in the background whether what reaches a policy's threshold is blocked, by the events of visitors.

Without rule 949110, the WAF adds up scores and blocks nothing, and every other check finds all well.
"""

import re
from datetime import UTC, datetime, timedelta

from guardpanel.bundle import Application
from guardpanel.models import Policy
from guardpanel.services.events import Events
from guardpanel.services.events.unblocked import Expectation
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import Changes
from guardpanel.services.truth import live_line

EVERY_SECONDS = 5.0
"Seconds between two looks."

RECENT = timedelta(minutes=10)

ALLOWING = re.compile(r"\bid:90\d{5}\b.*\ballow\b")
"A custom rule that ends the inspection of a request, whatever its score."


class BlockingWatch:
    """Writes to `changes.watch` what was not blocked."""

    def __init__(self, changes: Changes, events: Events) -> None:
        self.changes = changes
        self.events = events

    def follow(self) -> None:
        """Runs as long as the panel."""
        self.changes.background.keep("blocking check", self.look, EVERY_SECONDS)

    async def look(self) -> None:
        """Only events since the last deployment count: it may have mended what they show."""
        async with self.changes.database.read() as session:
            last = await revisions.last_deployment(session)
            applications = await live_line.applications(self.changes, session)
            expected = {
                name: Expectation(policy.id or 0, policy.inbound_anomaly_threshold, application.blocks)
                for name, application in applications.items()
                if _must_block(application) and (policy := await session.get(Policy, application.policy_ids[0]))
            }
        since = datetime.now(UTC) - RECENT
        if last is not None:
            since = max(since, last.started_at + timedelta(seconds=last.seconds))
        unblocked = await self.events.unblocked(expected, since)
        self.changes.watch.blocking = (
            f"Request {unblocked.request_id} scored {unblocked.score} of {unblocked.expected.threshold} and was not blocked. "
            "Rule 949110 is missing or off."
            if unblocked
            else ""
        )


def _must_block(application: Application) -> bool:
    return ALLOWING.search(application.directives) is None
