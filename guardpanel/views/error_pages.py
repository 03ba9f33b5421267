"""Error page sets: the list, the page of one with what visitors see, and their form."""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from fastapi import Response
from fastapi.responses import HTMLResponse
from starlette.datastructures import UploadFile

from guardpanel.dependencies import RowId, Viewer
from guardpanel.errors import NotFound
from guardpanel.models import ErrorPage
from guardpanel.models.error_page import ErrorPageFields
from guardpanel.models.logo import LARGEST
from guardpanel.services import error_pages
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import detail
from guardpanel.views.editing import Editing
from guardpanel.views.forms import MOST_FIELDS, Form
from guardpanel.views.lists import Listing


class ErrorPageEditing(Editing[ErrorPage, ErrorPageFields]):
    async def read_form(self, ctx: Context) -> Form:
        """With a chosen file as the logo, so that it survives every outcome."""
        async with ctx.request.form(max_files=1, max_fields=MOST_FIELDS) as sent:
            files = [part for part in sent.getlist("logo_file") if isinstance(part, UploadFile) and part.filename]
            contents = [await file.read(LARGEST + 1) for file in files]
            form = await Form.read(ctx.request, self.noun.input)
        if form.checked("remove_logo"):
            form.typed["logo"] = [""]
        if contents:
            form.typed["logo_before"] = [form.value("logo")]  # What stays if the file is refused.
            form.typed["logo"] = [base64.b64encode(contents[0]).decode() or "-"]
        return form

    async def beside_delete(self, ctx: Context, row: ErrorPage) -> Mapping[str, Any]:
        used = (await error_pages.used_by(ctx.session, [row])).get(row.id or 0, [])
        return {"used": used, "is_kept": bool(used)}


EDITING = ErrorPageEditing(error_pages.ROWS)

router = EDITING.router()


@router.get("")
async def index(ctx: ContextDep, _viewer: Viewer, q: str = "", sort: str = "name", offset: int = 0) -> Response:
    listing = Listing(EDITING.noun.path, sort, offset, {"q": q.strip()[:200]})
    rows = await error_pages.page(ctx.session, q=listing.kept["q"], **listing.paging)
    context = {"listing": listing, "rows": rows, "used": await error_pages.used_by(ctx.session, rows.items)}
    return await page(ctx.request, "error_pages/index.html", context)


@router.get("/{error_page_id}")
async def show(ctx: ContextDep, error_page_id: RowId, _viewer: Viewer) -> Response:
    row = await error_pages.find(ctx.session, error_page_id)
    context = {
        "used": (await error_pages.used_by(ctx.session, [row])).get(error_page_id, []),
        "shown": error_pages.SHOWN,
        **await detail(ctx, EDITING, error_pages.ROWS, row),
    }
    return await page(ctx.request, "error_pages/show.html", context)


@router.get("/{error_page_id}/preview/{name}")
async def preview(ctx: ContextDep, error_page_id: RowId, name: str, _viewer: Viewer) -> Response:
    """A page as visitors get it. It may do nothing: only its own styles and its picture are allowed."""
    row = await error_pages.find(ctx.session, error_page_id)
    if name not in error_pages.SHOWN:
        raise NotFound("There is no such page.")
    text = error_pages.preview(row, name)
    return HTMLResponse(text, headers={"content-security-policy": policy_for(text)})


def policy_for(text: str) -> str:
    """A content security policy that allows the styles of a page by their hashes."""
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    hashes = (base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in styles)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; style-src {allowed}; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
