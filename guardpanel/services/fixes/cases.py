"""The event to fix: its request, the policy that would judge it now, and the ladder for both."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines.waf.evaluation import EvaluatedRule, Evaluation, Match
from guardpanel.errors import Conflict, EngineUnavailable, NotFound
from guardpanel.models import Policy, VirtualHost
from guardpanel.models.hostname import Hostname
from guardpanel.models.policies.body_reading import NOUN as BODY_READING
from guardpanel.services import policy_uses, virtual_hosts
from guardpanel.services.events import EventDetail, Events, FiredRule, scores
from guardpanel.services.fixes.blame import causes
from guardpanel.services.fixes.drafts import Draft, Ground, ground_of
from guardpanel.services.fixes.hidden import hidden
from guardpanel.services.fixes.ladder import Climb, Ladder
from guardpanel.services.fixes.policy_cures import UNREADABLE
from guardpanel.services.fixes.requests import MASKED, STANDS_IN, Request, request_of
from guardpanel.services.fixes.widths import Width
from guardpanel.services.rules import catalogue
from guardpanel.services.saving import snapshots
from guardpanel.services.saving.changes import Changes

NO_RESPONSE = "The event does not have the response. What a fix lets through of it is not tried."

NOT_YET = "Try again in a few seconds. If it was lost, this request can’t be fixed here."
"An event arrives in two lines, by HAProxy and by the WAF agent, in either order."


@dataclass(frozen=True)
class Case:
    """An event that can be fixed."""

    event: EventDetail
    request: Request
    ground: Ground
    policy: Policy
    virtual_host: VirtualHost
    hostname: str
    "One by which visitors reach it."
    others: int
    "The number of other virtual hosts that use the policy."
    is_of_response: bool = False
    "Rules about the response are what is to be fixed."

    @property
    def own_host(self) -> int | None:
        """The only virtual host to which an exclusion applies, so that others of the policy are unaffected."""
        return self.virtual_host.id if self.others else None


async def open_case(changes: Changes, events: Events, session: AsyncSession, request_id: str) -> Case:
    """Raises NotFound without such an event, Conflict with the reason if no change of a policy can fix it."""
    await session.commit()  # The search opens its own connection. Two per request could exhaust the pool.
    event = await events.pasted(request_id)
    if event is None:
        raise NotFound("Event not found.")
    line = _fixable(event)
    host = await session.get(VirtualHost, event.item.virtual_host_id) if event.item.virtual_host_id else None
    policy = await policy_uses.policy_used(session, host, event.item.policy_id) if host else None
    if host is None and event.proxy is None:
        raise Conflict(f"HAProxy’s line about this request has not arrived. {NOT_YET}")
    if host is None:
        raise Conflict("Its virtual host was deleted. There is nothing left to change.")
    if policy is None or policy.id is None or host.id is None:
        raise Conflict(f"{host.name} has no policy anymore: nothing inspects such requests.")
    others = (await virtual_hosts.page(session, policy_id=policy.id, limit=1)).total - 1
    ground = await ground_now(changes, session, policy.id, host.id)
    names = (await session.exec(select(Hostname.name).where(Hostname.virtual_host_id == host.id))).all()
    hostname = min(names, key=lambda name: name.startswith("*.")).replace("*.", "www.", 1)
    request = await asyncio.to_thread(request_of, line)
    await session.commit()  # evaluations follow: no connection waits for them
    is_of_response = scores.is_of_response(event)
    if is_of_response:
        request = replace(request, gaps=(*request.gaps, NO_RESPONSE))
    return Case(event, request, ground, policy, host, hostname, others, is_of_response)


async def ground_now(changes: Changes, session: AsyncSession, policy_id: int, virtual_host_id: int) -> Ground:
    rows = await asyncio.to_thread(snapshots.rows, await snapshots.take(session))
    return ground_of(rows, changes.renderer.facts, policy_id, virtual_host_id)


def _fixable(event: EventDetail) -> bytes:
    """The event's line by the agent. Raises Conflict if no rule is responsible."""
    causes = scores.causes(event)
    if event.agent_line is None and event.item.rules:
        raise Conflict(f"The WAF agent’s line about this request has not arrived. {NOT_YET}")
    if event.agent_line is None or not causes:
        raise Conflict("No rule caused this. Only requests on which rules fired can be fixed here.")
    return event.agent_line


async def judge(changes: Changes, case: Case, draft: Draft) -> Evaluation:
    """The verdict on its request with the draft, in blocking mode."""
    directives = await asyncio.to_thread(case.ground.directives, draft)
    return await changes.engines.agent.evaluate(directives, case.request.question())


async def climb(changes: Changes, case: Case) -> Climb:
    """With the verdict on the request as the policy is now. Raises EngineUnavailable where the agent does not evaluate: if it
    hangs, after 2 s."""
    status = await changes.engines.agent.status()
    if status.problem:
        raise EngineUnavailable(status.problem)
    rule_set = None
    with suppress(EngineUnavailable):
        rule_set = case.ground.with_own_rules(await catalogue.require(changes.engines))
    before = await judge(changes, case, Draft())
    if _is_damaged(case, before):
        case = replace(case, request=case.request.without_body())
        before = await judge(changes, case, Draft())
    return Climb(
        request=case.request,
        policy=next(row for row in case.ground.rows["policy"]),
        host_id=case.own_host,
        judge=lambda draft: judge(changes, case, draft),
        rule_set=rule_set,
        before=before,
        readings=case.ground.rows[BODY_READING.table_name],
        recorded=tuple(_missing(case, before)),
        hidden=hidden(scores.causes(case.event), case.request),
        custom=case.ground.custom_rules,
        is_of_response=case.is_of_response,
    )


def _is_damaged(case: Case, before: Evaluation) -> bool:
    """Whether the body can’t be parsed only because parts of it are masked or missing: the rules that fired then say what is
    to be fixed."""
    fired = {rule.id for rule in before.rules} - {rule.id for rule in scores.causes(case.event)}
    return bool(case.request.gaps) and not UNREADABLE.isdisjoint(fired)


async def ladder(changes: Changes, case: Case, widths: Sequence[Width] = tuple(Width)) -> Ladder:
    """Of these rungs. Raises EngineUnavailable where the agent does not evaluate."""
    climbed = await climb(changes, case)
    return climbed.ladder(await climbed.rungs(widths))


def _missing(case: Case, before: Evaluation) -> list[EvaluatedRule]:
    """Rules that fired then but not on what the event contains, or not on each field. If it contains everything, the policy has
    changed. Of an event that is about the response: those about the response."""
    if not case.request.gaps:
        return []
    level = case.event.scores.get("blocking_paranoia_level") or case.policy.blocking_paranoia_level
    again = {rule.id: {(match.variable, match.key) for match in rule.matches} for rule in causes(before, level)}
    missing = [
        _as_evaluated(rule, again.get(rule.id, set()))
        for rule in scores.causes(case.event)
        if (rule.phase in scores.RESPONSE_PHASES) == case.is_of_response and (rule.paranoia_level or 1) <= level
    ]
    return [rule for rule in missing if rule.matches or rule.id not in again]


def _as_evaluated(rule: FiredRule, known: Collection[tuple[str, str]]) -> EvaluatedRule:
    """Without fields that are known. Where a part of a field’s name is masked, any text fits in its place."""
    every = [
        Match(match.variable, match.key.replace(MASKED, STANDS_IN), match.value, match.chain) for match in rule.matches
    ]
    left = [match for match in every if (match.variable, match.key) not in known]
    if known:  # masked values are hidden.py's
        left = [match for match in left if MASKED not in match.value]
    is_chain = any(match.chain for match in every)
    return EvaluatedRule(
        id=rule.id,
        phase=rule.phase,
        paranoia_level=rule.paranoia_level,
        message=rule.message,
        data=rule.data,
        tags=rule.tags,
        matches=tuple(every if is_chain and left else left),
    )
