"""API tokens: made for scripts, shown once, and revoked."""

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from guardpanel.dependencies import Administrator, RowId
from guardpanel.errors import NotFound, Problem
from guardpanel.models.api_token import ApiTokenFields
from guardpanel.services.accounts import api_tokens
from guardpanel.views.answers import page, redirect
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.forms import Form
from guardpanel.views.refusals import refused

PLACE = "/system/tokens"
router = APIRouter(prefix=PLACE)


@router.get("")
async def index(ctx: ContextDep, _user: Administrator) -> Response:
    return await _show(ctx, _new_form())


@router.post("")
async def create(ctx: ContextDep, user: Administrator) -> Response:
    """The page shows the secret, once: no redirect could carry it without storing it somewhere."""
    form = await Form.read(ctx.request, ApiTokenFields)
    try:
        token, secret = await ctx.panel.accounts.api_tokens.create(form.fields(ApiTokenFields), user.email)
    except Problem as problem:
        return await _show(ctx, form, problem)
    return await _show(ctx, _new_form(), new=(token.name, secret))


@router.post("/{token_id}/revoke")
async def revoke(ctx: ContextDep, token_id: RowId, _user: Administrator) -> Response:
    try:
        token = await ctx.panel.accounts.api_tokens.revoke(token_id)
    except NotFound as problem:
        return redirect(PLACE, problem.message, failed=True)
    return redirect(PLACE, f"Revoked the token {token.name}")


def _new_form() -> Form:
    return Form.of(ApiTokenFields.model_construct(None), ApiTokenFields)


async def _show(
    ctx: Context, form: Form, problem: Problem | None = None, new: tuple[str, str] | None = None
) -> Response:
    context = {
        "form": form if problem is None else form.refused(problem),
        "refusal": await refused(ctx.session, problem, ApiTokenFields),
        "tokens": await api_tokens.all_tokens(ctx.session), "new": new, "now": datetime.now(UTC),
    }  # fmt: skip
    answer = await page(ctx.request, "tokens/index.html", context, status_code=problem.status if problem else 200)
    answer.headers["cache-control"] = "no-store"
    return answer
