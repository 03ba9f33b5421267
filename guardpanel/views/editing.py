"""The pages that change a noun: new, edit and delete, also after a rejection.

They serve every noun. A noun's view creates its own `Editing` and adds what its form shows besides its fields. Its template
`_form.html` contains the fields. Typed text survives every outcome, and what others changed in the meantime appears next to it
(`merging.py`).
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from fastapi import APIRouter, Response
from pydantic import BaseModel

from guardpanel.dependencies import Editor, IdInPath, anew, number_in_path
from guardpanel.errors import Conflict, NotFound, Problem
from guardpanel.models import NOUNS
from guardpanel.models.noun import ONLY
from guardpanel.services.cascades import goes_with
from guardpanel.services.crud import Crud, Row
from guardpanel.services.history import edits
from guardpanel.services.history.edits import FieldsIn
from guardpanel.services.saving.changes import SaveResult
from guardpanel.views import drafts, merging
from guardpanel.views.answers import page, redirect
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.forms import Form
from guardpanel.views.managed import managed_by_file
from guardpanel.views.merging import DeletedRow, Merge, authors, is_behind
from guardpanel.views.refusals import refused

R = TypeVar("R", bound=Row)
F = TypeVar("F", bound=BaseModel)


class Editing(Generic[R, F]):
    """The first methods are meant to be overridden by a noun's view. The pages follow."""

    def __init__(self, rows: Crud[R, F]) -> None:
        self.rows = rows
        self.noun = rows.noun
        self.inputs: Any = rows.noun.input

    def rows_in(self, ctx: Context) -> Crud[R, F]:
        """The rows below the parent in the URL."""
        return self.rows.under(number_in_path(ctx.request, self.noun.within)) if self.noun.within else self.rows

    async def new_form(self, ctx: Context) -> Form:  # noqa: ARG002
        """The form for a new row."""
        return Form({}, model=self.noun.input)

    async def edit_form(self, ctx: Context, row: R) -> Form:
        """The form for an existing row."""
        return self.form_of(ctx, row)

    async def read_form(self, ctx: Context) -> Form:
        """The form as it was sent."""
        return await Form.read(ctx.request, self.noun.input)

    async def beside_form(self, ctx: Context) -> Mapping[str, Any]:  # noqa: ARG002
        """Additional context for the form."""
        return {}

    async def beside_delete(self, ctx: Context, row: R) -> Mapping[str, Any]:  # noqa: ARG002
        """Additional context for the delete page. `is_kept`: the row cannot be deleted now."""
        return {}

    async def must_be_meant(self, ctx: Context, form: Form, row: R, fields: F) -> None:
        """Raise a Problem if the operator must confirm this save."""

    def typed(self, row: R) -> dict[str, list[str]]:  # noqa: ARG002
        """Fields that are typed in another form than they are stored."""
        return {}

    # Addresses

    def router(self) -> APIRouter:
        """The routes of these pages. The noun's own are added later, since `/new` must not match an id."""
        router = APIRouter(prefix=self.noun.path)
        drafts.compare_in(router, self)
        if self.noun.only_name:
            router.get("/edit")(self.edit_only)
            router.post("")(self.update_only)
            return router
        row_path = f"/{{{self.noun.key}_id}}"
        router.get("/new")(self.new)
        router.post("")(self.create)
        router.get(f"{row_path}/edit")(self.edit)
        router.post(row_path)(self.update)
        router.get(f"{row_path}/delete")(self.confirm)
        router.post(f"{row_path}/delete")(self.destroy)
        return router

    async def edit_only(self, ctx: ContextDep, editor: Editor) -> Response:
        return await self.edit(ONLY, ctx, editor)

    async def update_only(self, ctx: ContextDep, editor: Editor) -> Response:
        return await self.update(ONLY, ctx, editor)

    async def new(self, ctx: ContextDep, _editor: Editor) -> Response:
        return await self.show_form(ctx, await self.new_form(ctx), None)

    async def create(self, ctx: ContextDep, editor: Editor) -> Response:
        form = await self.read_form(ctx)
        if form.change_rows():
            return await self.show_form(ctx, form, None)
        try:
            fields = await self.rows.read(form.data(self.inputs))
            saved = await self.rows_in(ctx).create(ctx.changes, form.save_request(editor), fields)
        except NotFound:
            raise
        except Problem as problem:
            return await self.show_form(ctx, form, None, problem)
        return done(saved, self.noun.url_of(saved.value))

    async def edit(self, row_id: IdInPath, ctx: ContextDep, _editor: Editor) -> Response:
        row = await self.rows_in(ctx).find(ctx.session, row_id)
        return await self.show_form(ctx, await self.edit_form(ctx, row), row)

    async def update(self, row_id: IdInPath, ctx: ContextDep, editor: Editor) -> Response:
        form = await self.read_form(ctx)
        form.typed.setdefault("version", [""])  # Without one the form is outdated: its initial values are unknown.
        if form.change_rows():
            return await self.show_edit(ctx, form, row_id)
        rows = self.rows_in(ctx)
        try:
            row = await rows.find(ctx.session, row_id)
            url = self.noun.url_of(row)
            fields = await self.rows.read(form.settled(self.form_of(ctx, row)).data(self.inputs))
            await self.must_be_meant(ctx, form, row, fields)
            await anew(ctx.session)
            saved = await rows.update(ctx.changes, form.save_request(editor), row_id, fields, form.version)
        except Problem as problem:
            return await self.show_edit(ctx, form, row_id, problem)
        return done(saved, url)

    async def confirm(self, row_id: IdInPath, ctx: ContextDep, _editor: Editor) -> Response:
        return await self.show_delete(ctx, Form({}), row_id)

    async def destroy(self, row_id: IdInPath, ctx: ContextDep, editor: Editor) -> Response:
        form, rows = await Form.read(ctx.request, self.rows.fields), self.rows_in(ctx)
        try:
            saved = await rows.delete(ctx.changes, form.save_request(editor), row_id, opened(form))
        except NotFound:
            return redirect(self.home(rows), "This was already deleted")
        except Problem as problem:
            return await self.show_delete(ctx, form, row_id, problem)
        return done(saved, self.home(rows), f"Deleted {saved.value}. ")

    def home(self, rows: Crud[R, F]) -> str:
        """The URL of the list, or of the parent's page."""
        return self.noun.path if rows.parent_id is None else NOUNS[self.noun.parent].url(rows.parent_id)

    # Pages

    async def show_form(
        self,
        ctx: Context,
        form: Form,
        row: R | None,
        problem: Problem | None = None,
        merge: Merge | None = None,
        gone: DeletedRow | None = None,
    ) -> Response:
        """The form as typed. After a rejection, with a summary above it and a message at each field."""
        beside = await self.beside_form(ctx)
        form = form if problem is None else form.refused(problem)
        template = "shared/edit.html" if row else "shared/new.html"
        return await self.answer(ctx, template, form, row, problem, {**beside, "merge": merge, "gone": gone})

    async def show_edit(self, ctx: Context, form: Form, row_id: int, problem: Problem | None = None) -> Response:
        """What was typed, next to the current values if those are not what the form started from."""
        await anew(ctx.session)
        try:
            row = await self.rows_in(ctx).find(ctx.session, row_id)
        except NotFound as missing:
            since = await edits.since(ctx.session, self.noun.key, row_id, 0, None, self.fields_in(ctx))
            gone = DeletedRow(authors(since, ctx.request.state.viewer), since.last)
            return await self.show_form(ctx, form, None, missing, gone=gone)
        return await self.show_form(ctx, form, row, problem, await self.merged(ctx, form, row))

    async def show_delete(self, ctx: Context, form: Form, row_id: int, problem: Problem | None = None) -> Response:
        """The delete page. If the row changed in the meantime, it shows what would be lost."""
        await anew(ctx.session)
        row = await self.rows_in(ctx).find(ctx.session, row_id)
        beside = {
            **await self.beside_delete(ctx, row),
            "merge": await self.merged(ctx, form, row),
            "goes_with": await goes_with(ctx.session, self.noun, row_id),
        }
        return await self.answer(ctx, "shared/delete.html", form, row, problem, beside)

    async def answer(
        self, ctx: Context, template: str, form: Form, row: R | None, problem: Problem | None, beside: Mapping[str, Any]
    ) -> Response:
        refusal, rows = await refused(ctx.session, problem, self.noun.input, form), self.rows_in(ctx)
        context = {"noun": self.noun, "form": form, "row": row, "refusal": refusal, **beside}
        context |= {"home": self.home(rows), "place": self.noun.place(rows.parent_id)}
        context |= {"trail": await self.trail(ctx, rows), **await managed_by_file(ctx, rows, row)}
        if row:
            name = self.noun.only_name.lower() or self.rows.name(row)
            context |= {"name": name, "url": self.noun.url_of(row)}
        return await page(ctx.request, template, context, status_code=problem.status if problem else 200)

    async def trail(self, ctx: Context, rows: Crud[R, F]) -> list[tuple[str, str]]:
        """The breadcrumb's links."""
        if rows.parent_id is None:
            return [(self.noun.plural, self.noun.path)]
        parent, name = NOUNS[self.noun.parent], await rows.parent_name(ctx.session)
        return [(parent.plural, parent.path), (name, parent.url(rows.parent_id))]

    async def merged(self, ctx: Context, form: Form, row: R) -> Merge | None:
        """Both versions, if the form is outdated."""
        if not is_behind(form, row.version):
            return None
        fields = self.rows.whole(self.rows.fields_of(row), ctx.facts)
        names = await self.rows.names(ctx.session)
        now = merging.Row(fields, self.form_of(ctx, row), row.version, names)
        key = self.noun.key, row.id or ONLY
        return await merging.merged(ctx.session, ctx.request.state.viewer, form, now, key, self.fields_in(ctx))

    def fields_in(self, ctx: Context) -> FieldsIn[F]:
        """How to read the fields from a stored state."""

        def read(rows: Mapping[str, Any], row_id: int) -> F | None:
            fields = self.rows.fields_in(rows, row_id)
            return self.rows.whole(fields, ctx.facts) if fields else None

        return read

    def form_of(self, ctx: Context, row: R) -> Form:
        form = Form.of(self.rows.whole(self.rows.fields_of(row), ctx.facts), self.noun.input)
        form.typed |= self.typed(row) | {"version": [str(row.version)]}
        return form


def opened(form: Form) -> int:
    """The version that the form was opened with. Conflict if there is none, since the delete page was never shown."""
    if form.version is None:
        raise Conflict("Review what is deleted, then confirm.")
    return form.version


def done(saved: SaveResult[Any], url: str, before: str = "", undo_url: str | None = None) -> Response:
    """Redirect to `url`, where a toast shows the outcome and offers to undo it. `undo_url`: empty for what can't be undone."""
    usual = f"/changes/{saved.change_id}/undo"
    return redirect(url, f"{before}{saved.sentence}", undo_url=usual if undo_url is None else undo_url)
