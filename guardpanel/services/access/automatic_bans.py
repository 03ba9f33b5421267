"""Bans of clients whose requests a policy has rejected too often, or that have failed too often.

The ingest counts both; a ban is made of what it has counted, like any other: its row first. So whatever ends in between,
the next look makes the ban that is due, and none twice.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access.spans import Span, span
from guardpanel.models import Ban, Policy, Traffic
from guardpanel.models.access.ban import AUTOMATIC
from guardpanel.models.policies.policy_limits import LONGEST_BAN_SECONDS
from guardpanel.services.access.bans import Bans, ends, served
from guardpanel.services.access.lockout import Doors, doors, locked_out
from guardpanel.services.events import Events, strikes
from guardpanel.services.saving.changes import Changes

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
"Seconds between two looks."

AUTHOR = "guardpanel"

REMEMBERED = timedelta(days=30)
"For how long a ban makes the next one longer."

MOST_DOUBLINGS = 22
"A second becomes the longest ban."


@dataclass(frozen=True)
class BanRule:
    """What a policy says."""

    policy_id: int
    policy: str
    threshold: int
    window: timedelta
    duration: timedelta
    doubles: bool
    counted: str = "requests rejected"

    @classmethod
    def of(cls, policy: Policy) -> "BanRule":
        return cls(
            policy.id or 0,
            policy.name,
            policy.ban_threshold,
            timedelta(seconds=policy.ban_window_seconds),
            timedelta(seconds=policy.ban_duration_seconds),
            policy.ban_doubles,
            "requests rejected or failed" if policy.login_paths or policy.error_statuses else "requests rejected",
        )

    def ban(self, network: str, rejected: int, earlier: int, now: datetime) -> Ban:
        """`earlier`: automatic bans of this network that it has served."""
        seconds = self.duration.total_seconds() * (2 ** min(earlier, MOST_DOUBLINGS) if self.doubles else 1)
        words = f"{rejected} {self.counted} in {self.window.total_seconds():.0f} s by policy {self.policy}"
        return Ban(
            network=network,
            ends_at=now + timedelta(seconds=min(seconds, LONGEST_BAN_SECONDS)),
            reason=words + (f", banned {earlier} times before" if self.doubles and earlier else ""),
            origin=AUTOMATIC,
            violations=rejected,
            threshold=self.threshold,
            created_by=AUTHOR,
            created_at=now,
        )


class AutomaticBans:
    def __init__(self, changes: Changes, events: Events, bans: Bans) -> None:
        self.changes = changes
        self.events = events
        self.bans = bans

    def follow(self) -> None:
        """Runs as long as the panel."""
        self.changes.background.keep("automatic bans", self.look, EVERY_SECONDS)

    async def look(self) -> None:
        """Ban who is due, by the longest of the policies' bans."""
        now = datetime.now(UTC)
        async with self.changes.database.read() as session:
            rules = await _rules(session)
        due: dict[str, tuple[BanRule, int]] = {}
        for rule in rules:
            for network, rejected in (await self._due(rule, now)).items():
                due.setdefault(network, (rule, rejected))
        if not due:
            return
        async with self.changes.database.read() as session:
            exempt = await Exempt.now(self.changes, session)
            earlier = await served(session, due, now - REMEMBERED)
        bans = [
            rule.ban(network, rejected, earlier.get(network, 0), now)
            for network, (rule, rejected) in due.items()
            if not exempt.contains(network)
        ]
        for ban in await self.bans.add_new(bans):
            log.info("banned %s: %s", ban.network, ban.reason)

    async def _due(self, rule: BanRule, now: datetime) -> Mapping[str, int]:
        """What was counted before an earlier ban ended has been punished, or forgiven."""
        first = now - rule.window
        struck = await self.events.struck(strikes.of_all(rule.policy_id, first, now, rule.threshold))
        if not struck:
            return strikes.NOBODY
        async with self.changes.database.read() as session:
            ended = await ends(session, struck)
        since = {network: max(first, ended.get(network, first)) for network in struck}
        free = {network: moment for network, moment in since.items() if moment <= now}
        return await self.events.struck(strikes.of_these(rule.policy_id, free, now, rule.threshold))


@dataclass(frozen=True)
class Exempt:
    """This machine, servers, and proxies: one that does not say who its client is, is the client itself, and a ban would be of
    everybody behind it."""

    doors: Doors
    proxies: Sequence[Span]

    @classmethod
    async def now(cls, changes: Changes, session: AsyncSession) -> "Exempt":
        traffic = (await session.exec(select(Traffic))).first()
        proxies = traffic.trusted_networks if traffic else ()
        return cls(await doors(changes, session, client=""), [span(network) for network in proxies])

    def contains(self, network: str) -> bool:
        """Whether a ban of this network would be one of them."""
        area = span(network)
        if any(proxy.contains(area) or area.contains(proxy) for proxy in self.proxies):
            return True
        return bool(locked_out(self.doors, [network]))


async def _rules(session: AsyncSession) -> Sequence[BanRule]:
    """Those with the longest bans first."""
    query = select(Policy).where(col(Policy.automatic_bans)).order_by(col(Policy.ban_duration_seconds).desc())
    return [BanRule.of(policy) for policy in await session.exec(query)]
