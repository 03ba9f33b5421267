"""Virtual hosts: list, add, look at, try, edit, delete."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer, anew
from guardpanel.errors import NotFound, Problem, Stale, StorageFailed
from guardpanel.events.words import Kind as EventKind
from guardpanel.models import Policy, VirtualHost
from guardpanel.models.policy import EnforcementMode
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services import edits, policies, revisions, trials, virtual_hosts
from guardpanel.services.events import EventFilter
from guardpanel.services.trials import Kind, Trial
from guardpanel.views import merging
from guardpanel.views.forms import Form, refusal
from guardpanel.views.lists import Listing
from guardpanel.views.merging import Gone, Merge, Row, authors, is_behind
from guardpanel.views.pages import page, redirect

router = APIRouter(prefix="/virtual-hosts")

NEW = {
    "enabled": ["on"], "servers.0.address": [""], "servers.0.enabled": ["on"], "servers.0.weight": ["100"],
    "health_check": ["on"], "health_check_path": ["/"], "health_check_interval": ["5"], "health_check_rise": ["2"],
    "health_check_fall": ["3"], "health_check_status": ["200-399"], "balance": ["roundrobin"], "tls_verify": ["system"],
    "enforcement_mode": [""],
}  # fmt: skip


@router.get("")
async def index(
    request: Request, panel: PanelDep, session: SessionDep, _viewer: Viewer, q: str = "", mode: str = "", policy: str = "",
    sort: str = "name", offset: int = 0,
) -> Response:  # fmt: skip
    listing = Listing("/virtual-hosts", sort, offset, {"q": q.strip()[:200], "mode": mode, "policy": policy})
    choices = await policies.all_of_them(session)
    chosen = next((one for one in choices if str(one.id) == policy), None)
    found = await virtual_hosts.page(
        session, q=listing.kept["q"], mode=EnforcementMode(mode) if mode in set(EnforcementMode) else None,
        policy_id=chosen.id if chosen else None, sort=listing.key, descending=listing.descending, offset=listing.offset,
    )  # fmt: skip
    context = {
        "listing": listing, "found": found, "policies": {one.id: one for one in choices}, "chosen": chosen,
        "servers": await panel.engines.servers([f"be_{one.id}" for one in found.items if one.enabled]),
    }  # fmt: skip
    return await page(request, "virtual_hosts/index.html", context)


@router.get("/new")
async def new(request: Request, session: SessionDep, _editor: Editor) -> Response:
    choices = await policies.all_of_them(session)
    first = str(choices[0].id) if choices else ""
    return await show_form(request, session, Form({**NEW, "policy_id": [first]}, model=VirtualHostFields), None)


@router.post("")
async def create(request: Request, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    form = await Form.read(request, VirtualHostFields)
    if form.change_rows():
        return await show_form(request, session, form, None)
    try:
        saved = await virtual_hosts.create(panel.changes, form.asked(editor), form.fields(VirtualHostFields))
    except Problem as problem:
        return await show_form(request, session, form, None, problem)
    return redirect(f"/virtual-hosts/{saved.value.id}", saved.sentence, undo_url=f"/changes/{saved.change_id}/undo")


@router.get("/{virtual_host_id}")
async def show(
    request: Request, virtual_host_id: RowId, panel: PanelDep, session: SessionDep, _viewer: Viewer
) -> Response:
    return await show_one(request, panel, session, virtual_host_id, None)


@router.post("/{virtual_host_id}/trials")
async def try_it(
    request: Request, virtual_host_id: RowId, panel: PanelDep, session: SessionDep, _viewer: Viewer
) -> Response:
    """Send a request through the public listener and show what came back."""
    kind = Kind.ATTACK if (await Form.read(request)).value("kind") == Kind.ATTACK else Kind.CLEAN
    host = await virtual_hosts.find(session, virtual_host_id)
    trial = await trials.send(panel.changes, host, await policy_of(session, host), kind)
    return await show_one(request, panel, session, virtual_host_id, trial)


@router.get("/{virtual_host_id}/edit")
async def edit(request: Request, virtual_host_id: RowId, session: SessionDep, _editor: Editor) -> Response:
    host = await virtual_hosts.find(session, virtual_host_id)
    return await show_form(request, session, form_of(host), host)


@router.post("/{virtual_host_id}")
async def update(
    request: Request, virtual_host_id: RowId, panel: PanelDep, session: SessionDep, editor: Editor
) -> Response:
    form = await Form.read(request, VirtualHostFields)
    if form.change_rows():
        return await show_edit(request, session, form, virtual_host_id)
    try:
        now = form_of(await virtual_hosts.find(session, virtual_host_id))
        await anew(session)
        fields = form.settled(now).fields(VirtualHostFields)
        saved = await virtual_hosts.update(panel.changes, form.asked(editor), virtual_host_id, fields, form.version)
    except Problem as problem:
        return await show_edit(request, session, form, virtual_host_id, problem)
    return redirect(f"/virtual-hosts/{virtual_host_id}", saved.sentence, undo_url=f"/changes/{saved.change_id}/undo")


@router.get("/{virtual_host_id}/delete")
async def confirm(request: Request, virtual_host_id: RowId, session: SessionDep, _editor: Editor) -> Response:
    return await show_delete(request, session, virtual_host_id, Form({}))


@router.post("/{virtual_host_id}/delete")
async def destroy(
    request: Request, virtual_host_id: RowId, panel: PanelDep, session: SessionDep, editor: Editor
) -> Response:
    form = await Form.read(request, VirtualHostFields)
    try:
        saved = await virtual_hosts.delete(panel.changes, form.asked(editor), virtual_host_id, form.version)
    except NotFound:
        return redirect("/virtual-hosts", "It is deleted already")
    except Problem as problem:
        return await show_delete(request, session, virtual_host_id, form, problem)
    return redirect(
        "/virtual-hosts", f"{saved.value} is deleted. {saved.sentence}", undo_url=f"/changes/{saved.change_id}/undo"
    )


async def show_one(
    request: Request, panel: Panel, session: SessionDep, virtual_host_id: int, trial: Trial | None
) -> Response:
    host = await virtual_hosts.find(session, virtual_host_id)
    policy = await policy_of(session, host)
    context = {
        "host": host,
        "policy": policy,
        "mode": host.mode_under(policy),
        "servers": {one.name: one for one in await panel.engines.servers_of(f"be_{host.id}")},
        "addresses": {
            one.host: panel.engines.addresses.of(one.host) for row in host.servers if (one := row.endpoint).is_name
        },
        "changes": (await revisions.page(session, noun=virtual_hosts.NOUN, noun_id=host.id, limit=5)).items,
        "trial": trial,
        "binds": panel.settings.http_bind,
        "undelivered": await undelivered(panel, virtual_host_id),
    }
    return await page(request, "virtual_hosts/show.html", context)


async def undelivered(panel: Panel, virtual_host_id: int) -> str:
    """How many requests of the last 24 hours HAProxy could not deliver; empty where nobody knows."""
    asked = EventFilter(virtual_host_id, kind=EventKind.DELIVERY, since=datetime.now(UTC) - timedelta(days=1))
    with suppress(StorageFailed):
        count, is_exact = await panel.events.count(asked)
        return f"{count:,}" if is_exact else f"more than {count:,}"
    return ""


async def show_edit(
    request: Request, session: SessionDep, form: Form, virtual_host_id: int, problem: Problem | None = None
) -> Response:
    """What was typed, beside what is there now where that is not what the form began with."""
    await anew(session)
    try:
        host = await virtual_hosts.find(session, virtual_host_id)
    except NotFound as missing:
        since = await edits.since(session, virtual_hosts.NOUN, virtual_host_id, 0, None, virtual_hosts.fields_in)
        gone = Gone(authors(since, request.state.viewer), since.last)
        return await show_form(request, session, form, None, missing, gone=gone)
    merge = await merged(request, session, form, host) if is_behind(form, host.version) else None
    return await show_form(request, session, form, host, problem, merge)


async def merged(request: Request, session: SessionDep, form: Form, host: VirtualHost) -> Merge:
    row = Row(virtual_hosts.fields_of(host), form_of(host), host.version, {"policy": await policies.names(session)})
    key = virtual_hosts.NOUN, host.id or 0
    return await merging.merged(session, request.state.viewer, form, row, key, virtual_hosts.fields_in)


async def show_form(
    request: Request, session: SessionDep, form: Form, host: VirtualHost | None, problem: Problem | None = None,
    merge: Merge | None = None, gone: Gone | None = None,
) -> Response:  # fmt: skip
    """The form as it was typed; after a refusal with the summary above it and the words at each field."""
    context: dict[str, Any] = {
        "form": form if problem is None else form.refused(problem),
        "host": host,
        "merge": merge,
        "gone": gone,
        "policies": await policies.all_of_them(session),
        "refusal": await refused(session, problem, VirtualHostFields),
    }
    template = "virtual_hosts/edit.html" if host else "virtual_hosts/new.html"
    return await page(request, template, context, status_code=problem.status if problem else 200)


async def show_delete(
    request: Request, session: SessionDep, virtual_host_id: int, form: Form, problem: Problem | None = None
) -> Response:
    """What deleting it means; if it changed meanwhile, what is about to go that was not there before."""
    await anew(session)
    host = await virtual_hosts.find(session, virtual_host_id)
    context = {
        "host": host,
        "heirs": await virtual_hosts.heirs(session, host),
        "form": form,
        "merge": await merged(request, session, form, host) if is_behind(form, host.version) else None,
        "refusal": await refused(session, problem, VirtualHostFields),
    }
    return await page(request, "virtual_hosts/delete.html", context, status_code=problem.status if problem else 200)


def form_of(host: VirtualHost) -> Form:
    form = Form.of(virtual_hosts.fields_of(host))
    form.typed["hostnames"] = [row.shown for row in host.hostnames]
    form.typed["version"] = [str(host.version)]
    return form


async def policy_of(session: SessionDep, host: VirtualHost) -> Policy | None:
    return await policies.find(session, host.policy_id) if host.policy_id is not None else None


async def refused(session: SessionDep, problem: Problem | None, model: type[BaseModel]) -> dict[str, Any] | None:
    """The summary of what was refused; a form that is behind has a box of its own."""
    if problem is None or isinstance(problem, Stale | NotFound):
        return None
    return refusal(problem, await live_number(session), model)


async def live_number(session: SessionDep) -> int | None:
    live = await revisions.live(session)
    return live.id if live else None
