"""The ordinary requests that are recorded of a virtual host, and their deletion."""

from fastapi import APIRouter, Response

from guardpanel.dependencies import Editor, RowId, Viewer
from guardpanel.errors import Invalid
from guardpanel.services.events.recorded import NEWEST
from guardpanel.services.trials import recorded_requests
from guardpanel.views.answers import page, redirect
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.formats import counted
from guardpanel.views.forms import Form

router = APIRouter(prefix="/virtual-hosts/{virtual_host_id}/recorded")


@router.get("")
async def index(virtual_host_id: RowId, ctx: ContextDep, _viewer: Viewer) -> Response:
    return await show(ctx, virtual_host_id, Form({}))


@router.post("/delete")
async def delete(virtual_host_id: RowId, ctx: ContextDep, _editor: Editor) -> Response:
    """All of them, or those of one client IP."""
    form = await Form.read(ctx.request)
    client = None if form.value("all") else form.value("client")
    try:
        count = await recorded_requests.forget(ctx.session, ctx.panel.events, virtual_host_id, client)
    except Invalid as problem:
        return await show(ctx, virtual_host_id, form.refused(problem), problem.status)
    words = counted(count, "recorded request") if count else "no recorded requests"
    return redirect(f"/virtual-hosts/{virtual_host_id}/recorded", f"Deleted {words}")


async def show(ctx: Context, virtual_host_id: int, form: Form, status: int = 200) -> Response:
    recorded = await recorded_requests.of_virtual_host(ctx.session, ctx.panel.events, virtual_host_id, NEWEST)
    context = {"recorded": recorded, "host": recorded.virtual_host, "kept": recorded.kept, "form": form}
    return await page(ctx.request, "virtual_hosts/recorded.html", context, status_code=status)
