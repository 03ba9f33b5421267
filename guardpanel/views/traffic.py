"""Traffic settings: who the client is, for all virtual hosts; and what the last requests said of theirs."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import Editor, PanelDep, SessionDep, Viewer, anew
from guardpanel.errors import Problem
from guardpanel.models import Traffic
from guardpanel.models.traffic import TrafficFields
from guardpanel.panel import Panel
from guardpanel.services import revisions, traffic
from guardpanel.views import merging
from guardpanel.views.forms import Form
from guardpanel.views.merging import Row, is_behind
from guardpanel.views.pages import page, redirect
from guardpanel.views.virtual_hosts import refused

HOME = "/system/traffic"

router = APIRouter(prefix=HOME)


@router.get("")
async def show(request: Request, panel: PanelDep, session: SessionDep, _viewer: Viewer) -> Response:
    row = await traffic.find(session)
    context = {
        "traffic": row,
        "capacity": await traffic.capacity_of(panel.changes, session),
        "memory": f"{panel.changes.renderer.facts.memory_mib / 1024:.1f} GiB",
        "listeners": traffic.fields_of(row, panel.changes.renderer.facts).listeners,
        "lately": await panel.events.lately(),
        "changes": (await revisions.page(session, noun=traffic.NOUN, noun_id=traffic.ID, limit=5)).items,
    }
    return await page(request, "traffic/show.html", context)


@router.get("/edit")
async def edit(request: Request, panel: PanelDep, session: SessionDep, _editor: Editor) -> Response:
    row = await traffic.find(session)
    return await show_form(request, panel, session, form_of(panel, row), row)


@router.post("")
async def update(request: Request, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    form = await Form.read(request, TrafficFields)
    try:
        now = form_of(panel, await traffic.find(session))
        await anew(session)
        fields = form.settled(now).fields(TrafficFields)
        saved = await traffic.update(panel.changes, form.asked(editor), fields, form.version)
    except Problem as problem:
        await anew(session)
        return await show_form(request, panel, session, form, await traffic.find(session), problem)
    return redirect(HOME, saved.sentence, undo_url=f"/changes/{saved.change_id}/undo")


async def show_form(
    request: Request, panel: Panel, session: SessionDep, form: Form, row: Traffic, problem: Problem | None = None
) -> Response:
    """The form as it was typed, beside what is there now where that is not what the form began with."""
    merge = None
    if problem is not None and is_behind(form, row.version):
        facts = panel.changes.renderer.facts
        now = Row(traffic.fields_of(row, facts), form_of(panel, row), row.version)
        key, fields_in = (traffic.NOUN, traffic.ID), partial(traffic.fields_in, facts)
        merge = await merging.merged(session, request.state.viewer, form, now, key, fields_in)
    context: dict[str, Any] = {
        "form": form if problem is None else form.refused(problem),
        "traffic": row,
        "by_memory": await traffic.capacity_of(panel.changes, session, settings=False),
        "merge": merge,
        "refusal": await refused(session, problem, TrafficFields),
    }
    return await page(request, "traffic/edit.html", context, status_code=problem.status if problem else 200)


def form_of(panel: Panel, row: Traffic) -> Form:
    form = Form.of(traffic.fields_of(row, panel.changes.renderer.facts))
    form.typed["version"] = [str(row.version)]
    return form
