"""A policy beside another one, beside itself at a revision, or as its form is typed beside what is saved."""

from fastapi import APIRouter, Response

from guardpanel.dependencies import Editor, RowId, Viewer
from guardpanel.errors import NotFound, Problem
from guardpanel.models import NOUNS, Policy
from guardpanel.models.meta import label
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.services import policies, policy_comparison
from guardpanel.services.policy_comparison import PolicyComparison, Side
from guardpanel.services.saving import revisions
from guardpanel.views import diffs
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.forms import Form

router = APIRouter(prefix="/policies/{policy_id}/compare")

LONGEST = 15
"Digits of an id."


@router.get("")
async def show(policy_id: RowId, ctx: ContextDep, _viewer: Viewer, policy: str = "", revision: str = "") -> Response:
    """`policy` and `revision` say what it is compared with: what is no number asks for nothing."""
    own = await policies.find(ctx.session, policy_id)
    other = Side(_number(policy) or policy_id, _number(revision))
    comparison, problem = None, ""
    if other != Side(policy_id):
        try:
            comparison = await policy_comparison.compare(ctx.session, other, Side(policy_id))
        except NotFound as missing:
            problem = missing.message
    return await _page(ctx, own, other, comparison, problem)


@router.post("")
async def draft(policy_id: RowId, ctx: ContextDep, _editor: Editor) -> Response:
    """What saving the policy's form would change. Saves nothing."""
    own = await policies.find(ctx.session, policy_id)
    form = await Form.read(ctx.request, PolicyFields)
    comparison, problem = None, ""
    try:
        comparison = await policy_comparison.compare_draft(ctx.session, policy_id, form.fields(PolicyFields))
    except Problem as wrong:
        words = [f"{label(PolicyFields, name)}: {error.message}" for name, error in wrong.errors.items()]
        problem = next(iter(words), wrong.message)
    return await _page(ctx, own, Side(policy_id), comparison, problem)


async def _page(ctx: Context, own: Policy, other: Side, comparison: PolicyComparison | None, problem: str) -> Response:
    rows = await policies.all_of_them(ctx.session)
    context = {
        "policy": own,
        "policies": [(row.id, row.name) for row in rows],
        "revisions": await revisions.numbers(ctx.session),
        "other": other,
        "comparison": comparison,
        "problem": problem,
        "nouns": NOUNS,
        "diffs": diffs,
    }
    return await page(ctx.request, "policies/compare.html", context, block="comparison")


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST else None
