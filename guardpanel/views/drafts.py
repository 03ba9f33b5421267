"""What saving a form would change: the form of any noun as it is typed, beside what is saved. Saves nothing."""

from typing import Any, Protocol

from fastapi import APIRouter, Response

from guardpanel.dependencies import Editor, IdInPath
from guardpanel.errors import Invalid, Problem
from guardpanel.models import NOUNS
from guardpanel.models.meta import label
from guardpanel.models.noun import ONLY, Noun
from guardpanel.services.crud import Crud
from guardpanel.services.saving import differences
from guardpanel.services.saving.differences import Difference
from guardpanel.views import diffs
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.forms import Form


class Editing(Protocol):
    """What is needed of the pages that change a noun (editing.py)."""

    noun: Noun
    inputs: Any

    def rows_in(self, ctx: Context) -> Crud[Any, Any]: ...

    async def read_form(self, ctx: Context) -> Form: ...

    def form_of(self, ctx: Context, row: Any) -> Form: ...

    async def trail(self, ctx: Context, rows: Any) -> list[tuple[str, str]]: ...


def compare_in(router: APIRouter, editing: Editing) -> None:
    """The route by which the form of a noun is compared. There is none where a form also sends what is never shown again: with
    nothing to compare that with, "no differences" could be untrue."""

    async def of_row(row_id: IdInPath, ctx: ContextDep, _editor: Editor) -> Response:
        return await _compared(ctx, editing, row_id)

    async def of_only(ctx: ContextDep, _editor: Editor) -> Response:
        return await _compared(ctx, editing, ONLY)

    noun = editing.noun
    if not noun.is_all_shown:
        return
    if noun.only_name:
        router.post("/compare")(of_only)
    else:
        router.post(f"/{{{noun.key}_id}}/compare")(of_row)


async def _compared(ctx: Context, editing: Editing, row_id: int) -> Response:
    row = await editing.rows_in(ctx).find(ctx.session, row_id)
    form, problem, changed = await editing.read_form(ctx), "", []
    try:
        changed = await _differences(ctx, editing, form, row)
    except Problem as wrong:
        words = [f"{label(editing.inputs, name)}: {error.message}" for name, error in wrong.errors.items()]
        problem = next(iter(words), wrong.message)
    context = {
        "noun": editing.noun, "problem": problem, "differences": changed, "nouns": NOUNS, "diffs": diffs,
        "trail": await editing.trail(ctx, editing.rows_in(ctx)),
    }  # fmt: skip
    return await page(ctx.request, "shared/draft.html", context, block="comparison")


async def _differences(ctx: Context, editing: Editing, form: Form, row: Any) -> list[Difference]:
    """Raises a Problem where the form cannot be read."""
    rows, facts = editing.rows_in(ctx), ctx.facts
    if form.change_rows() and form.errors:
        raise Invalid.of(form.errors)
    saved = rows.whole(rows.fields_of(row), facts)
    fields = form.settled(editing.form_of(ctx, row)).fields(editing.inputs)
    rows.must_fit(fields, facts)
    names = await rows.names(ctx.session)
    return differences.of_draft(editing.noun, row.id, saved, rows.whole(fields, facts), names)
