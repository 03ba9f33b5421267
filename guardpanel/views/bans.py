"""Bans: who is rejected until when, banned and lifted by hand."""

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from guardpanel.dependencies import Editor, RowId, Viewer
from guardpanel.errors import NotFound, Problem
from guardpanel.models.access.ban import BanFields
from guardpanel.services.access import bans
from guardpanel.views.access import why_url
from guardpanel.views.answers import page, redirect
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.forms import Form
from guardpanel.views.lists import Listing
from guardpanel.views.refusals import refused
from guardpanel.views.steps import live_or_waiting

PLACE = "/access/bans"
router = APIRouter(prefix=PLACE)

LAST_ENDED = 20
"Bans that have ended, below the active ones."


@router.get("")
async def index(
    ctx: ContextDep, _viewer: Viewer, q: str = "", network: str = "", reason: str = "", offset: int = 0
) -> Response:
    """`network`, `reason`: what the form starts with. Links from events fill them in."""
    form = Form.of(BanFields.model_construct(None), BanFields)
    form.typed |= {"network": [network[:200]], "reason": [reason[:500]]}
    return await _show(ctx, form, Listing(PLACE, "", offset, {"q": q.strip()[:200]}, usual=""))


@router.post("")
async def add(ctx: ContextDep, editor: Editor) -> Response:
    form = await Form.read(ctx.request, BanFields)
    try:
        outcome = await ctx.panel.bans.add(ctx.changes, form.fields(BanFields), who=editor.email, client=form.client)
    except Problem as problem:
        return await _show(ctx, form, Listing(PLACE, "", 0, {"q": ""}, usual=""), problem)
    return redirect(
        PLACE, f"Banned {outcome.ban.network}. {live_or_waiting(outcome.is_live)}", failed=not outcome.is_live
    )


@router.post("/{ban_id}/lift")
async def lift(ctx: ContextDep, ban_id: RowId, editor: Editor) -> Response:
    form = await Form.read(ctx.request)
    back = PLACE if form.value("back") != "why" else why_url(form.value("q"))
    try:
        outcome = await ctx.panel.bans.lift(ban_id, who=editor.email)
    except NotFound as problem:
        return redirect(PLACE, problem.message, failed=True)
    return redirect(
        back, f"Lifted the ban of {outcome.ban.network}. {live_or_waiting(outcome.is_live)}", failed=not outcome.is_live
    )


async def _show(ctx: Context, form: Form, listing: Listing, problem: Problem | None = None) -> Response:
    q = listing.kept["q"]
    status = await ctx.changes.engines.status()
    context = {
        "form": form if problem is None else form.refused(problem),
        "refusal": await refused(ctx.session, problem, BanFields),
        "listing": listing,
        "bans": await bans.active(ctx.session, q=q, offset=listing.offset),
        "ended": await bans.ended(ctx.session, q=q, limit=LAST_ENDED),
        "now": datetime.now(UTC),
        "haproxy_is_up": status.haproxy.running,
    }
    return await page(ctx.request, "access/bans.html", context, status_code=problem.status if problem else 200)
