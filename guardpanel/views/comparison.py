"""A policy beside another one, or beside itself at a revision."""

from fastapi import APIRouter, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.errors import NotFound
from guardpanel.models import NOUNS, Policy
from guardpanel.services import policies, policy_comparison
from guardpanel.services.policy_comparison import PolicyComparison, Side
from guardpanel.services.saving import revisions
from guardpanel.views import diffs
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep

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
    return await page(ctx.request, "policies/compare.html", context)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST else None
