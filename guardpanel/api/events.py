"""Events: which requests fired rules, the details of one, and why it was blocked or passed."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from guardpanel.api.documented import also
from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.errors import NotFound
from guardpanel.events.words import Reason, Severity, Verdict
from guardpanel.field_codes import FieldCode
from guardpanel.models.refusing import refuse
from guardpanel.panel import Panel
from guardpanel.services import custom_rules
from guardpanel.services.events import EventDetail, scores
from guardpanel.services.events.grouping import key_of
from guardpanel.services.events.question import EventQuestion, filter_of
from guardpanel.services.events.scores import ScoreSum
from guardpanel.services.saving import revisions

router = APIRouter(prefix="/api/v1/events", tags=["events"], responses=also(507))

CURSOR = r"^(before|after)-[0-9]{1,19}$"


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class EventOut(Out):
    request_id: str
    time: datetime
    virtual_host_id: int | None
    virtual_host: str | None = Field(
        description="Its current name. Null if it was deleted, or if no virtual host matched."
    )
    policy_id: int | None
    policy: str | None
    application: str
    revision: int | None = Field(description="Number of the revision that handled the request.")
    client: str
    method: str
    host: str = Field(description="As the visitor requested it.")
    path: str = Field(description="Without the query.")
    verdict: Verdict
    status: int | None
    score: int = Field(description="The inbound anomaly score.")
    severity: Severity | None
    rules: list[int]
    reason: Reason | None = Field(description="Why HAProxy did not deliver it.")
    message: str = Field(description="Of the rule with the highest severity.")


class EventPage(Out):
    items: list[EventOut]
    count: int = Field(description="Number of matches, before paging.")
    count_is_exact: bool = Field(description="If false, `count` is a lower bound.")
    next_cursor: str | None = Field(description="Of the next, older page. Null: there is none.")
    previous_cursor: str | None = Field(description="Of newer events, also of those that arrive later.")
    stopped: str | None = Field(description="A message if the search took too long: there may be more matches.")


class MatchOut(Out):
    variable: str
    key: str
    value: str
    value_cut: bool
    chain: int = Field(description="The link of the chain that matched, from 0.")
    bytes: int = Field(description="Of the whole value.")


class FiredRuleOut(Out):
    id: int
    phase: int
    severity: Severity | None
    paranoia_level: int | None
    message: str
    data: str
    tags: list[str]
    disrupts: bool
    matches: list[MatchOut]
    matches_cut: int = Field(description="How many more there were.")


class HeaderOut(BaseModel):
    name: str
    value: str


class LoggedOut(Out):
    """What HAProxy logged of the request."""

    verdict: str
    status: int | None
    bytes: int | None
    milliseconds: int | None
    server: str
    peer: str = Field(description="Who connected: a proxy, if the client is someone else.")
    country: str
    network: str
    user: str = Field(description="Who logged in, if a login is required there.")
    client_certificate: str = Field(description="The subject of the visitor’s certificate.")
    scheme: str
    server_milliseconds: int | None
    ended: str = Field(description="Termination state, such as `PR--`.")
    waf_error: str
    waf_milliseconds: str
    partial: str = Field(
        description="`request` or `response`: only the beginning of its body was inspected. `streamed`: none of the request’s."
    )
    limit: str = Field(description="`rate`, `at_once`, `errors` or `bytes`: the limit that the client exceeded.")


class ScoreStepOut(BaseModel):
    rule: int
    points: int
    after: int = Field(description="The score after this rule.")


class ScoreOut(BaseModel):
    """How a score came about."""

    score: int
    threshold: int | None
    steps: list[ScoreStepOut]
    only_logged: list[int] = Field(description="Rules of a higher paranoia level, which added nothing.")
    adds_up: bool = Field(description="If false, points are those by severity, and the score was another one.")

    @classmethod
    def of(cls, total: ScoreSum | None) -> "ScoreOut | None":
        if total is None:
            return None
        steps = [ScoreStepOut(rule=step.rule.id, points=step.points, after=step.after) for step in total.steps]
        return cls(
            score=total.score, threshold=total.threshold, steps=steps,
            only_logged=[rule.id for rule in total.quiet], adds_up=total.adds_up,
        )  # fmt: skip


class RequestOut(Out):
    """The request, with sensitive values masked."""

    uri: str = Field(description="Including the query, if the WAF inspected the request.")
    uri_cut: bool
    version: str
    headers_cut: bool
    body: str
    body_bytes: int = Field(description="Of the whole body.")
    body_cut: bool
    body_unread: bool = Field(description="Whether no rule inspected it, because of its content type.")


class WholeRequestOut(RequestOut):
    headers: list[HeaderOut]


class EventDetailOut(EventOut):
    group: str | None = Field(description="Key of its event group.")
    change_id: int | None = Field(description="The change that made its revision live.")
    phase: str = Field(description="`request`, or `response` if the response was inspected, too.")
    action: str = Field(description="What the WAF decided.")
    deciding_rule: int | None
    crs_version: str
    client_port: int | None
    inbound: ScoreOut | None
    outbound: ScoreOut | None
    fired: list[FiredRuleOut] = Field(description="In the order in which they fired.")
    rules_cut: int = Field(description="How many more fired.")
    request: WholeRequestOut
    haproxy: LoggedOut | None


class EventFilters(EventQuestion):
    """The filters of the page."""

    @field_validator("*", mode="before")
    @classmethod
    def is_not_empty(cls, value: Any) -> Any:
        if value == "":
            raise refuse("Enter a value, or omit this.", FieldCode.REQUIRED)
        return value


class EventQuery(EventFilters):
    cursor: str | None = Field(default=None, pattern=CURSOR)
    per_page: int = Field(default=50, ge=1, le=500)


@router.get("", name="list_events")
async def list_events(
    panel: PanelDep, session: SessionDep, _user: Viewer, query: Annotated[EventQuery, Query()]
) -> EventPage:
    """Newest first: requests that fired a rule, or that HAProxy rejected or could not deliver. `time` defaults to `24h`."""
    question = await filter_of(session, query, datetime.now(UTC))
    await session.commit()  # The search opens its own connection. Two per request could exhaust the pool.
    return EventPage.model_validate(await panel.events.page(question, cursor=query.cursor, limit=query.per_page))


@router.get("/{request_id}", name="read_event")
async def read_event(request_id: str, panel: PanelDep, session: SessionDep, _user: Viewer) -> EventDetailOut:
    event = await event_of(panel, session, request_id)
    item = event.item
    own = await custom_rules.points_in(session, item.policy_id)
    return EventDetailOut(
        **EventOut.model_validate(item).model_dump(),
        **{name: getattr(event, name) for name in SAME},
        group=key_of(event) or None,
        change_id=await revisions.change_of(session, item.revision) if item.revision else None,
        inbound=ScoreOut.of(scores.inbound(event, own)),
        outbound=ScoreOut.of(scores.outbound(event)),
        fired=[FiredRuleOut.model_validate(rule) for rule in event.rules],
        request=WholeRequestOut(
            **RequestOut.model_validate(event).model_dump(),
            headers=[HeaderOut(name=name, value=value) for name, value in event.headers],
        ),
        haproxy=LoggedOut.model_validate(event.proxy) if event.proxy else None,
    )


SAME = ("phase", "action", "deciding_rule", "crs_version", "client_port", "rules_cut")


@router.get("/{request_id}/lines", name="read_event_lines", response_class=PlainTextResponse)
async def read_event_lines(request_id: str, panel: PanelDep, session: SessionDep, _user: Viewer) -> PlainTextResponse:
    """The lines of the agent and HAProxy, each a JSON object, with secrets masked."""
    return PlainTextResponse((await event_of(panel, session, request_id)).lines)


async def event_of(panel: Panel, session: SessionDep, request_id: str) -> EventDetail:
    await session.commit()
    event = await panel.events.pasted(request_id)
    if event is None:
        raise NotFound("Event not found.")
    return event
