"""Requests evaluated under a policy, and test requests to a virtual host."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from guardpanel.api import custom_rules, policies
from guardpanel.api.documented import also
from guardpanel.api.saves import Body
from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer
from guardpanel.errors import Invalid, Problem
from guardpanel.services import policies as saved_policies
from guardpanel.services import policy_uses, virtual_hosts
from guardpanel.services.trials import trials
from guardpanel.services.trials.trial_points import points_in_trial
from guardpanel.services.trials.trial_requests import try_policy, try_rule

router = APIRouter(prefix="/api/v1")

PolicyDraft: Any = policies.ROWS.shapes.body
RuleDraft: Any = custom_rules.ROWS.shapes.body


class EvaluatedRequestIn(Body):
    request: str = Field(description="A raw HTTP request, or a curl command. Up to 1,000,000 characters.")
    policy: PolicyDraft | None = Field(default=None, description="Keys that replace the policy’s own.")
    custom_rule: RuleDraft | None = Field(
        default=None, description="Another custom rule, or one in place of the policy’s rule with this ID."
    )


class EvaluatedMatchOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    variable: str
    key: str
    value: str
    chain: int = Field(description="The link of the rule’s chain that matched, from 0.")


class EvaluatedRuleOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    phase: int
    paranoia_level: int | None
    message: str
    data: str
    points: int | None = Field(default=None, description="What it added to the score. Null: not known.")
    matches: list[EvaluatedMatchOut]


class EvaluationOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    verdict: str = Field(description="`pass`, `detected`, or `blocked`: as if the policy’s mode were *Block*.")
    status: int = Field(description="Of the response to a blocked request, else 0.")
    rule: int = Field(description="The rule that blocked it, else 0.")
    score: int
    threshold: int
    rules: list[EvaluatedRuleOut]


class TestRequestIn(Body):
    kind: Literal["clean", "attack"] = "clean"


class ReportedRuleOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    message: str


class TestRequestOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    kind: Literal["clean", "attack"]
    ok: bool = Field(description="Whether the outcome is what the policy prescribes.")
    sentence: str
    request_line: str
    status: int | None = Field(description="Null: no response.")
    milliseconds: int
    server: str = Field(description="That responded. Empty: none.")
    score: int | None
    threshold: int | None
    rules: list[ReportedRuleOut]
    request_id: str
    at: datetime


@router.post("/policies/{policy_id}/evaluation", name="evaluate_request", tags=["policies"], responses=also(503))
async def evaluate_request(
    policy_id: RowId, body: EvaluatedRequestIn, panel: PanelDep, session: SessionDep, _user: Editor
) -> EvaluationOut:
    """Evaluate a request under the policy, as it is saved or with a draft. Saves and sends nothing."""
    row = await saved_policies.find(session, policy_id)
    if body.policy and body.custom_rule:
        raise Invalid.at("custom_rule", "Send policy or custom_rule, not both.")
    policy = await drafted("policy", policies.ROWS.fields(session, row, body.policy)) if body.policy else None
    rule = (
        await drafted("custom_rule", custom_rules.ROWS.fields(session, None, body.custom_rule))
        if body.custom_rule
        else None
    )
    evaluated = (
        await try_rule(panel.changes, session, policy_id, rule, body.request)
        if rule
        else await try_policy(panel.changes, session, policy_id, policy, body.request)
    )
    points = await points_in_trial(panel.engines, session, policy_id, evaluated, rule)
    out = EvaluationOut.model_validate(evaluated)
    for fired in out.rules:
        fired.points = points.get(fired.id)
    return out


@router.post("/vhosts/{virtual_host_id}/test-requests", name="send_test_request", tags=["vhosts"])
async def send_test_request(
    virtual_host_id: RowId, body: TestRequestIn, panel: PanelDep, session: SessionDep, _user: Viewer
) -> TestRequestOut:
    """Send a request through the public listener, as a visitor would. It does not count as an attack."""
    host = await virtual_hosts.find(session, virtual_host_id)
    policy, mode = await policy_uses.at_home(session, host)
    return TestRequestOut.model_validate(await trials.send(panel.changes, host, policy, trials.Kind(body.kind), mode))


async def drafted(key: str, fields: Awaitable[Any]) -> Any:
    """Errors of a draft's fields are under its key."""
    try:
        return await fields
    except Problem as problem:
        problem.errors = {f"{key}.{name}": error for name, error in problem.errors.items()}
        raise
