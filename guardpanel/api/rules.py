"""Rules of the agent's rule set, as the pages show them."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from guardpanel.api.documented import also
from guardpanel.api.paging import Paged, Paging
from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.engines import Link, Rule, RuleRole
from guardpanel.errors import NotFound
from guardpanel.services import policies, rule_exclusions, rule_overrides
from guardpanel.services.input import validated
from guardpanel.services.rules import catalogue
from guardpanel.services.rules.families import family
from guardpanel.services.rules.policy_states import state_of
from guardpanel.services.rules.question import RuleQuestion, search
from guardpanel.services.rules.sentences import explain
from guardpanel.services.rules.states import StateKind, states

router = APIRouter(prefix="/api/v1/rules", tags=["rules"])

SORTS = "^-?(id|message|level|points)$"


class RuleOut(BaseModel):
    id: int
    message: str
    role: RuleRole = Field(description="`detect`: adds points or stops a request itself. The others only steer.")
    family: int = Field(description="First 3 digits of the id.")
    family_name: str
    paranoia_level: int | None = Field(description="Null: on at every level.")
    severity: str | None
    phase: int
    points: int = Field(description="That each value that matches adds to the score.")
    is_outbound: bool = Field(description="The points count for the response’s score.")
    tags: list[str]


class LinkOut(BaseModel):
    operator: str = Field(description="Empty where the rule runs for every request.")
    argument: str
    negated: bool
    targets: list[str] = Field(description="As in SecLang; exceptions begin with `!`.")
    transformations: list[str]
    sentence: str = Field(description="The link in plain words.")
    phrases: list[str] = Field(description="Of the list that `pmFromFile` names, in lower case. At most 2,000.")
    phrase_count: int = Field(description="How many phrases the list has.")


class PolicyStateOut(BaseModel):
    policy_id: int
    policy: str
    state: StateKind
    reason: str


class RuleHostOut(BaseModel):
    vhost_id: int | None
    vhost: str | None
    last_24_hours: int
    last_7_days: int


class RuleWholeOut(RuleOut):
    what: str = Field(description="What the family detects.")
    false_positive: str = Field(description="What a false positive of the family looks like.")
    lost: str = Field(description="What is lost without the family.")
    links: list[LinkOut] = Field(description="All must match.")
    file: str
    line: int
    seclang: str
    crs_version: str
    coraza_version: str
    policies: list[PolicyStateOut]
    last_24_hours: int = Field(description="Events in which it fired.")
    last_7_days: int
    counts_are_exact: bool = Field(description="False: only the newest 20,000 events are counted.")
    vhosts: list[RuleHostOut]


class RulePage(Paged):
    items: list[RuleOut]
    crs_version: str
    coraza_version: str


class RuleQuery(Paging):
    per_page: int = Field(default=50, ge=1, le=1_000)
    q: str = Field(default="", max_length=200, description="A rule id, its beginning, or words.")
    kind: str = Field(
        default="", max_length=20, description="`detect`, `steer` or `all`. Unless `q` is a number: `detect`."
    )
    family: str = Field(default="", max_length=20, description="First 3 digits of the id.")
    paranoia_level: str = Field(default="", max_length=20)
    severity: str = Field(default="", max_length=20)
    phase: str = Field(default="", max_length=20)
    tag: str = Field(default="", max_length=200)
    policy: str = Field(default="", max_length=20, description="ID of the policy of `state`.")
    state: str = Field(
        default="", max_length=20, description="What that policy does with the rule: `scores`, `detects` or `off`."
    )
    sort: str = Field(
        default="id", pattern=SORTS, description="`id`, `message`, `level` or `points`; `-` before it: descending."
    )


@router.get("", responses=also(503))
async def list_rules(
    panel: PanelDep, session: SessionDep, _user: Viewer, query: Annotated[RuleQuery, Query()]
) -> RulePage:
    """The rules that the WAF agent has loaded, before any policy changes them."""
    question = validated(RuleQuestion, query.model_dump(exclude={*Paging.model_fields, "sort"}))
    state = await state_of(session, question)
    await session.commit()
    rules = await catalogue.require(panel.engines)
    sort, descending = query.sort.removeprefix("-"), query.sort.startswith("-")
    page = search(rules, question, state, sort=sort, descending=descending, **query.portion)
    return RulePage(
        items=[RuleOut(**out(rule)) for rule in page.items], **query.counts(page),
        crs_version=rules.crs_version, coraza_version=rules.coraza_version,
    )  # fmt: skip


@router.get("/{rule_id}", responses=also(503, 507))
async def read_rule(rule_id: int, panel: PanelDep, session: SessionDep, _user: Viewer) -> RuleWholeOut:
    """One rule: in plain language, its SecLang, what each policy does with it, and how often it fired."""
    rows = await policies.all_of_them(session)
    await session.commit()
    rules = await catalogue.require(panel.engines)
    rule = rules.rules.get(rule_id)
    if rule is None:
        raise NotFound("Rule not found.")
    exclusions = await rule_exclusions.of_rule(session, rule)
    overrides = await rule_overrides.of_rule(session, rule)
    await session.commit()
    fired = await panel.events.fired(rule_id, datetime.now(UTC))
    words = family(rule.family)
    return RuleWholeOut(
        **out(rule), what=words.what, false_positive=words.false_positive, lost=words.lost, links=links(rule),
        file=rule.file, line=rule.line, seclang=rule.seclang, crs_version=rules.crs_version, coraza_version=rules.coraza_version,
        policies=[
            PolicyStateOut(policy_id=state.policy_id, policy=state.policy, state=state.kind, reason=state.reason)
            for state in states(rule, rows, exclusions, overrides)
        ],
        last_24_hours=fired.day, last_7_days=fired.week, counts_are_exact=fired.is_exact,
        vhosts=[
            RuleHostOut(vhost_id=host.virtual_host_id, vhost=host.virtual_host, last_24_hours=host.day, last_7_days=host.week)
            for host in fired.hosts
        ],
    )  # fmt: skip


def out(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id, "message": rule.message, "role": rule.role, "family": rule.family, "phase": rule.phase,
        "family_name": family(rule.family).name, "paranoia_level": rule.paranoia_level, "points": rule.points,
        "severity": None if rule.severity == "unknown" else rule.severity, "is_outbound": rule.is_outbound,
        "tags": list(rule.tags),
    }  # fmt: skip


def links(rule: Rule) -> list[LinkOut]:
    return [_link(link, words.sentence) for link, words in zip(rule.links, explain(rule), strict=True)]


def _link(link: Link, sentence: str) -> LinkOut:
    return LinkOut(
        operator=link.operator, argument=link.argument, negated=link.negated, targets=list(link.targets),
        transformations=list(link.transformations), sentence=sentence, phrases=list(link.phrases),
        phrase_count=link.phrase_count,
    )  # fmt: skip
