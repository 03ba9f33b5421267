"""Import of an existing haproxy.cfg: each line's outcome and what would change, and then one save."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response
from starlette.datastructures import UploadFile

from guardpanel.connected import while_connected
from guardpanel.dependencies import Editor
from guardpanel.errors import FieldError, Invalid, NothingNew, Problem
from guardpanel.field_codes import FieldCode
from guardpanel.models import User
from guardpanel.services.importing.importing import Beside, Imported, imported_in_thread
from guardpanel.services.importing.outcomes import printable
from guardpanel.services.importing.source import LARGEST
from guardpanel.services.site_file import plans
from guardpanel.services.site_file.applying import Options
from guardpanel.services.site_file.entries import row_outside
from guardpanel.services.site_file.plans import Plan
from guardpanel.views.answers import page, redirect
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.editing import done
from guardpanel.views.forms import Form
from guardpanel.views.refusals import live_number, refusal

HOME = "/system/import"

MOST_FILES = 20

MOST_LINES = 2_000
"Outcomes on the page. The command prints all."

NAME = "haproxy.cfg"
"In the list of changes."

router = APIRouter(prefix=HOME)


@router.get("")
async def index(ctx: ContextDep, _editor: Editor) -> Response:
    return await _index(ctx, Form({}))


@router.post("")
async def read(ctx: ContextDep, editor: Editor) -> Response:
    """Read what was sent, and show what becomes of it. Changes nothing."""
    sent = await _sent(ctx)
    try:
        imported = await while_connected(ctx.request, imported_in_thread(sent.content(), Beside(sent.files())))
    except Invalid as problem:
        return await _index(ctx, sent.form(problem), problem)
    form = Form({"site": [imported.site]})
    return await _check(ctx, form, editor, imported)


@router.post("/check")
async def check(ctx: ContextDep, editor: Editor) -> Response:
    """The site file as it was edited."""
    return await _check(ctx, await Form.read(ctx.request), editor)


@router.post("/apply")
async def apply(ctx: ContextDep, editor: Editor) -> Response:
    form = await Form.read(ctx.request)
    try:
        document = await plans.document_in(form.value("site"))
        saved = await plans.apply(ctx.changes, form.save_request(editor), document, _options(form), NAME)
    except NothingNew as problem:
        return redirect("/virtual-hosts", problem.message)
    except Problem as problem:
        return await _confirm(ctx, form, problem=problem)
    return done(saved, "/virtual-hosts", "Imported. ")


@dataclass(frozen=True)
class Sent:
    """A file with its name, or the text of one, and the files beside it by name."""

    file: bytes
    name: str
    text: str
    beside: dict[str, bytes]

    def content(self) -> bytes:
        if not self.name and not self.text.strip():
            raise Invalid.at("text", "Choose a file, or paste its text.", FieldCode.REQUIRED)
        return self.file if self.name else self.text.encode()

    def files(self) -> dict[str, str]:
        for name, beyond in self.beside.items():
            if len(beyond) > LARGEST:
                raise Invalid.at("maps", f"{printable(name)}: at most {LARGEST // 1024**2} MiB.")
        return {name: each.decode("utf-8", "replace") for name, each in self.beside.items()}

    def form(self, problem: Invalid) -> Form:
        """With the text as it was typed, and the names of files, which browsers have to be given again."""
        place = "file" if self.name else "text"
        problem.errors = {place if name == "file" else name: error for name, error in problem.errors.items()}
        names = {"file_name": [printable(self.name)], "map_names": [", ".join(map(printable, self.beside))]}
        return Form({"text": [self.text], **names}, problem.errors)


async def _sent(ctx: Context) -> Sent:
    async with ctx.request.form(max_files=MOST_FILES, max_fields=MOST_FILES, max_part_size=LARGEST + 1) as sent:
        file, typed = sent.get("file"), sent.get("text")
        name = (file.filename or "") if isinstance(file, UploadFile) else ""
        content = await file.read(LARGEST + 1) if isinstance(file, UploadFile) and name else b""
        beside = [each for each in sent.getlist("maps") if isinstance(each, UploadFile) and each.filename]
        files = {each.filename or "": await each.read(LARGEST + 1) for each in beside}
    return Sent(content, name, typed if isinstance(typed, str) else "", files)


def _options(form: Form) -> Options:
    return Options(save_anyway=form.checked("save_anyway"))


async def _check(ctx: Context, form: Form, editor: User, imported: Imported | None = None) -> Response:
    if not form.value("site").strip():
        return await _confirm(ctx, form, imported)
    try:
        plan = await while_connected(ctx.request, _planned(ctx, form, editor))
    except Problem as problem:
        return await _confirm(ctx, form, imported, problem=problem)
    return await _confirm(ctx, form, imported, plan)


async def _planned(ctx: Context, form: Form, editor: User) -> Plan:
    document = await plans.document_in(form.value("site"))
    return await plans.plan(ctx.changes, form.save_request(editor), document, Options(save_anyway=True))


async def _index(ctx: Context, form: Form, problem: Problem | None = None) -> Response:
    status = problem.status if problem else 200
    summary = refusal(problem, await live_number(ctx.session)) if problem else None
    return await page(ctx.request, "importing/index.html", {"form": form, "refusal": summary}, status_code=status)


async def _confirm(
    ctx: Context, form: Form, imported: Imported | None = None, plan: Plan | None = None, problem: Problem | None = None
) -> Response:
    context = {
        "form": form,
        "imported": imported,
        "outcomes": imported.outcomes[:MOST_LINES] if imported else [],
        "plan": plan,
        "refusal": await _summary(ctx, problem) if problem else None,
    }
    status = problem.status if problem and imported is None else 200
    return await page(ctx.request, "importing/confirm.html", context, status_code=status)


async def _summary(ctx: Context, problem: Problem) -> dict[str, Any]:
    """Errors name lines of the site file, which is one field."""
    summary = refusal(problem, await live_number(ctx.session))
    links = [{"label": _label(place, error), "url": "#f-site"} for place, error in problem.errors.items()]
    return summary | {"links": links, "title": "Edit the site file" if links else summary["title"]}


def _label(place: str, error: FieldError) -> str:
    where = f"{error.where[:1].upper()}{error.where[1:]}: " if error.where else ""
    return f"{where}{error.message}" if row_outside(place, error) else f"{where}{place}: {error.message}"
