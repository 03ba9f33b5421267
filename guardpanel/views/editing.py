"""The pages that change a noun: new, edit, delete, and what they look like after a refusal. Once for every noun.

A noun's view makes an `Editing` of its own and says what its form shows besides its fields; its template `_form.html` has the
fields. The typed text stays whatever becomes of it, and what others changed meanwhile stands beside it (`merging.py`).
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from fastapi import APIRouter, Response
from pydantic import BaseModel

from guardpanel.dependencies import Editor, IdInPath, anew, number_in_path
from guardpanel.errors import Conflict, NotFound, Problem
from guardpanel.models import NOUNS
from guardpanel.services.crud import Crud, Row
from guardpanel.services.history import edits
from guardpanel.services.history.edits import FieldsIn
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import Saved
from guardpanel.views import merging
from guardpanel.views.answers import page, redirect
from guardpanel.views.forms import Form
from guardpanel.views.merging import Gone, Merge, authors, is_behind
from guardpanel.views.refusals import refused
from guardpanel.views.visits import Here, Visit

R = TypeVar("R", bound=Row)
F = TypeVar("F", bound=BaseModel)

ONLY = 1
"The id of a noun with one row."


class Editing(Generic[R, F]):
    """What a noun's view may say for itself comes first; the pages follow."""

    def __init__(self, rows: Crud[R, F]) -> None:
        self.rows = rows
        self.noun = rows.noun

    def rows_in(self, here: Visit) -> Crud[R, F]:
        """Those that this address is about."""
        return self.rows.under(number_in_path(here.request, self.noun.within)) if self.noun.within else self.rows

    async def new_form(self, here: Visit) -> Form:  # noqa: ARG002
        """What a new one starts with."""
        return Form({}, model=self.rows.fields)

    async def edit_form(self, here: Visit, row: R) -> Form:
        """What editing starts with."""
        return self.form_of(here, row)

    async def beside_form(self, here: Visit) -> Mapping[str, Any]:  # noqa: ARG002
        """What the form shows besides its fields."""
        return {}

    async def beside_delete(self, here: Visit, row: R) -> Mapping[str, Any]:  # noqa: ARG002
        """What the page that asks before deleting shows; `is_kept`: it cannot be deleted as it is."""
        return {}

    async def must_be_meant(self, here: Visit, form: Form, row: R, fields: F) -> None:
        """Raises a Problem for what is asked about before it is saved."""

    def typed(self, row: R) -> dict[str, list[str]]:  # noqa: ARG002
        """Fields that are typed otherwise than they are stored."""
        return {}

    # Addresses

    def router(self) -> APIRouter:
        """With the pages below; the noun's own follow them, since `/new` is no id."""
        router = APIRouter(prefix=self.noun.path)
        if self.noun.only_name:
            router.get("/edit")(self.edit_only)
            router.post("")(self.update_only)
            return router
        one = f"/{{{self.noun.key}_id}}"
        router.get("/new")(self.new)
        router.post("")(self.create)
        router.get(f"{one}/edit")(self.edit)
        router.post(one)(self.update)
        router.get(f"{one}/delete")(self.confirm)
        router.post(f"{one}/delete")(self.destroy)
        return router

    async def edit_only(self, here: Here, editor: Editor) -> Response:
        return await self.edit(ONLY, here, editor)

    async def update_only(self, here: Here, editor: Editor) -> Response:
        return await self.update(ONLY, here, editor)

    async def new(self, here: Here, _editor: Editor) -> Response:
        return await self.show_form(here, await self.new_form(here), None)

    async def create(self, here: Here, editor: Editor) -> Response:
        form = await Form.read(here.request, self.rows.fields)
        if form.change_rows():
            return await self.show_form(here, form, None)
        try:
            fields = form.fields(self.rows.fields)
            saved = await self.rows_in(here).create(here.changes, form.asked(editor), fields)
        except NotFound:
            raise
        except Problem as problem:
            return await self.show_form(here, form, None, problem)
        return done(saved, self.noun.url_of(saved.value))

    async def edit(self, row_id: IdInPath, here: Here, _editor: Editor) -> Response:
        row = await self.rows_in(here).find(here.session, row_id)
        return await self.show_form(here, await self.edit_form(here, row), row)

    async def update(self, row_id: IdInPath, here: Here, editor: Editor) -> Response:
        form = await Form.read(here.request, self.rows.fields)
        form.typed.setdefault("version", [""])  # without one it is behind: what it began with is not known
        if form.change_rows():
            return await self.show_edit(here, form, row_id)
        rows = self.rows_in(here)
        try:
            row = await rows.find(here.session, row_id)
            url = self.noun.url_of(row)
            fields = form.settled(self.form_of(here, row)).fields(rows.fields)
            await self.must_be_meant(here, form, row, fields)
            await anew(here.session)
            saved = await rows.update(here.changes, form.asked(editor), row_id, fields, form.version)
        except Problem as problem:
            return await self.show_edit(here, form, row_id, problem)
        return done(saved, url)

    async def confirm(self, row_id: IdInPath, here: Here, _editor: Editor) -> Response:
        return await self.show_delete(here, Form({}), row_id)

    async def destroy(self, row_id: IdInPath, here: Here, editor: Editor) -> Response:
        form, rows = await Form.read(here.request, self.rows.fields), self.rows_in(here)
        try:
            saved = await rows.delete(here.changes, form.asked(editor), row_id, opened(form))
        except NotFound:
            return redirect(self.home(rows), "This was already deleted")
        except Problem as problem:
            return await self.show_delete(here, form, row_id, problem)
        return done(saved, self.home(rows), f"Deleted {saved.value}. ")

    def home(self, rows: Crud[R, F]) -> str:
        """Where they are listed: on the page of the row within which they are, if they are within one."""
        return self.noun.path if rows.parent_id is None else NOUNS[self.noun.parent].url(rows.parent_id)

    # Pages

    async def show_form(
        self,
        here: Visit,
        form: Form,
        row: R | None,
        problem: Problem | None = None,
        merge: Merge | None = None,
        gone: Gone | None = None,
    ) -> Response:
        """The form as it was typed; after a refusal with the summary above it and the words at each field."""
        beside = await self.beside_form(here)
        form = form if problem is None else form.refused(problem)
        template = "shared/edit.html" if row else "shared/new.html"
        return await self.answer(here, template, form, row, problem, {**beside, "merge": merge, "gone": gone})

    async def show_edit(self, here: Visit, form: Form, row_id: int, problem: Problem | None = None) -> Response:
        """What was typed, beside what is there now where that is not what the form began with."""
        await anew(here.session)
        try:
            row = await self.rows_in(here).find(here.session, row_id)
        except NotFound as missing:
            since = await edits.since(here.session, self.noun.key, row_id, 0, None, self.fields_in(here))
            gone = Gone(authors(since, here.request.state.viewer), since.last)
            return await self.show_form(here, form, None, missing, gone=gone)
        return await self.show_form(here, form, row, problem, await self.merged(here, form, row))

    async def show_delete(self, here: Visit, form: Form, row_id: int, problem: Problem | None = None) -> Response:
        """What deleting it means; if it changed meanwhile, what is about to go that was not there before."""
        await anew(here.session)
        row = await self.rows_in(here).find(here.session, row_id)
        beside = {
            **await self.beside_delete(here, row),
            "merge": await self.merged(here, form, row),
            "goes_with": await self.rows.goes_with(here.session, row_id),
        }
        return await self.answer(here, "shared/delete.html", form, row, problem, beside)

    async def answer(
        self, here: Visit, template: str, form: Form, row: R | None, problem: Problem | None, beside: Mapping[str, Any]
    ) -> Response:
        refusal, rows = await refused(here.session, problem, self.rows.fields), self.rows_in(here)
        context = {
            "noun": self.noun,
            "form": form,
            "row": row,
            "refusal": refusal,
            "trail": await self.trail(here, rows),
        }
        context |= {"home": self.home(rows), "place": self.noun.place(rows.parent_id), **beside}
        if row:
            name = self.noun.only_name.lower() or self.rows.name(row)
            context |= {"name": name, "url": self.noun.url_of(row)}
        return await page(here.request, template, context, status_code=problem.status if problem else 200)

    async def trail(self, here: Visit, rows: Crud[R, F]) -> list[tuple[str, str]]:
        """What stands before it in the breadcrumb."""
        if rows.parent_id is None:
            return [(self.noun.plural, self.noun.path)]
        parent, name = NOUNS[self.noun.parent], await rows.parent_name(here.session)
        return [(parent.plural, parent.path), (name, parent.url(rows.parent_id))]

    async def merged(self, here: Visit, form: Form, row: R) -> Merge | None:
        """Both versions, where the form is behind."""
        if not is_behind(form, row.version):
            return None
        fields = self.rows.whole(self.rows.fields_of(row), here.facts)
        names = await self.rows.names(here.session)
        now = merging.Row(fields, self.form_of(here, row), row.version, names)
        key = self.noun.key, row.id or ONLY
        return await merging.merged(here.session, here.request.state.viewer, form, now, key, self.fields_in(here))

    def fields_in(self, here: Visit) -> FieldsIn[F]:
        """How the fields are read from a kept state."""

        def found(rows: Mapping[str, Any], row_id: int) -> F | None:
            fields = self.rows.fields_in(rows, row_id)
            return self.rows.whole(fields, here.facts) if fields else None

        return found

    def form_of(self, here: Visit, row: R) -> Form:
        form = Form.of(self.rows.whole(self.rows.fields_of(row), here.facts))
        form.typed |= self.typed(row) | {"version": [str(row.version)]}
        return form


def opened(form: Form) -> int:
    """The version that the form was opened with. Conflict where it names none: nobody asked before this is deleted."""
    if form.version is None:
        raise Conflict("Review what is deleted, then confirm.")
    return form.version


def done(saved: Saved[Any], url: str, before: str = "") -> Response:
    """To `url`, whose page says what is live now and offers to undo it."""
    return redirect(url, f"{before}{saved.sentence}", undo_url=f"/changes/{saved.change_id}/undo")


async def last_changes(here: Visit, row: Row, rows: Crud[Any, Any]) -> list[Any]:
    """For the page of one."""
    return (await revisions.page(here.session, noun=rows.noun.key, noun_id=row.id or ONLY, limit=5)).items
