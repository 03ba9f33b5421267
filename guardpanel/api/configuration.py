"""The configuration as a file, over HTTP: exported, planned, applied."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from guardpanel.api.parameters import SentBody
from guardpanel.api.saves import DeploymentOut, SaveRequestDep
from guardpanel.connected import while_connected
from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.errors import NothingNew
from guardpanel.panel import Panel
from guardpanel.services.history.unified import unified
from guardpanel.services.saving.change import SaveRequest
from guardpanel.services.site_file import exporting, plans
from guardpanel.services.site_file.applying import Options, Step
from guardpanel.services.site_file.plans import Plan
from guardpanel.services.trials import replays
from guardpanel.services.trials.replays import MOST_EVENTS, MOST_LISTED, MOST_RECORDED, SECONDS, NewVerdict, Replay

YAML = "application/yaml"

FILE: dict[str, Any] = {"requestBody": {"required": True, "content": {YAML: {"schema": {"type": "string"}}}}}

MOST_OVERWRITTEN = 50

DOCUMENT = {"type": "object", "properties": {"format": {"type": "integer"}}, "required": ["format"]}
"What the YAML of an export holds, beside the lists of all nouns."

router = APIRouter(prefix="/api/v1/configuration", tags=["configuration"])


class ChangedRow(BaseModel):
    noun: str = Field(description="`virtual_host`, `policy`, …")
    kind: Literal["added", "changed", "removed"]
    summary: str = Field(description="In the words of the list of changes.")


class NewVerdictOut(BaseModel):
    at: datetime
    host: str
    method: str
    uri: str = Field(description="Of a recorded request, with other values of the same shape. Of an event, its path.")
    request_id: str | None = Field(description="Null: a recorded ordinary request.")
    before: str = Field(description="`passed`, `detected`, `blocked` or `not inspected`.")
    after: str
    rules: list[int] = Field(description="Rules that fire after applying the file or, if it then passes, before.")

    @classmethod
    def of(cls, new: NewVerdict) -> "NewVerdictOut":
        request = new.request
        return cls(
            at=request.at,
            host=request.host,
            method=request.method,
            uri=request.uri,
            request_id=request.event_id or None,
            before=new.before,
            after=new.after,
            rules=list(new.rules),
        )


class ReplayOut(BaseModel):
    message: str
    recorded: int = Field(description=f"Recorded ordinary requests that were tried, {MOST_RECORDED:,} at most.")
    events: int = Field(description=f"Events that were tried, about {MOST_EVENTS} at most.")
    unfaithful: int = Field(description="Of both, those that the current rules judge otherwise than the real request.")
    changed: int = Field(description="How many would get another verdict.")
    requests: list[NewVerdictOut] = Field(description=f"The first {MOST_LISTED} of them.")

    @classmethod
    def of(cls, replay: Replay) -> "ReplayOut":
        return cls(
            message=replay.sentence,
            recorded=replay.recorded,
            events=replay.events,
            unfaithful=replay.unfaithful,
            changed=len(replay.new_verdicts),
            requests=[NewVerdictOut.of(each) for each in replay.new_verdicts[:MOST_LISTED]],
        )


class OverwrittenOut(BaseModel):
    change_id: int
    revision: int | None
    author: str
    summary: str
    at: datetime


class PlanOut(BaseModel):
    message: str
    changes: list[ChangedRow] = Field(description="Empty: applying the file would change nothing.")
    haproxy: str = Field(description="What differs in HAProxy’s files, as a unified diff. Up to 1,000 lines.")
    agent: str = Field(description="What differs in the WAF agent’s configuration.")
    overwritten: list[OverwrittenOut] = Field(
        description="What was saved otherwise since a file of this `name` was applied, and would be lost. Newest first, "
        f"{MOST_OVERWRITTEN} at most."
    )
    overwritten_total: int
    replay: ReplayOut | None = Field(description="Null: not asked for, or nothing would change.")


class AppliedOut(BaseModel):
    changes: list[ChangedRow]
    deployment: DeploymentOut | None = Field(description="Null: there was nothing to change.")


class Applying(BaseModel):
    prune: bool = Field(default=False, description="Delete rows that the file does not name.")
    save_anyway: bool = Field(default=False, description="Accept what the warnings say.")
    name: str = Field(
        default="a file", max_length=100, pattern=r"^[\w .@/+-]*$", description="Of the file, for the list of changes."
    )

    @property
    def options(self) -> Options:
        return Options(prune=self.prune, save_anyway=self.save_anyway)


class Planning(Applying):
    replay: bool = Field(
        default=False,
        description=f"Judge recorded requests and events by the planned WAF rules, too. Takes {SECONDS:.0f} s at most.",
    )


@router.get(
    "",
    name="export_configuration",
    response_class=Response,
    responses={200: {"content": {YAML: {"schema": DOCUMENT}}}},
)
async def export_configuration(session: SessionDep, _user: Viewer) -> Response:
    """All rows by name as YAML, without secrets. Equal configurations give equal bytes."""
    return Response(await exporting.export(session), media_type=YAML)


@router.post("/plan", name="plan_configuration", openapi_extra=FILE)
async def plan_configuration(
    request: Request,
    panel: PanelDep,
    save_request: SaveRequestDep,
    body: SentBody,
    query: Annotated[Planning, Query()],
) -> PlanOut:
    """What applying a file would change, checked by both engines. Changes nothing. 422 names each line that is wrong.

    Ends when the client disconnects."""
    return await while_connected(request, _planned(panel, save_request, body, query))


@router.post("/apply", name="apply_configuration", openapi_extra=FILE)
async def apply_configuration(
    request: Request,
    panel: PanelDep,
    save_request: SaveRequestDep,
    body: SentBody,
    query: Annotated[Applying, Query()],
) -> AppliedOut:
    """Make a file live: all of it as one change, or nothing. Once the file is read, it is also carried out if the client
    disconnects."""
    document = await while_connected(request, plans.document_in(body))
    try:
        saved = await plans.apply(panel.changes, save_request, document, query.options, query.name)
    except NothingNew:
        return AppliedOut(changes=[], deployment=None)
    return AppliedOut(changes=_rows_out(saved.value), deployment=DeploymentOut.of(saved))


async def _planned(panel: Panel, save_request: SaveRequest, body: bytes, query: Planning) -> PlanOut:
    document = await plans.document_in(body)
    plan = await plans.plan(panel.changes, save_request, document, query.options, query.name)
    replay = query.replay and plan.steps and await replays.replay(panel.changes, panel.events, plan.before, plan.after)
    return _plan_out(plan, replay or None)


def _plan_out(plan: Plan, replay: Replay | None) -> PlanOut:
    files = plan.comparison
    return PlanOut(
        message=plan.sentence,
        changes=_rows_out(plan.steps),
        haproxy=unified(files.haproxy) if files else "",
        agent=unified(files.agent) if files else "",
        overwritten=[OverwrittenOut(**asdict(each)) for each in plan.overwritten[:MOST_OVERWRITTEN]],
        overwritten_total=len(plan.overwritten),
        replay=ReplayOut.of(replay) if replay else None,
    )


def _rows_out(steps: tuple[Step, ...]) -> list[ChangedRow]:
    return [ChangedRow(noun=step.noun, kind=step.kind, summary=step.change.summary) for step in steps]
