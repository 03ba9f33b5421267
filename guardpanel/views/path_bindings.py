"""Path bindings: the page of one, and its form."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path, Response

from guardpanel.dependencies import Editor, RowId, Viewer, number_in_path
from guardpanel.engines.haproxy.server_states import ServerStatus
from guardpanel.errors import NeedsConfirmation, NotFound, Problem
from guardpanel.models import PathBinding
from guardpanel.models.delivery.own_server import own_server
from guardpanel.models.path_binding import PathBindingFields
from guardpanel.services import (
    error_pages,
    path_bindings,
    policies,
    policy_uses,
    server_states,
    site_logins,
    virtual_hosts,
)
from guardpanel.services.policy_uses import Place
from guardpanel.views.answers import page, redirect
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import detail
from guardpanel.views.editing import Editing, done
from guardpanel.views.forms import Form


class PathBindingEditing(Editing[PathBinding, PathBindingFields]):
    async def new_form(self, ctx: Context) -> Form:
        """With the values in the URL: links from events fill the form in."""
        form, query = Form.of(PathBindingFields.model_construct(None)), ctx.request.query_params
        form.typed |= {name: [query[name]] for name in PathBindingFields.model_fields if name in query}
        return form

    async def beside_form(self, ctx: Context) -> Mapping[str, Any]:
        logins = site_logins.ROWS.under(number_in_path(ctx.request, self.noun.within))
        return {
            "policies": await policies.all_of_them(ctx.session),
            "error_pages": await error_pages.as_options(ctx.session),
            "has_logins": (await logins.page(ctx.session, limit=1)).total > 0,
            "logins_place": f"{logins.noun.place(logins.parent_id)}/new",
        }


async def _servers(ctx: Context, row: PathBinding) -> tuple[ServerStatus, ...]:
    """As HAProxy has them."""
    return await ctx.panel.engines.servers_of(f"be_{row.virtual_host_id}.{row.id}") if row.own_servers else ()


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
        "host": host,
        "own_servers": [own_server(line) for line in fields.own_servers],
        "states": {server.name: server for server in await _servers(ctx, row)},
    }
    return await page(ctx.request, "path_bindings/show.html", context | await detail(ctx, EDITING, rows, row))


@router.post("/{path_binding_id}/servers")
async def set_server(
    ctx: ContextDep,
    virtual_host_id: Annotated[RowId, Path(alias="virtual_host_id")],
    path_binding_id: RowId,
    editor: Editor,
) -> Response:
    """Take one of its own servers out, or back."""
    form, url = await Form.read(ctx.request), EDITING.noun.url(path_binding_id, virtual_host_id)
    try:
        state, place = server_states.state_of(form.value("state")), (virtual_host_id, path_binding_id)
        request = form.save_request(editor)
        saved = await server_states.choose_of_path(ctx.changes, request, *place, form.value("server"), state)
    except NotFound:
        raise
    except NeedsConfirmation as doubt:
        return redirect(url, f"{doubt.message} Edit the path binding to save it anyway.", failed=True)
    except Problem as problem:
        return redirect(url, problem.message, failed=True)
    return done(saved, url)
