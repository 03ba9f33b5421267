"""Address lists: the list, the page of one with its entries, and their import and export."""

import asyncio
import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query, Response
from starlette.datastructures import UploadFile

from guardpanel.access import parsing
from guardpanel.dependencies import Editor, RowId, Viewer
from guardpanel.errors import Problem
from guardpanel.models import AddressList
from guardpanel.models.access.address_list import LARGEST_TEXT, AddressListFields, ListKind
from guardpanel.services import address_lists, virtual_hosts
from guardpanel.services.access import feed_states
from guardpanel.services.access.list_edits import Edit, adding, removing, replacing
from guardpanel.views.access import why_url
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import detail
from guardpanel.views.editing import Editing, done
from guardpanel.views.feeds import feed_context
from guardpanel.views.forms import MOST_FIELDS, Form
from guardpanel.views.lists import Listing
from guardpanel.views.refusals import refused

MOST_HOSTS = 500
"Virtual hosts to choose from."


FROM_URL = ("name", "kind", "applies_to", "virtual_host_ids", "paths", "entries")


class AddressListEditing(Editing[AddressList, AddressListFields]):
    async def new_form(self, ctx: Context) -> Form:
        """With the values in the URL: links from events fill the form in."""
        form = Form.of(AddressListFields.model_construct(None), self.noun.input)
        query = ctx.request.query_params
        form.typed |= {name: query.getlist(name) for name in FROM_URL if name in query}
        return form

    async def read_form(self, ctx: Context) -> Form:
        return await read_entries(ctx, self.noun.input)

    async def beside_form(self, ctx: Context) -> Mapping[str, Any]:
        return {"hosts": await virtual_hosts.as_options(ctx.session), "most_hosts": MOST_HOSTS}


async def read_entries(ctx: Context, model: Any) -> Form:
    """The form. A file that came with it counts as text that was pasted."""
    async with ctx.request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=LARGEST_TEXT) as sent:
        file = sent.get("file")
        uploaded = await file.read() if isinstance(file, UploadFile) and file.filename else b""
        form = await Form.read(ctx.request, model)
    if uploaded:
        form.typed["entries"] = [f"{form.value('entries')}\n{parsing.text_of(uploaded)}".removeprefix("\n")]
    return form


EDITING = AddressListEditing(address_lists.ROWS)

router = EDITING.router()


@router.get("")
async def index(
    ctx: ContextDep, _viewer: Viewer, q: str = "", kind: str = "", sort: str = "name", offset: int = 0
) -> Response:
    listing = Listing(EDITING.noun.path, sort, offset, {"q": q.strip()[:200], "kind": kind})
    chosen = ListKind(kind) if kind in set(ListKind) else None
    rows = await address_lists.page(ctx.session, q=listing.kept["q"], kind=chosen, **listing.paging)
    now = datetime.now(UTC)
    feeds = {row.id: (feed, feed.is_stale(row.feed_interval, now)) for row, feed in await feed_states.fed(ctx.session)}
    kinds = {kind.value: kind.word for kind in ListKind}
    context = {"listing": listing, "rows": rows, "kinds": kinds, "feeds": feeds}
    return await page(ctx.request, "address_lists/index.html", context)


@router.get("/{address_list_id}")
async def show(
    ctx: ContextDep, address_list_id: RowId, _viewer: Viewer, q: str = "", offset: Annotated[int, Query(ge=0)] = 0
) -> Response:
    form = Form({}, model=EDITING.noun.input)
    return await _show(ctx, address_list_id, form, Listing("", "", offset, {"q": q.strip()[:200]}))


async def _show(ctx: Context, number: int, form: Form, listing: Listing, problem: Problem | None = None) -> Response:
    row = await address_lists.find(ctx.session, number)
    entries = await address_lists.entries_page(ctx.session, row, q=listing.kept["q"], offset=listing.offset)
    names = (await address_lists.ROWS.names(ctx.session))["virtual_host"]
    context = {
        "form": form if problem is None else form.refused(problem),
        "refusal": await refused(ctx.session, problem, EDITING.noun.input),
        "listing": Listing(EDITING.noun.url_of(row), "", listing.offset, listing.kept, usual=""),
        "entries": entries,
        "ends": [_moment(entry.ends_at) for entry in entries.items],
        "now": datetime.now(UTC),
        "hosts": [(number, names.get(number, str(number))) for number in row.virtual_host_ids],
        **await feed_context(ctx, row),
        **await detail(ctx, EDITING, address_lists.ROWS, row),
    }
    status = problem.status if problem else 200
    return await page(ctx.request, "address_lists/show.html", context, status_code=status)


def _moment(ends_at: int) -> datetime | None:
    return datetime.fromtimestamp(ends_at, UTC) if ends_at else None


@router.post("/{address_list_id}/entries")
async def change_entries(ctx: ContextDep, address_list_id: RowId, editor: Editor) -> Response:
    """Add what was pasted or uploaded, replace all entries with it, or remove those that were chosen."""
    form = await read_entries(ctx, EDITING.noun.input)
    edit = _edit(form)
    try:
        saved = await address_lists.ROWS.edit(
            ctx.changes, form.save_request(editor), address_list_id, edit, confirmed=form.checked("save_anyway")
        )
    except Problem as problem:
        return await _show(ctx, address_list_id, form, Listing("", "", 0, {"q": ""}), problem)
    back = EDITING.noun.url_of(saved.value) if form.value("back") != "why" else why_url(form.value("q"))
    return done(saved, back)


def _edit(form: Form) -> Edit:
    if form.typed.get("remove"):
        return removing(form.typed["remove"])
    text = form.value("entries")
    return replacing(text) if form.checked("replace") else adding(text)


@router.get("/{address_list_id}/entries.{kind}")
async def export(ctx: ContextDep, address_list_id: RowId, kind: str, _viewer: Viewer) -> Response:
    row = await address_lists.find(ctx.session, address_list_id)
    entries = await address_lists.entries_of(ctx.session, row)
    write, media_type = (_csv, "text/csv") if kind == "csv" else (parsing.as_text, "text/plain")
    text = await asyncio.to_thread(write, entries)
    name = f"address-list-{address_list_id}.{'csv' if kind == 'csv' else 'txt'}"
    return Response(text, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})


def _csv(entries: Any) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(parsing.as_csv(entries))
    return out.getvalue()
