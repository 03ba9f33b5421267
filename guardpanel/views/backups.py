"""Backup and restore: a download, and a restore in two steps."""

from collections.abc import AsyncIterator
from functools import partial
from typing import BinaryIO

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import UploadFile

from guardpanel.dependencies import Editor, PanelDep, SessionDep, client_address
from guardpanel.errors import Conflict, Drifted, FieldError, Invalid, Problem, RollbackFailed, RolledBack
from guardpanel.models import NOUNS
from guardpanel.services.backups import restores, sealing
from guardpanel.services.backups.backups import Candidate
from guardpanel.views.answers import page, redirect
from guardpanel.views.forms import Form
from guardpanel.views.refusals import refusal

router = APIRouter(prefix="/system/backup")

HOME = "/system/backup"
PIECE = 256 * 1024
MOST_FIELDS = 10


@router.get("")
async def index(request: Request, _editor: Editor) -> Response:
    return await show(request, Form({}))


@router.post("/download")
async def download(request: Request, panel: PanelDep, editor: Editor) -> Response:
    """The whole installation as a file. It contains keys and password hashes, so it requires the password."""
    form = await Form.read(request)
    try:
        words = sealing.passphrase(form.value("passphrase"))
        await panel.accounts.must_know_password(editor, form.value("password"), client_address(request))
        manifest, file = await panel.backups.download(words)
    except Problem as problem:
        return await show(request, form.refused(problem), problem)
    name = f"guardpanel-{manifest.made_at:%Y%m%d-%H%M}.{'backup' if words else 'tar.gz'}"
    headers = {"content-disposition": f'attachment; filename="{name}"', "content-length": str(file.seek(0, 2))}
    return StreamingResponse(pieces(file), media_type="application/octet-stream", headers=headers)


@router.post("/upload")
async def upload(request: Request, panel: PanelDep, _editor: Editor) -> Response:
    """Read an uploaded backup and check it. Changes nothing."""
    async with request.form(max_files=1, max_fields=MOST_FIELDS) as sent:
        file, words = sent.get("file"), sent.get("file_passphrase")
        try:
            if not isinstance(file, UploadFile) or not file.filename:
                raise Invalid.at("file", "Choose a backup file.")
            candidate = await panel.backups.take(file.file, words if isinstance(words, str) else "")
        except Problem as problem:
            return await show(request, Form({}, at_upload(problem)), problem)
    return redirect(f"{HOME}/{candidate.token}")


@router.get("/{token}")
async def confirm(request: Request, token: str, panel: PanelDep, session: SessionDep, _editor: Editor) -> Response:
    return await show_candidate(request, session, await panel.backups.find(token), Form({}))


@router.post("/{token}/restore")
async def restore(request: Request, token: str, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    form, candidate = await Form.read(request), await panel.backups.find(token)
    try:
        if not candidate.administrators:
            raise Conflict("This backup has no administrator account, so no one could make changes after restoring it.")
        await panel.accounts.must_know_password(editor, form.value("password"), client_address(request))
        saved = await restores.restore(panel.changes, form.save_request(editor), candidate)
    except Problem as problem:
        return await show_candidate(request, session, candidate, form.refused(problem), problem)
    panel.backups.drop(token)
    return redirect("/login", f"{candidate.summary}. {saved.sentence}. Log in with an account of the backup.")


@router.post("/{token}/discard")
async def discard(token: str, panel: PanelDep, _editor: Editor) -> Response:
    panel.backups.drop(token)
    return redirect(HOME, "Discarded the upload")


async def show(request: Request, form: Form, problem: Problem | None = None) -> Response:
    context = {"form": form, "shortest": sealing.SHORTEST, "refusal": summary_of(form, problem)}
    return await page(request, "backups/index.html", context, status_code=problem.status if problem else 200)


async def show_candidate(
    request: Request, session: SessionDep, candidate: Candidate, form: Form, problem: Problem | None = None
) -> Response:  # fmt: skip
    outlook = await restores.outlook(session, candidate)
    context = {"candidate": candidate, "outlook": outlook, "form": form, "refusal": summary_of(form, problem)}
    context["nouns"] = NOUNS
    return await page(request, "backups/confirm.html", context, status_code=problem.status if problem else 200)


def summary_of(form: Form, problem: Problem | None) -> dict[str, object] | None:
    """The message above a rejected form, unless its field already shows it."""
    if problem is None or (form.errors and isinstance(problem, Invalid)):
        return None
    toast = refusal(problem, None)
    if not isinstance(problem, Drifted | RolledBack | RollbackFailed):
        toast["text"] = "Nothing was changed."
    return toast


def at_upload(problem: Problem) -> dict[str, FieldError]:
    """The error at the field that caused it: this form's passphrase, or the file."""
    if "file" in problem.errors:
        return dict(problem.errors)
    wrong = problem.errors.get("passphrase")
    return {"file_passphrase": wrong} if wrong else {"file": FieldError(problem.message)}


async def pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    """The file from its start. It is deleted when it is closed, even if the browser disconnects."""
    with file:
        file.seek(0)
        while piece := await anyio.to_thread.run_sync(partial(file.read, PIECE)):
            yield piece
