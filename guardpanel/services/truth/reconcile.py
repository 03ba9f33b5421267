"""Every few seconds, compares database, release, HAProxy and agent, and shows or repairs differences.

What our own crash or restart left is repaired at once. What was changed outside guardpanel is shown as drift until the operator
redeploys, or repaired if GUARDPANEL_DRIFT is `repair`. After a failed rollback nothing is done automatically.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic

from guardpanel.engines import Drift, Expected, Place
from guardpanel.engines.processes.disk import trouble
from guardpanel.errors import Busy, DeploymentFailed, EngineUnavailable, Problem
from guardpanel.models import NOUNS, Revision
from guardpanel.models.revision import Outcome
from guardpanel.services import installation
from guardpanel.services.saving import differences, revisions, snapshots
from guardpanel.services.saving.changes import Changes
from guardpanel.services.truth import by_hand, startup
from guardpanel.services.truth.look import look

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.5
"Seconds between two looks."

SHARE, LONGEST_PAUSE_SECONDS = 5, 2.5
"A long look is followed by a pause of this many times its length, but no more than this many seconds."


LONGEST_BACK_OFF_SECONDS = 5.0
"Seconds after a failed look, so that a repair is noticed soon."

MOST_LOOKS_BETWEEN_TRIES = 32
"Maximum looks until a failed start is tried again."


class Reconciler:
    def __init__(self, changes: Changes, data_dir: Path, *, repairs: bool) -> None:
        self.changes = changes
        self.watch = changes.watch
        self.data_dir = data_dir
        self.repairs = repairs
        self.problem: str | None = None
        "What prevented the configuration from going live."
        self._wait, self._waited = 0, 0
        "Looks between two attempts to bring up what failed, and how many have passed."
        self._tried: tuple[Drift, ...] = ()
        "What could not be repaired: it is not tried again automatically."
        self._took = 0.0
        self._version = ""
        "The HAProxy process at the last look."

    def start(self) -> asyncio.Task[None]:
        """Runs as long as the panel."""
        return self.changes.background.keep("reconcile", self._attempt, self._rest, longest=LONGEST_BACK_OFF_SECONDS)

    async def _attempt(self) -> None:
        began = monotonic()
        try:
            await self.tick()
        except (Busy, EngineUnavailable) as problem:
            log.warning("the check of the running state was interrupted: %s", problem.message)
        self._took = monotonic() - began

    async def _rest(self) -> None:
        await self.changes.background.sleep(max(EVERY_SECONDS, min(LONGEST_PAUSE_SECONDS, SHARE * self._took)))

    async def tick(self) -> None:
        """One look, and its consequences."""
        changes = self.changes
        if changes.is_saving:
            return
        async with changes.turn():
            pass  # Busy while another process saves.
        self.watch.storage = await asyncio.to_thread(trouble, self.data_dir)
        if self.problem is not None:
            await self._bring_up()
        await self._settle()
        now = await look(changes, self._look)
        if not now.is_whole:
            return
        drift, engines = tuple(now.drift), now.engines
        self.watch.record(drift, all_answered=engines.haproxy.running and engines.agent.running)
        await self._follow_version(engines.haproxy.version)
        if drift and await self._may_mend(drift):
            await self._mend(drift)

    async def _bring_up(self) -> None:
        """Less and less often, as each attempt may be recorded as a change."""
        self._waited += 1
        if self._waited <= self._wait:
            return
        self.problem = await startup.bring_up(self.changes)
        self._waited, self._wait = 0, min(MOST_LOOKS_BETWEEN_TRIES, 2 * self._wait + 1) if self.problem else 0

    async def _follow_version(self, version: str) -> None:
        """Another HAProxy may have other features: it gets the configuration that it would get at the panel's start."""
        before, self._version = self._version, version or self._version
        if not before or before == self._version:
            return
        renderer = self.changes.renderer
        facts = await installation.asked_again(renderer.facts, self.changes.engines.haproxy)
        if facts != renderer.facts:
            log.info("HAProxy is now %s instead of %s; rendering its configuration again", self._version, before)
            renderer.use(facts)
            self.problem = await startup.bring_up(self.changes)

    async def _settle(self) -> None:
        async with self.changes.database.read() as session:
            left = await revisions.open_deployments(session)
        if left:
            await self.changes.settle()

    async def _look(self) -> list[Drift]:
        async with self.changes.database.read() as session:
            live, rows = await revisions.live(session), await revisions.live_rows(session)
        if live is None or rows is None:
            return []
        expected = Expected(live.id or 0, live.checksum)
        drifts = await self.changes.engines.inspect(expected)
        if any(drift.place is Place.FILES and not drift.ours for drift in drifts):
            bundle = await self.changes.renderer.rendered(snapshots.unpacked(live.snapshot))
            drifts = await self.changes.engines.inspect(replace(expected, bundle=bundle))
        drifts = [await self._with_origin(drift) for drift in drifts]
        return [*drifts, *await self._database(rows), *await by_hand.servers(self.changes)]

    async def _with_origin(self, drift: Drift) -> Drift:
        """If HAProxy did not respond during a rollback and then runs the rolled-back release, that is our doing."""
        if drift.place is not Place.HAPROXY or drift.ours:
            return drift
        async with self.changes.database.read() as session:
            last = await revisions.last_deployment(session)
            revision = await session.get(Revision, last.revision_id) if last and last.revision_id else None
        if last is None or revision is None or last.outcome is not Outcome.ROLLED_BACK:
            return drift
        return replace(drift, ours=await self.changes.engines.runs(revision.checksum, 0))

    async def _database(self, rows: snapshots.Snapshot) -> list[Drift]:
        """Configuration rows that were changed outside guardpanel."""
        async with self.changes.database.read() as session:
            now = await snapshots.take(session)
        if now == rows:
            return []
        return [
            Drift(
                Place.DATABASE,
                f"{NOUNS[difference.noun].title(difference.name)} was {difference.kind} in the database outside guardpanel.",
                tuple(line for field in difference.fields for line in _lines(field)),
            )
            for difference in await asyncio.to_thread(_between, rows, now)
        ]

    async def _may_mend(self, drift: tuple[Drift, ...]) -> bool:
        if drift == self._tried or self.watch.storage:
            return False
        async with self.changes.database.read() as session:
            last = await revisions.last_deployment(session)
        if last is not None and last.outcome is Outcome.FAILED:
            return False
        keeps_haproxy_down = any(drifted.place is Place.FILES for drifted in drift) and await self._is_haproxy_gone()
        return self.repairs or keeps_haproxy_down or all(drifted.ours for drifted in drift)

    async def _is_haproxy_gone(self) -> bool:
        """Nobody listens on its socket: it cannot start, and whatever prevents that helps nobody."""
        return not await self.changes.engines.is_haproxy_there()

    async def _mend(self, drift: tuple[Drift, ...]) -> None:
        log.warning("mending: %s", " ".join(drifted.what for drifted in drift))
        try:
            if not await self._reread(drift):
                await self.changes.put_back(startup.PANEL)
        except Problem as problem:
            self._tried = drift
            log.error("automatic repair failed: %s", problem.message)

    async def _reread(self, drift: tuple[Drift, ...]) -> bool:
        """An agent that has merely not loaded its file loads it: HAProxy is not involved."""
        if any(drifted.place is not Place.AGENT for drifted in drift):
            return False
        async with self.changes.turn():
            with suppress(DeploymentFailed, EngineUnavailable):
                await self.changes.engines.agent.reload()
        now = await look(self.changes, self._look)
        if not now.is_whole:
            return True  # The next look shows what is left.
        self.watch.record(tuple(now.drift))
        return not now.drift


def _between(rows: snapshots.Snapshot, now: snapshots.Snapshot) -> list[differences.Difference]:
    return differences.between(snapshots.rows(rows), snapshots.rows(now))


def _lines(field: differences.FieldDifference) -> list[str]:
    before = [f"-{field.label}: {line}" for line in (field.before or "").split("\n") if field.before]
    return before + [f"+{field.label}: {line}" for line in (field.after or "").split("\n") if field.after]
