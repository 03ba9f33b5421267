"""*Not an attack*: the ladder of fixes for an event, what each costs, and Apply."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import Editor, PanelDep, SessionDep, Viewer, anew
from guardpanel.errors import Conflict, EngineUnavailable, NotFound, Problem
from guardpanel.panel import Panel
from guardpanel.services.fixes import applying, cases, live_proof, proof, words
from guardpanel.services.fixes.applying import FixFields
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.ladder import Ladder, Rung
from guardpanel.services.fixes.siblings import siblings
from guardpanel.services.fixes.widths import Width
from guardpanel.views.answers import page, redirect
from guardpanel.views.forms import Form
from guardpanel.views.refusals import refused

router = APIRouter(prefix="/events")


@router.get("/{request_id}/fix")
async def show(
    request: Request, request_id: str, panel: PanelDep, session: SessionDep, _viewer: Viewer, width: str = ""
) -> Response:
    form = Form({"width": [width]} if width else {}, model=FixFields)
    return await _page(request, panel, session, request_id, form)


@router.get("/{request_id}/fix/rung")
async def show_rung(
    request: Request, request_id: str, panel: PanelDep, session: SessionDep, _viewer: Viewer, width: str = ""
) -> Response:
    """One rung with its price: what a choice of the ladder shows."""
    case = await cases.open_case(panel.changes, panel.events, session, request_id)
    ladder = await cases.ladder(panel.changes, case, [item for item in Width if item == width])
    rung = ladder.rung(width)
    if rung is None:
        raise NotFound("There is no such fix for this event.")
    context = {"case": case, "ladder": ladder, "rung": await _shown(panel, case, ladder, rung)}
    return await page(request, "events/_fix_rung.html", context)


@router.post("/{request_id}/fix")
async def apply(request: Request, request_id: str, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    form = await Form.read(request, FixFields)
    width = form.value("width")
    try:
        fields = form.fields(FixFields)
        case = await cases.open_case(panel.changes, panel.events, session, request_id)
        ladder = await cases.ladder(panel.changes, case, [item for item in Width if item == width])
        rung = applying.require(ladder.rung(width), form.value("draft"))
        saved = await applying.apply(panel.changes, form.save_request(editor), case, rung, fields)
    except NotFound:
        raise
    except Problem as problem:
        await anew(session)
        return await _page(request, panel, session, request_id, form, problem)
    await anew(session)
    shown = await live_proof.prove(panel.changes, session, case, ladder)
    message = f"{saved.sentence}. {shown.sentence}."
    return redirect(f"/events/{case.event.item.request_id}", message, undo_url=f"/changes/{saved.change_id}/undo")


async def _page(
    request: Request, panel: Panel, session: SessionDep, request_id: str, form: Form, problem: Problem | None = None
) -> Response:
    try:
        case = await cases.open_case(panel.changes, panel.events, session, request_id)
        ladder = await cases.ladder(panel.changes, case)
    except (Conflict, EngineUnavailable) as reason:
        why = {"request_id": request_id, "reason": reason.message}
        return await page(request, "events/unfixable.html", why, status_code=reason.status)
    rung = ladder.rung(form.value("width")) or ladder.chosen
    context = {
        "case": case, "ladder": ladder, "form": form if problem is None else form.refused(problem), "words": words,
        "titles": {each.width.value: words.title(each, case) for each in ladder.rungs},
        "refusal": await refused(session, problem, FixFields),
        "rung": await _shown(panel, case, ladder, rung) if rung else None,
    }  # fmt: skip
    return await page(request, "events/fix.html", context, status_code=problem.status if problem else 200)


async def _shown(panel: Panel, case: Case, ladder: Ladder, rung: Rung) -> Mapping[str, Any]:
    """A rung with what is said of it, and what it costs."""
    tallies = await proof.tallies(panel.changes, case, ladder, rung) if rung.works else []
    others = await siblings(panel.changes, panel.events, case, rung) if rung.works else None
    return {
        "width": rung.width.value, "works": rung.works, "problem": rung.problem, "evaluation": rung.evaluation,
        "effects": words.effects(rung.draft, case), "prices": words.prices(rung, case),
        "seclang": words.seclang(rung.draft, case.policy.id or 0), "draft": applying.digest(rung.draft), "tallies": tallies,
        "siblings": others,
    }  # fmt: skip
