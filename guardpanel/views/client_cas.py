"""Client CAs: the list, the page of one, and their form."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import Response
from starlette.datastructures import UploadFile

from guardpanel.certificates.client_authorities import must_fit, read
from guardpanel.certificates.client_authority_state import list_state
from guardpanel.dependencies import Editor, RowId, Viewer
from guardpanel.errors import Conflict, Invalid, StorageFailed
from guardpanel.models import ClientCa
from guardpanel.models.certificates.client_ca import LARGEST, ClientCaFields
from guardpanel.services import client_cas
from guardpanel.views.answers import page, redirect
from guardpanel.views.certificate_form import KEY, MOST_FILES
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import detail
from guardpanel.views.editing import Editing
from guardpanel.views.forms import MOST_FIELDS, Form
from guardpanel.views.lists import Listing

LEFT_OUT = "-----BEGIN PRIVATE KEY-----\n(left out)\n-----END PRIVATE KEY-----"
"Refused like the key whose place it takes."


class ClientCaEditing(Editing[ClientCa, ClientCaFields]):
    async def beside_delete(self, ctx: Context, row: ClientCa) -> Mapping[str, Any]:
        used = (await client_cas.used_by(ctx.session, [row])).get(row.id or 0, [])
        return {"used": used, "is_kept": bool(used)}

    async def read_form(self, ctx: Context) -> Form:
        """With the texts of files in place of what was typed, as the operator then sees them. No private key gets into a page."""
        async with ctx.request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS) as sent:
            files = [part for part in sent.getlist("file") if isinstance(part, UploadFile) and part.filename]
            contents = [await file.read(LARGEST + 1) for file in files]
            form = await Form.read(ctx.request, self.noun.input)
        for name in ("certificates", "revocation_lists"):
            form.typed[name] = [KEY.sub(LEFT_OUT, form.value(name))]
        form.typed |= await asyncio.to_thread(_typed, contents)
        return form


def _typed(contents: Sequence[bytes]) -> dict[str, list[str]]:
    """What the fields have after files were chosen. A file that can't be read stays one, and is refused there."""
    try:
        authorities = read("", "", contents)
        must_fit(authorities, contents)
    except Invalid:
        return {"file": ["\n".join(base64.b64encode(content).decode() for content in contents)]}
    texts = {"certificates": authorities.certificates_pem, "revocation_lists": authorities.lists_pem}
    return {name: [text] for name, text in texts.items() if text} | {"file": [""]}


EDITING = ClientCaEditing(client_cas.ROWS)

router = EDITING.router()


@router.get("")
async def index(ctx: ContextDep, _viewer: Viewer, q: str = "", sort: str = "name", offset: int = 0) -> Response:
    listing = Listing(EDITING.noun.path, sort, offset, {"q": q.strip()[:200]})
    rows = await client_cas.page(ctx.session, q=listing.kept["q"], **listing.paging)
    context = {
        "listing": listing,
        "rows": rows,
        "states": await client_cas.states(rows.items),
        "authorities": {row.id: client_cas.authorities_of(row) for row in rows.items},
        "used": await client_cas.used_by(ctx.session, rows.items),
    }
    return await page(ctx.request, "client_cas/index.html", context)


@router.get("/{client_ca_id}")
async def show(ctx: ContextDep, client_ca_id: RowId, _viewer: Viewer) -> Response:
    row = await client_cas.find(ctx.session, client_ca_id)
    state = (await client_cas.states([row]))[client_ca_id]  # In a thread: it reads the texts, which are kept then.
    its, downloaded = client_cas.authorities_of(row), await ctx.panel.revocation_lists.of(ctx.session, row)
    context = {
        "authorities": its,
        "state": state,
        "list_state": list_state(its, datetime.now(UTC)),
        "downloaded": downloaded,
        "is_stale": downloaded is not None and downloaded.is_stale(datetime.now(UTC)),
        "used": (await client_cas.used_by(ctx.session, [row])).get(client_ca_id, []),
        **await detail(ctx, EDITING, client_cas.ROWS, row),
    }
    return await page(ctx.request, "client_cas/show.html", context)


@router.post("/{client_ca_id}/revocation-lists/download")
async def download(ctx: ContextDep, client_ca_id: RowId, editor: Editor) -> Response:
    form, url = await Form.read(ctx.request), EDITING.noun.url(client_ca_id)
    try:
        downloaded = await ctx.panel.revocation_lists.download(client_ca_id, form.save_request(editor))
    except (Conflict, StorageFailed) as problem:
        return redirect(url, problem.message, failed=True)
    words = "The download failed" if downloaded.problem else "Up to date"
    return redirect(url, words, failed=bool(downloaded.problem))
