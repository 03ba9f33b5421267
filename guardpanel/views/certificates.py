"""Certificates: the list, the page of one, renewal, and the local CA's root to download."""

from datetime import UTC, datetime

from fastapi import Response

from guardpanel.certificates.choosing import state_of
from guardpanel.dependencies import Editor, RowId, Viewer, anew
from guardpanel.errors import Problem
from guardpanel.models.certificates.certificate import Source
from guardpanel.models.certificates.issuing import authority_name
from guardpanel.services import certificate_uses, certificates
from guardpanel.services.https import certificate_renewals, earlier_certificates
from guardpanel.views import orders
from guardpanel.views.answers import page, redirect
from guardpanel.views.certificate_form import CertificateEditing
from guardpanel.views.context import ContextDep
from guardpanel.views.details import detail
from guardpanel.views.editing import done
from guardpanel.views.forms import Form
from guardpanel.views.lists import Listing

EDITING = CertificateEditing(certificates.ROWS)

router = EDITING.router()

PEM = "application/x-pem-file"


@router.get("")
async def index(
    ctx: ContextDep, _viewer: Viewer, q: str = "", source: str = "", sort: str = "expiry", offset: int = 0
) -> Response:
    """Expired ones first, by default."""
    listing = Listing(EDITING.noun.path, sort, offset, {"q": q.strip()[:200], "source": source}, usual="expiry")
    chosen = Source(source) if source in set(Source) else None
    rows = await certificates.page(ctx.session, q=listing.kept["q"], source=chosen, **listing.paging)
    now = datetime.now(UTC)
    context = {
        "listing": listing,
        "rows": rows,
        "states": {row.id: state_of(row.content, now) for row in rows.items},
        "used": await certificates.used_by(ctx.session, rows.items),
        "now": now,
        "renewals": await certificate_renewals.next_renewals(ctx.session, rows.items),
        "source_words": {source.value: source.word for source in Source},
        "authority": await certificates.local_root(ctx.session),
    }
    return await page(ctx.request, "certificates/index.html", context)


@router.get("/local-ca.pem")
async def local_root(ctx: ContextDep, _viewer: Viewer) -> Response:
    """The certificate that browsers must trust. It is public."""
    content = await certificates.local_root(ctx.session)
    if content is None:
        return redirect("/certificates", "There is no local CA yet: add a certificate of it first", failed=True)
    headers = {"content-disposition": 'attachment; filename="guardpanel-local-ca.pem"'}
    return Response(content.chain, media_type=PEM, headers=headers)


@router.get("/{certificate_id}")
async def show(ctx: ContextDep, certificate_id: RowId, _viewer: Viewer) -> Response:
    row = await certificates.find(ctx.session, certificate_id)
    context = {
        "content": row.content,
        "state": state_of(row.content, datetime.now(UTC)),
        "used": (await certificates.used_by(ctx.session, [row])).get(certificate_id, []),
        "chosen_for": await certificate_uses.chosen_for(ctx.session, certificate_id),
        "earlier": await earlier_certificates.earlier(ctx.session, row),
        **(await orders.beside(ctx, certificate_id)),
        "renewal": (await certificate_renewals.next_renewals(ctx.session, [row])).get(certificate_id),
        "authority_name": authority_name(row.authority),
        "other_authorities": [authority_name(url) for url in row.other_authorities],
        **await detail(ctx, EDITING, certificates.ROWS, row),
    }
    return await page(ctx.request, "certificates/show.html", context)


@router.get("/{certificate_id}/chain.pem")
async def chain(ctx: ContextDep, certificate_id: RowId, _viewer: Viewer) -> Response:
    """The certificate with its intermediates. No private key."""
    row = await certificates.find(ctx.session, certificate_id)
    headers = {"content-disposition": f'attachment; filename="certificate-{certificate_id}.pem"'}
    return Response(row.content.chain if row.content else "", media_type=PEM, headers=headers)


@router.post("/{certificate_id}/renew")
async def renew(ctx: ContextDep, certificate_id: RowId, editor: Editor) -> Response:
    return await _save(ctx, certificate_id, editor, None)


@router.post("/{certificate_id}/contents/{content_id}/use")
async def use_again(ctx: ContextDep, certificate_id: RowId, content_id: RowId, editor: Editor) -> Response:
    """Go back to a replaced certificate while its key is kept."""
    return await _save(ctx, certificate_id, editor, content_id)


async def _save(ctx: ContextDep, certificate_id: int, editor: Editor, content_id: int | None) -> Response:
    form, url = await Form.read(ctx.request), f"/certificates/{certificate_id}"
    request = form.save_request(editor)
    try:
        replaced = (await certificates.find(ctx.session, certificate_id)).content
        is_kept = replaced is not None and bool(replaced.sealed_key) and replaced.revoked_at is None
        undo_url = f"{url}/contents/{replaced.id}/use" if replaced is not None and is_kept else ""
        await anew(ctx.session)
        if content_id is None:
            saved = await certificates.renew(ctx.changes, request, certificate_id)
        else:
            saved = await earlier_certificates.use_again(ctx.changes, request, certificate_id, content_id)
    except Problem as problem:
        return redirect(url, problem.message, failed=True)
    return done(saved, url, undo_url=undo_url)
