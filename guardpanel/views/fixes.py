"""*Not an attack*: the ladder of fixes for an event, what each costs, and Apply."""

from typing import Any

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import Editor, PanelDep, SessionDep, Viewer, anew
from guardpanel.errors import Conflict, EngineUnavailable, NotFound, Problem
from guardpanel.panel import Panel
from guardpanel.services.fixes import applying, cases, live_proof, trial, words
from guardpanel.services.fixes.applying import FixFields
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.ladder import Ladder
from guardpanel.services.fixes.widths import Width
from guardpanel.services.rules import catalogue
from guardpanel.views import fix_parts
from guardpanel.views.answers import page, redirect
from guardpanel.views.forms import Form
from guardpanel.views.refusals import refused

router = APIRouter(prefix="/events")


@router.get("/{request_id}/fix")
async def show(
    request: Request,
    request_id: str,
    panel: PanelDep,
    session: SessionDep,
    _viewer: Viewer,
    width: str = "",
    whole: bool = False,
) -> Response:
    """What is tried follows in streams (fix_streams.py); `whole`, for browsers without JavaScript, has it all in the page."""
    form = Form({"width": [width]} if width else {}, model=FixFields)
    return await _page(request, panel, session, request_id, form, is_whole=whole)


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
        return await _page(request, panel, session, request_id, form, problem, is_whole=True)
    await anew(session)
    proof = await live_proof.prove(panel.changes, session, case, ladder)
    message = f"{saved.sentence}. {proof.sentence}."
    return redirect(f"/events/{case.event.item.request_id}", message, undo_url=f"/changes/{saved.change_id}/undo")


async def _page(
    request: Request,
    panel: Panel,
    session: SessionDep,
    request_id: str,
    form: Form,
    problem: Problem | None = None,
    *,
    is_whole: bool,
) -> Response:
    try:
        case = await cases.open_case(panel.changes, panel.events, session, request_id)
        ladder = await cases.ladder(panel.changes, case) if is_whole else None
    except (Conflict, EngineUnavailable) as reason:
        why = {"request_id": request_id, "reason": reason.message}
        return await page(request, "events/unfixable.html", why, status_code=reason.status)
    context: dict[str, Any] = {
        "case": case, "ladder": ladder, "form": form if problem is None else form.refused(problem),
        "refusal": await refused(session, problem, FixFields), "choices": [], "rung": None, "problem": "",
        "crs_version": catalogue.crs_version(panel.engines),
    }  # fmt: skip
    if ladder is not None:
        context |= await _whole(panel, case, ladder, form.value("width"))
    return await page(request, "events/fix.html", context, status_code=problem.status if problem else 200)


async def _whole(panel: Panel, case: Case, ladder: Ladder, width: str) -> dict[str, Any]:
    """The ladder with its chosen rung and all that it does."""
    rung = ladder.rung(width) or ladder.chosen
    choices = [fix_parts.choice(case, ladder, each, is_chosen=each is rung) for each in ladder.rungs]
    parts = {"choices": choices, "verdict": words.verdict(ladder.before)}
    if rung is None:
        return parts
    findings = None
    if rung.works:
        findings = await trial.whole(panel.changes, panel.events, case, ladder, rung)
    return {**parts, "rung": fix_parts.context(case, ladder, rung, findings)}
