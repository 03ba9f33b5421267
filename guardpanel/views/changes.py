"""Changes: every attempt to go live, what it did, and how to undo it."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BeforeValidator

from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer
from guardpanel.errors import Conflict, Drifted, Invalid, Problem, RollbackFailed, RolledBack, Step
from guardpanel.models import NOUNS, Deployment
from guardpanel.models.noun import Key
from guardpanel.models.revision import NoteFields, Outcome
from guardpanel.panel import Panel
from guardpanel.services.history import comparisons, history
from guardpanel.services.history.comparisons import Comparison
from guardpanel.services.saving import revisions
from guardpanel.services.saving.change import SaveResult
from guardpanel.views import diffs
from guardpanel.views.answers import local, page, redirect
from guardpanel.views.forms import Form
from guardpanel.views.lists import Listing
from guardpanel.views.refusals import live_number, refusal
from guardpanel.views.steps import shown_steps

RowNumber = Annotated[int | None, Query(ge=1, le=2**53), BeforeValidator(lambda text: text or None)]
"In a query. An empty field counts as missing."

router = APIRouter(prefix="/changes")

ENGINES = {"haproxy": "HAProxy", "agent": "Agent"}
LAYOUTS = {"one": "One column", "two": "Side by side"}
OUTCOMES = {
    Outcome.LIVE: "went live", Outcome.REJECTED: "rejected", Outcome.ROLLED_BACK: "rolled back", Outcome.FAILED: "failed",
}  # fmt: skip


@dataclass(frozen=True)
class FilesView:
    """Which engine's files are shown, how, and compared with which revision (None: the previous state)."""

    path: str
    files: str = "haproxy"
    layout: str = "one"
    against: int | None = None

    @classmethod
    def of(cls, path: str, files: str, layout: str, against: int | None = None) -> "FilesView":
        """Unknown values become the defaults."""
        return cls(path, files if files in ENGINES else "haproxy", layout if layout in LAYOUTS else "one", against)

    def url(self, files: str = "", layout: str = "") -> str:
        against = f"&against={self.against}" if self.against else ""
        return f"{self.path}?files={files or self.files}&layout={layout or self.layout}{against}#files"


@router.get("")
async def index(
    request: Request, session: SessionDep, _viewer: Viewer, q: str = "", noun: str = "", id: RowNumber = None,
    who: str = "", outcome: str = "", offset: int = 0,
) -> Response:  # fmt: skip
    noun = noun if noun in NOUNS and id else ""
    chosen = next((known for known in OUTCOMES if known == outcome), None)
    kept = {
        "q": q.strip()[:200],
        "noun": noun,
        "id": str(id) if noun else "",
        "who": who[:255],
        "outcome": chosen or "",
    }
    listing = Listing("/changes", "name", offset, kept)
    rows = await revisions.page(
        session, q=kept["q"], noun=noun, noun_id=id, author=kept["who"], outcome=chosen, offset=listing.offset
    )
    choices: dict[str, list[int]] = {noun_key: await revisions.lately_touched(session, noun_key) for noun_key in NOUNS}
    keys = {(noun_key, number) for noun_key, numbers in choices.items() for number in numbers}
    keys |= {(change.noun, change.noun_id) for change in rows.items if change.noun_id}
    there = await history.there(session, keys | ({(noun, id)} if noun and id else set()))
    options = {
        noun_key: [
            listing.option(there[noun_key, row].name, noun=noun_key, id=row)
            for row in numbers
            if (noun_key, row) in there
        ]
        for noun_key, numbers in choices.items()
    }
    context = {
        "listing": listing, "results": rows, "nouns": NOUNS, "outcomes": OUTCOMES, "choices": options, "there": there,
        "outcome_labels": {name: words.capitalize() for name, words in OUTCOMES.items()},
        "authors": {author: author for author in await revisions.authors(session)},
        "live_revision": await live_number(session),
        "undoable": await history.undoable(session), "newest": await history.newest(session),
    }  # fmt: skip
    return await page(request, "changes/index.html", context)


@router.get("/{change_id}")
async def show(
    request: Request, change_id: RowId, panel: PanelDep, session: SessionDep, _viewer: Viewer, against: RowNumber = None,
    files: str = "haproxy", layout: str = "one",
) -> Response:  # fmt: skip
    change = await revisions.find(session, change_id)
    view = FilesView.of(f"/changes/{change_id}", files, layout, against)
    return await show_one(request, panel, session, change, view)


@router.get("/{change_id}/restore")
async def confirm(
    request: Request, change_id: RowId, panel: PanelDep, session: SessionDep, _editor: Editor, files: str = "haproxy",
    layout: str = "one",
) -> Response:  # fmt: skip
    """What a restore would change, with buttons for everything or a single row."""
    view = FilesView.of(f"/changes/{change_id}/restore", files, layout)
    return await show_restore(request, panel, session, await revisions.find(session, change_id), view)


@router.post("/{change_id}/undo")
async def undo(request: Request, change_id: RowId, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    """Restore the state before the last change."""
    form = await Form.read(request)
    try:
        saved = await history.undo(panel.changes, form.save_request(editor), change_id)
    except Problem as problem:
        change = await revisions.find(session, change_id)
        return await show_one(request, panel, session, change, FilesView(f"/changes/{change_id}"), problem)
    return await put_back(session, "Undone", saved, local(form.value("next"), otherwise=""))


@router.post("/{change_id}/restore")
async def restore(request: Request, change_id: RowId, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    """Restore everything, or the row that the form names, as it was after this change."""
    form = await Form.read(request)
    try:
        saved = await history.restore(panel.changes, form.save_request(editor), change_id, only(form))
    except Problem as problem:
        change = await revisions.find(session, change_id)
        view = FilesView(f"/changes/{change_id}/restore")
        return await show_restore(request, panel, session, change, view, problem, form)
    return await put_back(session, "Restored", saved)


@router.post("/{change_id}/note")
async def note(request: Request, change_id: RowId, panel: PanelDep, session: SessionDep, _editor: Editor) -> Response:
    """Save a note that explains the change."""
    form = await Form.read(request)
    try:
        await revisions.note(panel.database, change_id, form.fields(NoteFields).note)
    except Invalid as problem:
        change = await revisions.find(session, change_id)
        return await show_one(request, panel, session, change, FilesView(f"/changes/{change_id}"), problem, form)
    return redirect(f"/changes/{change_id}", "Saved the note")


def only(form: Form) -> Key | None:
    """Parse a row such as `virtual_host:17`. Rejects anything else rather than restoring everything."""
    thing = form.value("thing")
    key = history.row_named(thing)
    if thing and key is None:
        raise Conflict("Nothing to restore: it did not exist then.")
    return key


async def put_back(session: SessionDep, word: str, saved: SaveResult[Key | None], back: str = "") -> Response:
    """Back to the page that asked, or to the row if it still exists."""
    key = saved.value
    url = back or "/changes"
    if key and not back:
        noun, link = NOUNS[key[0]], (await history.there(session, {key})).get(key)
        url = link.url if link else url if noun.within else noun.path
    return redirect(url, f"{word}. {saved.sentence}", undo_url=f"/changes/{saved.change_id}/undo")


async def show_one(
    request: Request, panel: Panel, session: SessionDep, change: Deployment, view: FilesView,
    problem: Problem | None = None, form: Form | None = None,
) -> Response:  # fmt: skip
    live = await live_number(session)
    comparison = await comparisons.of_change(panel.changes, session, change, view.against)
    context = {
        **await shown_comparison(session, comparison, view),
        "change": change, "live_revision": live, "steps": shown_steps([Step(**step) for step in change.steps]),  # type: ignore[arg-type]
        "is_undoable": await history.undoable(session) == change.id, "is_newest": await history.newest(session) == change.id,
        "numbers": await revisions.numbers(session), "form": form or Form({"note": [change.note]}),
        "refusal": refused(problem, live) if problem and not form else None,
    }  # fmt: skip
    if problem and form:
        form.refused(problem)
    return await page(request, "changes/show.html", context, status_code=problem.status if problem else 200)


async def show_restore(
    request: Request, panel: Panel, session: SessionDep, change: Deployment, view: FilesView,
    problem: Problem | None = None, form: Form | None = None,
) -> Response:  # fmt: skip
    live = await live_number(session)
    comparison = await comparisons.of_restore(panel.changes, session, change)
    context = {
        **await shown_comparison(session, comparison, view),
        "change": change, "live_revision": live, "what": history.what_is_restored(change), "key": Form({}).key,
        "refusal": refused(problem, live) if problem else None, "thing": form.value("thing") if form else "",
    }  # fmt: skip
    return await page(request, "changes/restore.html", context, status_code=problem.status if problem else 200)


async def shown_comparison(session: SessionDep, comparison: Comparison | None, view: FilesView) -> dict[str, Any]:
    """The context that both pages need."""
    differing = comparison.nouns if comparison else []
    there = await history.there(session, {(difference.noun, difference.id) for difference in differing})
    return {
        "comparison": comparison, "view": view, "differing": differing, "more": comparison.more if comparison else 0,
        "there": there, "nouns": NOUNS, "engines": ENGINES, "layouts": LAYOUTS, "diffs": diffs,
    }  # fmt: skip


def refused(problem: Problem, live: int | None) -> dict[str, Any]:
    """A summary above a page without fields. It includes the messages that fields would show."""
    still = f"Nothing was saved. Revision {live} is still live." if live else "Nothing was saved."
    toast = refusal(problem, live)
    if isinstance(problem, RolledBack | RollbackFailed):
        return toast
    if isinstance(problem, Drifted):
        return {**toast, "text": f"{problem.message} {still}"}
    words = [error.message for error in problem.errors.values()]
    return {**toast, "links": [], "text": " ".join([*words, still])}
