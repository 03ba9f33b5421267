"""A pasted request under a policy: as it is saved, or as its form is typed. Nothing is saved or sent."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response

from guardpanel.dependencies import Editor, RowId
from guardpanel.errors import Problem
from guardpanel.models.meta import about
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.services import policies
from guardpanel.services.rules import catalogue
from guardpanel.services.trials.trial_points import points_in_trial
from guardpanel.services.trials.trial_requests import REQUEST, try_policy
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.forms import Form

router = APIRouter(prefix="/policies/{policy_id}/test")

UNTESTED: Mapping[str, Any] = {"tried": None, "own_id": 0, "wrong": "", "points": {}, "crs_version": ""}
LABELS = {**{name: field.title for name, field in about(PolicyFields).items()}, REQUEST: "Request"}


@router.get("")
async def show(policy_id: RowId, ctx: ContextDep, _editor: Editor) -> Response:
    policy = await policies.find(ctx.session, policy_id)
    context = {"policy": policy, "form": Form({}), "is_draft": False, **UNTESTED}
    return await page(ctx.request, "policies/test.html", context)


@router.post("")
async def test(policy_id: RowId, ctx: ContextDep, _editor: Editor) -> Response:
    """With the fields of the policy's form in it, under these."""
    policy = await policies.find(ctx.session, policy_id)
    form = await Form.read(ctx.request, PolicyFields)
    is_draft = "name" in form.typed
    context = {
        "policy": policy,
        "form": form,
        "is_draft": is_draft,
        **await _verdict(ctx, policy_id, form, is_draft=is_draft),
    }
    return await page(ctx.request, "policies/test.html", context, block="verdict")


async def _verdict(ctx: Context, policy_id: int, form: Form, *, is_draft: bool) -> Mapping[str, Any]:
    try:
        fields = form.fields(PolicyFields) if is_draft else None
        tried = await try_policy(ctx.changes, ctx.session, policy_id, fields, form.value(REQUEST))
    except Problem as problem:
        words = [f"{LABELS.get(name, name)}: {error.message}" for name, error in problem.errors.items()]
        return {**UNTESTED, "wrong": next(iter(words), problem.message)}
    points = await points_in_trial(ctx.changes.engines, ctx.session, policy_id, tried)
    version = catalogue.crs_version(ctx.changes.engines)
    return {**UNTESTED, "tried": tried, "points": points, "crs_version": version}
