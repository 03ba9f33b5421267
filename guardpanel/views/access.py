"""Why an address is rejected, and a button that ends just that."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Response

from guardpanel.dependencies import Editor, RowId, Viewer
from guardpanel.errors import Problem
from guardpanel.services.access import access_checks
from guardpanel.views.answers import page, redirect
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.event_words import EventSentences
from guardpanel.views.forms import Form

router = APIRouter(prefix="/access")


@router.get("")
async def first(_viewer: Viewer) -> Response:
    return redirect("/access/bans")


async def _answer(ctx: Context, q: str) -> access_checks.Answer:
    geo_dir = ctx.panel.settings.geo_dir
    return await access_checks.why(ctx.session, ctx.panel.engines, ctx.panel.events, q, geo_dir)


def why_url(q: str) -> str:
    """The page that explains what was typed there before."""
    return f"/access/why?{urlencode({'q': q[:200]})}"


@router.get("/why")
async def why(ctx: ContextDep, _viewer: Viewer, q: str = "") -> Response:
    q, answer, problem = q.strip()[:200], None, None
    try:
        answer = await _answer(ctx, q) if q else None
    except Problem as failed:
        problem = failed
    hosts = await access_checks.host_names(ctx.session, answer) if answer else {}
    rejected = EventSentences(answer.event).sentence if answer and answer.event and answer.is_rejection else ""
    context = {
        "q": q,
        "answer": answer,
        "rejected": rejected,
        "problem": problem,
        "hosts": hosts,
        "now": datetime.now(UTC),
    }
    return await page(ctx.request, "access/why.html", context, status_code=problem.status if problem else 200)


@router.post("/limits/{policy_id}/forgive")
async def forgive(ctx: ContextDep, policy_id: RowId, _editor: Editor) -> Response:
    """What a policy has counted of the address."""
    form = await Form.read(ctx.request)
    q, panel = form.value("q")[:200], ctx.panel
    try:
        policy, address = await access_checks.forgive(ctx.session, panel.engines, panel.events, policy_id, q)
    except Problem as problem:
        return redirect(why_url(q), problem.message, failed=True)
    return redirect(why_url(q), f"Forgot what {policy.name} counted of {address}. Live")
