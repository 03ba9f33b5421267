"""The ledger's entries, filtered and sorted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Unpack

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines import Engines, Rule, RuleSet
from guardpanel.models import NOUNS, CustomRule, Policy, RuleExclusion, RuleOverride, VirtualHost
from guardpanel.models.meta import Choice
from guardpanel.models.rules.rule_override import RuleAction
from guardpanel.services import rule_exclusions
from guardpanel.services.events import Events
from guardpanel.services.events.uses import Uses
from guardpanel.services.ledger import flags
from guardpanel.services.ledger.flags import Flag, FlagKind, Known
from guardpanel.services.ledger.watching import watched
from guardpanel.services.paging import Key, Page, Portion, cut
from guardpanel.services.profiles.plans import Source
from guardpanel.services.rules import catalogue
from guardpanel.services.rules.exclusion_words import reach
from guardpanel.services.rules.own_rules import as_rule, meant


class EntryKind(Choice):
    EXCLUSION = "rule_exclusion", "Rule exclusion"
    OVERRIDE = "rule_override", "Rule override"


@dataclass(frozen=True)
class Entry:
    """An exclusion or an override, with its flags."""

    kind: EntryKind
    id: int
    name: str
    rules: tuple[str, ...]
    "IDs, ranges, families and tags."
    sentence: str
    "What it does."
    policy_id: int
    policy: str
    virtual_host_id: int | None
    virtual_host: str
    "Empty: all that use the policy."
    reason: str
    source: str
    "The application profile that made it; empty: an operator."
    owner: str
    ends_on: date | None
    enabled: bool
    changed_at: datetime
    requests: int | None
    "That met its conditions in 30 days, or fired the rule that an override lets count; None: not counted."
    last_used: datetime | None
    crs_version: str
    "By which it was checked when it was saved; empty: not known."
    flags: tuple[Flag, ...]

    @property
    def url(self) -> str:
        return NOUNS[self.kind].url(self.id, self.policy_id)


@dataclass(frozen=True)
class Question:
    """Conditions that must all hold. Empty ones are ignored."""

    q: str = ""
    kind: EntryKind | None = None
    policy_id: int | None = None
    virtual_host_id: int | None = None
    flag: FlagKind | None = None

    def matches(self, entry: Entry) -> bool:
        text = self.q.strip().lower()
        return (
            self.kind in {None, entry.kind}
            and self.policy_id in {None, entry.policy_id}
            and self.virtual_host_id in {None, entry.virtual_host_id}
            and (self.flag is None or self.flag in {flag.kind for flag in entry.flags})
            and (
                not text
                or any(text in words.lower() for words in (entry.name, entry.reason, entry.source, entry.owner))
            )
        )


SORTS: Mapping[str, Callable[[Entry], Key]] = {
    "policy": lambda entry: (entry.policy.lower(), entry.kind.value, entry.name.lower(), entry.id),
    "name": lambda entry: (entry.name.lower(), entry.id),
    "owner": lambda entry: (entry.owner.lower(), entry.name.lower(), entry.id),
    "ends": lambda entry: ((entry.ends_on or date.max).toordinal(), entry.name.lower(), entry.id),
    "uses": lambda entry: (-1 if entry.requests is None else entry.requests, entry.name.lower(), entry.id),
    "last_used": lambda entry: (entry.last_used.timestamp() if entry.last_used else 0.0, entry.name.lower(), entry.id),
    "changed": lambda entry: (entry.changed_at.timestamp(), entry.id),
}


@dataclass(frozen=True)
class Ledger:
    page: Page[Entry]
    policies: Mapping[int, str]
    "By ID, for a filter."
    crs_version: str
    "Empty: unknown, and nothing is called redundant."


async def load(
    session: AsyncSession,
    engines: Engines,
    events: Events,
    question: Question,
    *,
    sort: str = "policy",
    descending: bool = False,
    **portion: Unpack[Portion],
) -> Ledger:
    """Reads the rows first. The agent and the events are queried without holding the database."""
    rows = await _read(session)
    await session.commit()
    rule_set = (await catalogue.load(engines)).rule_set
    now = datetime.now(UTC)
    known = _known(rows, rule_set, await events.uses(now))
    wanted = [watched(row, known.rules_of(row)) for row in rows.exclusions if row.enabled]
    counting = [
        (row.id or 0, rule, row.policy_id or 0)
        for row in rows.overrides
        if row.action is RuleAction.ENABLE
        for rule in known.rules[row.rule]
    ]
    known = replace(
        known, attacks=await events.on_excluded(wanted, now), counting=await events.uses_of_rules(counting, now)
    )
    entries = [entry for entry in _entries(rows, known) if question.matches(entry)]
    key = SORTS.get(sort, SORTS["policy"])
    entries.sort(key=key, reverse=descending)
    return Ledger(
        cut(entries, key, descending=descending, **portion),
        {number: policy.name for number, policy in rows.policies.items()},
        rule_set.crs_version if rule_set else "",
    )


@dataclass(frozen=True)
class _Rows:
    policies: Mapping[int, Policy]
    hosts: Mapping[int, str]
    exclusions: Sequence[RuleExclusion]
    overrides: Sequence[RuleOverride]
    custom: Mapping[int, Mapping[int, Rule]]
    disabled: Mapping[int, set[int]]


async def _read(session: AsyncSession) -> _Rows:
    policies = (await session.exec(select(Policy))).all()
    hosts = (await session.exec(select(VirtualHost.id, VirtualHost.name))).all()
    exclusions = (await session.exec(select(RuleExclusion).order_by(RuleExclusion.id))).all()  # type: ignore[arg-type]
    own = meant((await session.exec(select(CustomRule))).all(), exclusions)
    return _Rows(
        {policy.id or 0: policy for policy in policies},
        {number or 0: name for number, name in hosts},
        exclusions,
        (await session.exec(select(RuleOverride).order_by(RuleOverride.id))).all(),  # type: ignore[arg-type]
        {number: {row.rule_id: as_rule(row) for row in rules} for number, rules in own.items()},
        {number: {row.rule_id for row in rules if not row.enabled} for number, rules in own.items()},
    )


def _known(rows: _Rows, rule_set: RuleSet | None, uses: Uses) -> Known:
    """Without what events tell."""
    return Known(
        rows.policies, rows.exclusions, rows.overrides, rule_set, {}, uses, rule_exclusions.today(),
        custom=rows.custom, disabled=rows.disabled,
    )  # fmt: skip


def _entries(rows: _Rows, known: Known) -> list[Entry]:
    return [
        *(_exclusion(row, rows, known) for row in rows.exclusions),
        *(_override(row, rows, known) for row in rows.overrides),
    ]


def _exclusion(row: RuleExclusion, rows: _Rows, known: Known) -> Entry:
    host, use = rows.hosts.get(row.virtual_host_id or 0, ""), known.uses.of(row.id or 0)
    return Entry(
        EntryKind.EXCLUSION,
        row.id or 0,
        row.name,
        tuple(row.rules),
        reach(row, host),
        row.policy_id or 0,
        rows.policies[row.policy_id or 0].name,
        row.virtual_host_id,
        host,
        row.reason,
        source.name if (source := Source.parse(row.source)) else "",
        row.owner,
        row.ends_on,
        row.enabled,
        row.updated_at,
        use.requests if known.uses.since else None,
        use.last,
        row.crs_version,
        tuple(flags.of_exclusion(row, known)),
    )


def _override(row: RuleOverride, rows: _Rows, known: Known) -> Entry:
    use = known.counting.get(row.id or 0)
    return Entry(
        EntryKind.OVERRIDE,
        row.id or 0,
        row.name,
        (row.rule,),
        f"{row.action.word}. {row.action.hint}",
        row.policy_id or 0,
        rows.policies[row.policy_id or 0].name,
        None,
        "",
        row.reason,
        "",
        row.owner,
        None,
        True,
        row.updated_at,
        use.requests if use else None,
        use.last if use else None,
        "",
        tuple(flags.of_override(row, known)),
    )
