"""The feed of an address list, on the list's page: its state, what waits and whom it would reject, download now, accept."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response

from guardpanel.dependencies import Editor, RowId, Viewer, client_address
from guardpanel.errors import Conflict, Invalid
from guardpanel.models import AddressList
from guardpanel.models.access.address_list import NOUN
from guardpanel.services.access import feed_states, feed_trials
from guardpanel.views.answers import page, redirect
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.forms import Form
from guardpanel.views.steps import live_or_waiting

router = APIRouter(prefix=NOUN.path)

MOST_VISITORS = 20
"On the page."


async def feed_context(ctx: Context, row: AddressList) -> Mapping[str, Any]:
    """For the list's page."""
    if not row.is_fed:
        return {"feed": None}
    feed, now = await feed_states.state_of(ctx.session, row), datetime.now(UTC)
    client = client_address(ctx.request)
    trial = await feed_trials.tried(ctx.changes, ctx.session, ctx.panel.events, row, feed, client)
    return {
        "feed": feed,
        "is_stale": feed.is_stale(row.feed_interval, now),
        "next_at": feed_states.due_at(row, feed),
        "trial": trial,
        "going": ctx.panel.feeds.progress.of(row.id or 0),
        "most_visitors": MOST_VISITORS,
    }


@router.get("/{address_list_id}/feed/progress")
async def progress(ctx: ContextDep, address_list_id: RowId, _viewer: Viewer) -> Response:
    """How far a download is. Once it has ended, the page is loaded again."""
    going = ctx.panel.feeds.progress.of(address_list_id)
    part = await page(ctx.request, "address_lists/_progress.html", {"row_id": address_list_id, "going": going})
    if not going:
        part.headers["hx-redirect"] = NOUN.url(address_list_id)
    return part


@router.post("/{address_list_id}/feed/download")
async def download(ctx: ContextDep, address_list_id: RowId, _editor: Editor) -> Response:
    await Form.read(ctx.request)
    try:
        feed = await ctx.panel.feeds.download(address_list_id)
    except Conflict as problem:
        return redirect(NOUN.url(address_list_id), problem.message, failed=True)
    words = "The download failed" if feed.problem else "Downloaded. Look at it below" if feed.waiting else "Up to date"
    return redirect(NOUN.url(address_list_id), words, failed=bool(feed.problem))


@router.post("/{address_list_id}/feed/accept")
async def accept(ctx: ContextDep, address_list_id: RowId, editor: Editor) -> Response:
    form = await Form.read(ctx.request)
    digest = "".join(form.typed.get("digest", [])[:1])
    try:
        is_live = await ctx.panel.feeds.accept(address_list_id, who=editor.email, digest=digest)
    except (Conflict, Invalid) as problem:
        return redirect(NOUN.url(address_list_id), problem.message, failed=True)
    return redirect(NOUN.url(address_list_id), live_or_waiting(is_live), failed=not is_live)
