"""Where addresses are from: which data there is, how old it is and where it comes from, and which policies ask."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Response
from starlette.datastructures import UploadFile

from guardpanel.access.geo_files import GeoKind
from guardpanel.access.geo_makers import MAKERS, to_credit
from guardpanel.dependencies import Editor, Viewer
from guardpanel.errors import Conflict, FieldError, Invalid, NeedsConfirmation, Problem
from guardpanel.services import geo_data, policies
from guardpanel.services.access.geo_downloads import url_in_use
from guardpanel.services.access.geo_sources import GeoStatus
from guardpanel.views.answers import page, redirect
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import last_changes
from guardpanel.views.editing import Editing
from guardpanel.views.forms import Form

OLD_DAYS = 90
"Networks change hands: older data is marked."

PIECE = 1024 * 1024

MOST_CHANGES = 5

UPLOADED = {GeoKind.COUNTRY: "countries", GeoKind.NETWORK: "networks (ASN)"}

EDITING = Editing(geo_data.ROWS)

router = EDITING.router()


@router.get("")
async def index(ctx: ContextDep, _viewer: Viewer) -> Response:
    return await _index(ctx)


@router.post("/{kind}/upload")
async def upload(ctx: ContextDep, kind: GeoKind, editor: Editor) -> Response:
    """Answers when it is in use, or why it is not."""
    async with ctx.request.form(max_files=1, max_fields=10) as sent:
        file, is_meant = sent.get(f"{kind}_file"), bool(sent.get("save_anyway"))
        try:
            if not isinstance(file, UploadFile) or not file.filename:
                raise Invalid.at("file", "Choose a file.")
            await ctx.panel.geo_downloads.upload(kind, _pieces(file), editor.email, may_shrink=is_meant)
        except (Conflict, Invalid) as problem:
            return await _index(ctx, kind, problem)
    return redirect(EDITING.noun.path, "Uploaded")


@router.post("/{kind}/download")
async def download(ctx: ContextDep, kind: GeoKind, _editor: Editor) -> Response:
    form = await Form.read(ctx.request)
    try:
        state = await ctx.panel.geo_downloads.download(kind, may_shrink=form.checked("save_anyway"))
    except Conflict as problem:
        return redirect(EDITING.noun.path, problem.message, failed=True)
    return redirect(
        EDITING.noun.path, "The download failed" if state.problem else "Up to date", failed=bool(state.problem)
    )


async def _index(ctx: Context, kind: GeoKind | None = None, problem: Problem | None = None) -> Response:
    row, statuses, now = await geo_data.find(ctx.session), await ctx.panel.geo.statuses(), datetime.now(UTC)
    urls = {source.kind: url_in_use(row, source) for source in ctx.panel.geo.sources}
    form, refusal = _refused(kind, problem) if kind and problem else (Form({}), None)
    context = {
        "row": row,
        "form": form,
        "refusal": refusal,
        "statuses": statuses,
        "urls": urls,
        "next_at": {kind: statuses[kind].state.due_at(url, row.interval) for kind, url in urls.items()},
        "stale": [kind for kind, url in urls.items() if url and statuses[kind].state.is_stale(row.interval, now)],
        "to_confirm": kind if isinstance(problem, NeedsConfirmation) else None,
        "asking": await policies.asking_where_from(ctx.session),
        "old_days": OLD_DAYS,
        "makers": MAKERS,
        "to_credit": to_credit,
        "changes": _newest([*await last_changes(ctx, row, geo_data.ROWS), *_uploads(statuses)]),
        "now": now,
    }
    return await page(ctx.request, "access/countries.html", context, status_code=problem.status if problem else 200)


@dataclass(frozen=True)
class Upload:
    """Among changes, though it is no save: data is no configuration."""

    summary: str
    started_at: datetime
    url: str
    outcome: str = "live"
    id: None = None


def _uploads(statuses: Mapping[GeoKind, GeoStatus]) -> Iterator[Upload]:
    """The last of each kind, if it is in use."""
    for kind, status in statuses.items():
        if status.state.uploaded_at:
            yield Upload(f"Uploaded {UPLOADED[kind]}", status.state.uploaded_at, f"#{kind}")


def _newest(changes: list[Any]) -> list[Any]:
    return sorted(changes, key=lambda change: change.started_at, reverse=True)[:MOST_CHANGES]


def _refused(kind: GeoKind, problem: Problem) -> tuple[Form, dict[str, Any]]:
    """The error at the field, and the summary above the page."""
    name, error = f"{kind}_file", problem.errors.get("file") or FieldError(problem.message)
    links = [{"label": error.message, "url": f"#f-{name}"}]
    return Form({}, {name: error}), {"title": "The file is not used", "text": "Nothing was changed.", "links": links}


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(PIECE):
        yield piece
