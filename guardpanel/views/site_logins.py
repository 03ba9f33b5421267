"""Logins: the page of one, and its form. A password is in no page."""

from typing import Annotated

from fastapi import Path, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.models import SiteLogin
from guardpanel.models.site_login import SiteLoginFields
from guardpanel.services import site_logins
from guardpanel.services.saving.login_digests import opened
from guardpanel.views.answers import page
from guardpanel.views.context import ContextDep
from guardpanel.views.details import detail
from guardpanel.views.editing import Editing


class LoginEditing(Editing[SiteLogin, SiteLoginFields]):
    """With nothing of its own."""


EDITING = LoginEditing(site_logins.ROWS)

router = EDITING.router()


@router.get("/{site_login_id}")
async def show(
    ctx: ContextDep,
    virtual_host_id: Annotated[RowId, Path(alias="virtual_host_id")],
    site_login_id: RowId,
    _viewer: Viewer,
) -> Response:
    rows = site_logins.ROWS.under(virtual_host_id)
    row = await rows.find(ctx.session, site_login_id)
    is_usable = bool(opened(row.virtual_host_id, row.name, row.sealed, ctx.changes.seal))
    context = {"is_usable": is_usable, "notes": row.notes}
    return await page(ctx.request, "site_logins/show.html", context | await detail(ctx, EDITING, rows, row))
