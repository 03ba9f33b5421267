"""Virtual hosts: the list, the page of one, and test requests."""

from fastapi import Response

from guardpanel.dependencies import Editor, RowId, Viewer
from guardpanel.errors import NeedsConfirmation, NotFound, Problem
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.services import policies, policy_uses, server_loads, server_states, virtual_hosts
from guardpanel.services.trials import trials
from guardpanel.services.trials.trials import Kind
from guardpanel.views.answers import page, redirect
from guardpanel.views.context import ContextDep
from guardpanel.views.editing import done
from guardpanel.views.forms import Form
from guardpanel.views.lists import Listing
from guardpanel.views.virtual_host_form import VirtualHostEditing
from guardpanel.views.virtual_host_page import show_one

EDITING = VirtualHostEditing(virtual_hosts.ROWS)

router = EDITING.router()


@router.get("")
async def index(
    ctx: ContextDep, _viewer: Viewer, q: str = "", mode: str = "", policy: str = "", sort: str = "name", offset: int = 0
) -> Response:
    listing = Listing(EDITING.noun.path, sort, offset, {"q": q.strip()[:200], "mode": mode, "policy": policy})
    choices = await policies.all_of_them(ctx.session)
    chosen = next((choice for choice in choices if str(choice.id) == policy), None)
    hosts = await virtual_hosts.page(
        ctx.session, q=listing.kept["q"], mode=EnforcementMode(mode) if mode in set(EnforcementMode) else None,
        policy_id=chosen.id if chosen else None, **listing.paging,
    )  # fmt: skip
    backends = [f"be_{host.id}" for host in hosts.items if host.enabled]
    names = {choice.id: choice.name for choice in choices}
    context = {
        "listing": listing, "results": hosts, "policies": {choice.id: choice for choice in choices}, "chosen": chosen,
        "policy_names": names,
        "path_policies": {
            number: [names[policy_id] for policy_id in policy_uses.of_paths(places)]
            for number, places in (await policy_uses.of_hosts(ctx.session, hosts.items)).items()
        },
        "servers": await ctx.panel.engines.servers(backends),
    }  # fmt: skip
    return await page(ctx.request, "virtual_hosts/index.html", context)


@router.get("/{virtual_host_id}")
async def show(virtual_host_id: RowId, ctx: ContextDep, _viewer: Viewer) -> Response:
    return await show_one(ctx, virtual_host_id)


@router.get("/{virtual_host_id}/servers/{server_id}")
async def show_server(virtual_host_id: RowId, server_id: RowId, ctx: ContextDep, _viewer: Viewer) -> Response:
    facts = await server_loads.load(ctx.session, ctx.panel.engines, virtual_host_id, server_id)
    endpoint = facts.row.endpoint
    context = {
        "facts": facts,
        "host": facts.host,
        "row": facts.row,
        "known": ctx.panel.engines.addresses.of(endpoint.host) if endpoint.is_name else None,
    }
    return await page(ctx.request, "virtual_hosts/server.html", context)


@router.post("/{virtual_host_id}/servers/{server_id}")
async def set_server(virtual_host_id: RowId, server_id: RowId, ctx: ContextDep, editor: Editor) -> Response:
    """Take a server out, or back, from the virtual host's page or its own."""
    form, url = await Form.read(ctx.request), f"{EDITING.noun.path}/{virtual_host_id}"
    url += f"/servers/{server_id}" if form.checked("stays") else ""
    try:
        state = server_states.state_of(form.value("state"))
        saved = await server_states.choose(ctx.changes, form.save_request(editor), virtual_host_id, server_id, state)
    except NotFound:
        raise
    except NeedsConfirmation as doubt:
        return redirect(url, f"{doubt.message} Edit the virtual host to save it anyway.", failed=True)
    except Problem as problem:
        return redirect(url, problem.message, failed=True)
    return done(saved, url)


@router.post("/{virtual_host_id}/trials")
async def try_it(virtual_host_id: RowId, ctx: ContextDep, _viewer: Viewer) -> Response:
    """Send a request through the public listener and show the response."""
    kind = Kind.ATTACK if (await Form.read(ctx.request)).value("kind") == Kind.ATTACK else Kind.CLEAN
    host = await virtual_hosts.find(ctx.session, virtual_host_id)
    policy, mode = await policy_uses.at_home(ctx.session, host)
    return await show_one(ctx, virtual_host_id, await trials.send(ctx.changes, host, policy, kind, mode))
