"""Events in the React panel's shape with numbered pages, plus additional keys."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, model_validator

from guardpanel.api.documented import also
from guardpanel.api.saves import speaking
from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.events.texts import legible
from guardpanel.events.words import VERDICT_TABLE, Kind, Outcome, Reason, Severity, Verdict
from guardpanel.services.events import EventDetail, EventFilter, EventItem
from guardpanel.services.events.conditions import REQUEST_ID
from guardpanel.services.events.question import EventQuestion, filter_of
from guardpanel.services.input import validated

router = APIRouter(prefix="/api/v1/logs", tags=["logs"], responses=also(507))

Action = Literal["allow", "deny", "monitor"]
Level = Literal["info", "warning", "error", "critical"]

ACTIONS: dict[Outcome, Action] = {Outcome.DENIED: "deny", Outcome.WATCHED: "monitor", Outcome.PASSED: "allow"}
"The React panel's names for what happened to a request."

WAF_REFUSALS = frozenset({
    Verdict.BLOCKED, Verdict.TOO_LARGE, Verdict.TOO_SLOW, Verdict.TRAILERS, Verdict.NO_LENGTH, Verdict.AGENT_ERROR,
})  # fmt: skip
"What the React panel counts as blocked: its log is the WAF's, which has no unknown hosts and no limits of HAProxy."

LEVELS: dict[Severity | None, Level] = {
    Severity.EMERGENCY: "critical", Severity.ALERT: "critical", Severity.CRITICAL: "critical", Severity.ERROR: "error",
    Severity.WARNING: "warning", Severity.NOTICE: "info", Severity.INFO: "info", Severity.DEBUG: "info", None: "info",
}  # fmt: skip
"The React panel's names for the severity of the worst rule. It shows an empty badge for none."

NAMES = {"client": "source_ip", "rule": "rule_id", "policy": "policy_id", "since": "date_from", "until": "date_to"}
"Our fields by the React panel's names."

A_TIME: dict[str, Any] = {"anyOf": [{"format": "date-time"}, {"maxLength": 0}]}
"Or empty: no limit."

MOST_WITH_CONTEXT = 50
"Events per page up to which each includes all its details: one may have 64 KiB."


class LogOut(BaseModel):
    id: int = Field(description="Microseconds since 1970. Not unique: `producer_event_id` identifies an event.")
    producer_event_id: str = Field(description="The request ID.")
    event_at: datetime
    vhost: str = Field(description="The Host header that the visitor sent.")
    vhost_id: int | None
    action: Action
    verdict: Verdict
    reason: Reason | None = Field(description="Why HAProxy did not deliver it.")
    source_ip: str
    method: str
    request_uri: str = Field(description="Includes the query if `raw_context` is set.")
    status_code: int | None
    rule_id: int | None = Field(description="The rule with the highest severity.")
    rule_message: str | None
    rules: list[int]
    anomaly_score: int
    paranoia_level: int | None = Field(description="Of that rule, if `raw_context` is set.")
    severity: Level = Field(description="Of that rule. `info` also if no rule with a severity fired.")
    message: None = None
    policy_id: int | None
    policy_name: str | None
    application: str
    revision: int | None = Field(description="Number of the revision that handled the request.")
    raw_context: dict[str, Any] | None = Field(
        description=f"`agent` and `haproxy`: their lines, with secrets masked. Null if more than {MOST_WITH_CONTEXT} "
        "events are requested at once."
    )


class LogPage(BaseModel):
    items: list[LogOut]
    total: int = Field(description="Number of matches, before paging.")
    total_is_exact: bool = Field(description="If false, `total` is a lower bound.")
    page: int
    page_size: int
    per_page: int = Field(description="The same, as other lists call it.")


class LogFilters(BaseModel):
    """The filters, by the React panel's names."""

    vhost: str = Field(default="", max_length=300, description="Exact host.")
    vhost_id: int | None = Field(default=None, ge=1, le=2**53)
    action: Action | None = Field(
        default=None,
        description="`deny`: rejected by the WAF or by what the policy says of bodies, not by HAProxy (see `verdict`).",
    )
    kind: Literal["security", "delivery", "all"] | None = Field(
        default=None,
        description="`delivery`: requests that HAProxy could not deliver. Defaults to `security`, everything else, unless "
        "`verdict`, `reason` or a request ID (`q`) is given.",
    )
    verdict: Verdict | None = None
    reason: Reason | None = Field(default=None, description="Why HAProxy did not deliver it.")
    policy_id: int | None = Field(default=None, ge=1, le=2**53)
    severity: Level | None = None
    method: str = Field(default="", max_length=64)
    source_ip: str = Field(
        default="", max_length=100, description="IP address or CIDR range, for example 203.0.113.0/24."
    )
    path: str = Field(default="", max_length=500, description="A prefix if it starts with `/`, else any part.")
    rule_id: int | None = Field(default=None, ge=1, le=999_999_999)
    min_score: int | None = Field(default=None, ge=0, le=99_999)
    date_from: str = Field(default="", max_length=100, json_schema_extra=A_TIME)
    date_to: str = Field(default="", max_length=100, json_schema_extra=A_TIME, description="Before this time.")
    q: str = Field(default="", max_length=500, description="A request ID, rule, client IP, or part of a path or host.")


class LogQuery(LogFilters):
    page: int = Field(default=1, ge=1, le=10_000)
    page_size: int = Field(default=50, ge=1, le=500)
    per_page: int | None = Field(
        default=None,
        ge=1,
        le=500,
        description="As `page_size`: the word of all other lists. If both are given, this counts.",
    )

    @model_validator(mode="after")
    def has_one_size(self) -> Self:
        self.page_size = self.per_page or self.page_size
        return self


@router.get("")
async def list_logs(
    panel: PanelDep, session: SessionDep, _user: Viewer, query: Annotated[LogQuery, Query()]
) -> LogPage:
    """Events, newest first: requests that fired a rule, and those that HAProxy itself rejected or passed uninspected."""
    with speaking(NAMES):
        filters = await filter_of(session, validated(EventQuestion, question_of(query)), datetime.now(UTC))
    await session.commit()  # The search opens its own connection. Two per request could exhaust the pool.
    filters = with_sets(filters, query)
    offset = (query.page - 1) * query.page_size
    page = await panel.events.numbered(filters, offset=offset, limit=query.page_size)
    with_context = [item.request_id for item in page.items] if query.page_size <= MOST_WITH_CONTEXT else []
    details = await panel.events.several(with_context) if with_context else {}
    items = await asyncio.to_thread(lambda: [out(item, details.get(item.request_id)) for item in page.items])
    return LogPage(
        items=items,
        total=page.total,
        total_is_exact=page.total_is_exact,
        page=query.page,
        page_size=query.page_size,
        per_page=query.page_size,
    )


def question_of(query: LogFilters) -> dict[str, object]:
    """The keys of `EventQuestion`."""
    return {
        "virtual_host": str(query.vhost_id) if query.vhost_id else None, "policy": query.policy_id, "verdict": query.verdict,
        "kind": kind_of(query), "reason": query.reason,
        "rule": query.rule_id, "client": query.source_ip, "path": query.path, "method": query.method, "time": "all",
        "since": query.date_from, "until": query.date_to, "min_score": query.min_score, "q": query.q,
    }  # fmt: skip


def kind_of(query: LogFilters) -> Kind | None:
    """The React panel does not name it and gets what it always got."""
    if query.kind is not None:
        return None if query.kind == "all" else Kind(query.kind)
    is_one_of_all = query.verdict or query.reason or REQUEST_ID.fullmatch(query.q.strip())
    return None if is_one_of_all else Kind.SECURITY


def with_sets(filters: EventFilter, query: LogFilters) -> EventFilter:
    """With the values that the React panel's coarser names stand for."""
    verdicts = tuple(
        verdict
        for verdict, words in VERDICT_TABLE.items()
        if ACTIONS[words.outcome] == query.action and (query.action != "deny" or verdict in WAF_REFUSALS)
    )
    severities = tuple(severity for severity, level in LEVELS.items() if level == query.severity)
    return replace(filters, verdicts=verdicts, severities=severities, host=query.vhost)


def out(item: EventItem, detail: EventDetail | None) -> LogOut:
    worst = next((rule for rule in detail.rules if rule.id == item.rules[0]), None) if detail and item.rules else None
    return LogOut(
        id=int(item.time.timestamp() * 1_000_000),
        producer_event_id=item.request_id,
        event_at=item.time,
        vhost=item.host,
        vhost_id=item.virtual_host_id,
        action=ACTIONS[VERDICT_TABLE[item.verdict].outcome],
        verdict=item.verdict,
        reason=item.reason,
        source_ip=item.client,
        method=item.method,
        request_uri=detail.uri if detail else item.path,
        status_code=item.status,
        rule_id=item.rules[0] if item.rules else None,
        rule_message=item.message or None,
        rules=list(item.rules),
        anomaly_score=item.score,
        paranoia_level=worst.paranoia_level if worst else None,
        severity=LEVELS[item.severity],
        policy_id=item.policy_id,
        policy_name=item.policy,
        application=item.application,
        revision=item.revision,
        raw_context=context(detail) if detail else None,
    )


def context(detail: EventDetail) -> dict[str, Any]:
    """Both lines. Bytes that are not text appear as escapes, as everywhere."""
    lines = {"agent": detail.agent_line, "haproxy": detail.proxy_line}
    return {name: readable(json.loads(line)) for name, line in lines.items() if line}


def readable(value: Any) -> Any:
    match value:
        case str():
            return legible(value, "\n\r\t")
        case list():
            return [readable(item) for item in value]
        case dict():
            return {legible(name): readable(item) for name, item in value.items()}
    return value
