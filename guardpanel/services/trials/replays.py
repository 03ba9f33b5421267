"""Recorded requests and events, judged by the rules as they are and by those of a planned state of the configuration.

Only what the WAF agent decides: not what HAProxy does before it, such as skipped paths, size limits, bans and rate limits.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from guardpanel.engines.waf.replaying import Replayed, ReplayVerdict, RuleSetChoice
from guardpanel.errors import EngineUnavailable
from guardpanel.rendering import DesiredState, EngineFacts
from guardpanel.services.events import EventDetail, EventFilter, Events
from guardpanel.services.events.recorded import RecordedRequest
from guardpanel.services.fixes.requests import request_of
from guardpanel.services.saving import snapshots
from guardpanel.services.saving.changes import Changes
from guardpanel.services.saving.snapshots import Snapshot
from guardpanel.services.trials.judging import Judging

MOST_RECORDED = 2_000
MOST_EVENTS, LEAST_EVENTS_OF_HOST = 500, 10
"The newest. Events are shared out among the virtual hosts whose rules change."

MOST_LISTED = 100
SECONDS = 30.0
"For the whole replay: one request takes about a millisecond under each rule set, its compilation 30."

NOT_INSPECTED = "not inspected"
VERDICTS = {"pass": "passed", "detected": "detected", "blocked": "blocked"}

Pair = tuple[str, str]
"Directives before and after. Empty: nothing inspects it."


@dataclass(frozen=True)
class Replayable:
    at: datetime
    host: str
    method: str
    uri: str
    question: Mapping[str, Any]
    "As the agent is asked."
    event_id: str = ""
    "Empty for a recorded request, which passed."


@dataclass(frozen=True)
class NewVerdict:
    """`before` and `after`: `passed`, `detected`, `blocked` or `not inspected`."""

    request: Replayable
    before: str
    after: str
    rules: tuple[int, ...]
    "Those that fired where it does not pass: after, or else before."


@dataclass
class Replay:
    recorded: int = 0
    events: int = 0
    "Those that were tried."
    unfaithful: int = 0
    "Of them, those that the current rules judge otherwise than when they were stored. They do not count."
    new_verdicts: list[NewVerdict] = field(default_factory=list)
    changes_rules: bool = True
    "Whether the rules of any virtual host change."
    problem: str = ""
    "Why not all were tried."

    @property
    def sentence(self) -> str:
        tried = self.recorded + self.events
        if not self.changes_rules:
            return "No request was replayed: no virtual host gets other WAF rules."
        if not tried:
            return self.problem or (
                "No request was replayed: none is recorded for the virtual hosts whose WAF rules change. "
                "Policies record ordinary requests if “Recorded requests” is set."
            )
        words = f"{len(self.new_verdicts):,} of {tried:,} requests ({self.recorded:,} recorded, {self.events:,} from events) "
        words += "would get another verdict."
        if self.unfaithful:
            words += f" {self.unfaithful:,} can’t be judged as the real requests were and are not counted."
        return f"{words} {self.problem}".strip()

    def add(self, request: Replayable, pair: Pair, answer: Replayed) -> None:
        if request.event_id:
            self.events += 1
        else:
            self.recorded += 1
        given = iter(answer.verdicts)
        before, after = (next(given, None) if directives else None for directives in pair)
        if answer.error or (before and (before.verdict == "pass") is bool(request.event_id)):
            self.unfaithful += 1
        elif (before.verdict if before else "pass") != (after.verdict if after else "pass"):
            fired = next((each.rule_ids for each in (after, before) if each and each.verdict != "pass"), ())
            self.new_verdicts.append(NewVerdict(request, _word(before), _word(after), fired))


def _word(verdict: ReplayVerdict | None) -> str:
    return VERDICTS[verdict.verdict] if verdict else NOT_INSPECTED


async def replay(changes: Changes, events: Events, before: Snapshot, after: Snapshot) -> Replay:
    """For SECONDS at most."""
    done = Replay()
    try:
        async with asyncio.timeout(SECONDS):
            facts = changes.renderer.facts
            judging = [await asyncio.to_thread(_judging, state, facts) for state in (before, after)]
            affected = judging[0].affected_in(judging[1])
            done.changes_rules = bool(affected)
            groups = await _requests(events, affected, judging) if affected else {}
            for pair, requests in groups.items():
                await _replay_group(changes, done, pair, requests)
    except TimeoutError:
        done.problem = f"The replay was stopped after {SECONDS:.0f} s: the others were not tried."
    except EngineUnavailable as error:
        done.problem = error.message
    return done


def _judging(snapshot: Snapshot, facts: EngineFacts) -> Judging:
    return Judging(DesiredState.from_rows({**snapshots.rows(snapshot), "sitelogin": ()}, facts))


async def _requests(
    events: Events, affected: Sequence[int], judging: Sequence[Judging]
) -> Mapping[Pair, list[Replayable]]:
    """Those that other rules would judge, by both."""
    groups: dict[Pair, list[Replayable]] = defaultdict(list)
    every = [*await _recorded(events, set(affected), judging[0]), *await _events(events, affected)]
    for host_id, request in every:
        path = request.uri.partition("?")[0]
        before, after = judging[0].directives_after(judging[1], host_id, request.host, path)
        if before != after:
            groups[before, after].append(request)
    return groups


async def _recorded(events: Events, affected: set[int], now: Judging) -> list[tuple[int, Replayable]]:
    owners = {host: now.owner_of(host) for host in await events.recorded_hosts()}
    kept = await events.recorded([host for host, owner in owners.items() if owner in affected], MOST_RECORDED)
    return [(owners[request.host] or 0, _replayable(request)) for request in kept.newest]


def _replayable(request: RecordedRequest) -> Replayable:
    legible = request.displayable
    return Replayable(request.at, legible.host, legible.method, legible.uri, request.as_asked)


async def _events(events: Events, affected: Sequence[int]) -> list[tuple[int, Replayable]]:
    ids: list[str] = []
    share = max(MOST_EVENTS // len(affected), LEAST_EVENTS_OF_HOST)
    for host_id in affected:
        page = await events.page(EventFilter(virtual_host_id=host_id), limit=share)
        ids += [item.request_id for item in page.items if item.rules]
        if len(ids) >= MOST_EVENTS:
            break
    return await asyncio.to_thread(_of_events, list((await events.several(ids[:MOST_EVENTS])).values()))


def _of_events(details: Sequence[EventDetail]) -> list[tuple[int, Replayable]]:
    requests = []
    for event in details:
        if event.agent_line and event.item.virtual_host_id:
            item, question = event.item, request_of(event.agent_line).question()
            event_request = Replayable(item.time, item.host, item.method, item.path, question, item.request_id)
            requests.append((event.item.virtual_host_id, event_request))
    return requests


async def _replay_group(changes: Changes, done: Replay, pair: Pair, requests: Sequence[Replayable]) -> None:
    under = [RuleSetChoice(directives=directives) for directives in pair if directives]
    async with aclosing(changes.engines.agent.replay(under, [request.question for request in requests])) as answers:
        at = 0
        async for answer in answers:
            done.add(requests[at], pair, answer)
            at += 1
