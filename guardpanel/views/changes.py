"""Changes: every attempt to make something live, what it did, and the way back."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer
from guardpanel.errors import NotFound, Problem
from guardpanel.models import Deployment
from guardpanel.models.revision import NoteFields, Outcome
from guardpanel.panel import Panel
from guardpanel.services import history, policies, revisions, virtual_hosts
from guardpanel.views import diffs
from guardpanel.views.forms import Form, refusal
from guardpanel.views.lists import Listing
from guardpanel.views.pages import page, redirect
from guardpanel.views.virtual_hosts import live_number

RowNumber = Annotated[int | None, Query(ge=1, le=2**53)]

router = APIRouter(prefix="/changes")

PATHS = {virtual_hosts.NOUN: "/virtual-hosts", policies.NOUN: "/policies"}
NOUNS = {virtual_hosts.NOUN: "Virtual host", policies.NOUN: "Policy"}
ENGINES = {"haproxy": "HAProxy", "agent": "Agent"}
LAYOUTS = {"one": "One column", "two": "Side by side"}


@router.get("")
async def index(
    request: Request, session: SessionDep, _viewer: Viewer, noun: str = "", id: RowNumber = None, who: str = "",
    outcome: str = "", offset: int = 0,
) -> Response:  # fmt: skip
    noun = noun if noun in PATHS and id else ""
    outcome = outcome if outcome in set(Outcome) else ""
    kept = {"noun": noun, "id": str(id) if noun else "", "who": who[:255], "outcome": outcome}
    listing = Listing("/changes", "name", offset, kept)
    found = await revisions.page(
        session, noun=noun, noun_id=id, author=kept["who"], outcome=Outcome(outcome) if outcome else None,
        offset=listing.offset,
    )  # fmt: skip
    context = {
        "listing": listing, "found": found, "paths": PATHS, "nouns": NOUNS, "outcomes": list(Outcome),
        "authors": await revisions.authors(session), "named": await named(session, noun, id),
        "last": await history.newest(session), "live_revision": await live_number(session),
    }  # fmt: skip
    return await page(request, "changes/index.html", context)


@router.get("/{change_id}")
async def show(
    request: Request, change_id: RowId, panel: PanelDep, session: SessionDep, _viewer: Viewer, against: RowNumber = None,
    files: str = "haproxy", layout: str = "one",
) -> Response:  # fmt: skip
    change = await revisions.find(session, change_id)
    other = await revisions.find(session, against) if against else await history.predecessor(session, change)
    view = {
        "against": against, "files": files if files in ENGINES else "haproxy",
        "layout": layout if layout in LAYOUTS else "one",
    }  # fmt: skip
    return await show_one(request, panel, session, change, other, view)


@router.post("/{change_id}/undo")
async def undo(request: Request, change_id: RowId, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    """Put back what was before the last change."""
    try:
        saved = await history.undo(panel.changes, (await Form.read(request)).asked(editor), change_id)
    except Problem as problem:
        return await show_refused(request, panel, session, change_id, problem)
    return redirect("/changes", f"Undone. {saved.sentence}", undo_url=f"/changes/{saved.change_id}/undo")


@router.post("/{change_id}/restore")
async def restore(request: Request, change_id: RowId, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    """Put everything, or the one thing that the form names, back as it was after this change."""
    form = await Form.read(request)
    noun, number = form.value("noun"), form.value("noun_id")
    try:
        saved = await history.restore(
            panel.changes, form.asked(editor), change_id, noun,
            int(number) if number.isascii() and number.isdigit() else None,
        )  # fmt: skip
    except Problem as problem:
        return await show_refused(request, panel, session, change_id, problem)
    return redirect("/changes", f"Restored. {saved.sentence}", undo_url=f"/changes/{saved.change_id}/undo")


@router.post("/{change_id}/note")
async def note(request: Request, change_id: RowId, panel: PanelDep, session: SessionDep, _editor: Editor) -> Response:
    """Say why, in one's own words."""
    form = await Form.read(request)
    try:
        await revisions.note(panel.database, change_id, form.fields(NoteFields).note)
    except Problem as problem:
        return await show_refused(request, panel, session, change_id, problem, typed=form.value("note"))
    return redirect(f"/changes/{change_id}", "The note is kept")


async def show_refused(
    request: Request, panel: Panel, session: SessionDep, change_id: int, problem: Problem, typed: str | None = None
) -> Response:
    change = await revisions.find(session, change_id)
    other = await history.predecessor(session, change)
    return await show_one(request, panel, session, change, other, {"files": "haproxy", "layout": "one"}, problem, typed)


async def show_one(
    request: Request, panel: Panel, session: SessionDep, change: Deployment, other: Deployment | None,
    view: dict[str, Any], problem: Problem | None = None, typed: str | None = None,
) -> Response:  # fmt: skip
    last = await history.newest(session)
    comparison = await history.compared(panel.changes, session, change, other)
    live = await live_number(session)
    files = {"haproxy": comparison.haproxy, "agent": comparison.agent} if comparison else {}
    context = {
        "change": change, "comparison": comparison, "files": files, "view": view, "live_revision": live,
        "counts": {name: diffs.counts(found) for name, found in files.items()}, "paths": PATHS, "nouns": NOUNS,
        "engines": ENGINES, "layouts": LAYOUTS, "is_last": last is not None and last.id == change.id,
        "others": (await revisions.page(session, outcome=Outcome.LIVE, limit=50)).items, "key": Form({}).key,
        "one_column": diffs.one_column, "side_by_side": diffs.side_by_side,
        "note": change.note if typed is None else typed, "refusal": refusal(problem, live) if problem else None,
        "error": problem.errors.get("note") if problem else None,
    }  # fmt: skip
    return await page(request, "changes/show.html", context, status_code=problem.status if problem else 200)


async def named(session: SessionDep, noun: str, noun_id: int | None) -> str:
    """What a filter is about: its name, or its number once it is gone."""
    if noun_id is None or noun not in NOUNS:
        return ""
    try:
        if noun == virtual_hosts.NOUN:
            return (await virtual_hosts.find(session, noun_id)).name
        return (await policies.find(session, noun_id)).name
    except NotFound:
        return f"{NOUNS[noun]} {noun_id}"
