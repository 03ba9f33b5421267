"""Path bindings: the page of one, and its form."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.models import PathBinding
from guardpanel.models.path_binding import PathBindingFields
from guardpanel.services import error_pages, path_bindings, policies, policy_uses, virtual_hosts
from guardpanel.services.policy_uses import Place
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import detail
from guardpanel.views.editing import Editing
from guardpanel.views.forms import Form


class PathBindingEditing(Editing[PathBinding, PathBindingFields]):
    async def new_form(self, ctx: Context) -> Form:
        """With the values in the URL: links from events fill the form in."""
        form, query = Form.of(PathBindingFields.model_construct(None)), ctx.request.query_params
        form.typed |= {name: [query[name]] for name in PathBindingFields.model_fields if name in query}
        return form

    async def beside_form(self, ctx: Context) -> Mapping[str, Any]:
        pages = await error_pages.as_options(ctx.session)
        return {"policies": await policies.all_of_them(ctx.session), "error_pages": pages}


EDITING = PathBindingEditing(path_bindings.ROWS)

router = EDITING.router()


@router.get("/{path_binding_id}")
async def show(
    ctx: ContextDep,
    virtual_host_id: Annotated[RowId, Path(alias="virtual_host_id")],
    path_binding_id: RowId,
    _viewer: Viewer,
) -> Response:
    rows = path_bindings.ROWS.under(virtual_host_id)
    row, host = await rows.find(ctx.session, path_binding_id), await virtual_hosts.find(ctx.session, virtual_host_id)
    place, fields = Place.of(host, row), rows.fields_of(row)
    policy = await policy_uses.policy_of(ctx.session, place)
    context = {
        "fields": fields,
        "policy": policy,
        "mode": place.mode_under(policy),
        "reach": path_bindings.reach(fields, host, policy),
        "prices": path_bindings.prices(fields, host, policy),
        "own_delivery": path_bindings.own_delivery(fields, await rows.names(ctx.session)),
        "own_servers": await ctx.panel.engines.servers_of(f"be_{host.id}.{row.id}") if fields.own_servers else (),
    }
    return await page(ctx.request, "path_bindings/show.html", context | await detail(ctx, EDITING, rows, row))
