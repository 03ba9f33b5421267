"""Policies: list, add from a preset, read as a sentence, edit, delete."""

from typing import Any

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer
from guardpanel.errors import Conflict, Problem
from guardpanel.models import Policy
from guardpanel.models.policy import PRESETS, EnforcementMode, PolicyFields
from guardpanel.services import policies, revisions, virtual_hosts
from guardpanel.views.forms import Form, refusal
from guardpanel.views.lists import Listing
from guardpanel.views.pages import page, redirect
from guardpanel.views.virtual_hosts import live_number

router = APIRouter(prefix="/policies")

SOME = 12
"Of the virtual hosts that use a policy; a link shows all."

PRESET_NAMES = {"website": "Website", "rest_api": "REST API", "file_upload": "File upload"}


@router.get("")
async def index(
    request: Request,
    session: SessionDep,
    _viewer: Viewer,
    q: str = "",
    mode: str = "",
    sort: str = "name",
    offset: int = 0,
) -> Response:
    listing = Listing("/policies", sort, offset, {"q": q.strip()[:200], "mode": mode})
    found = await policies.page(
        session, q=listing.kept["q"], mode=EnforcementMode(mode) if mode in set(EnforcementMode) else None,
        sort=listing.key, descending=listing.descending, offset=listing.offset,
    )  # fmt: skip
    context = {"listing": listing, "found": found, "used": await policies.used_by(session)}
    return await page(request, "policies/index.html", context)


@router.get("/new")
async def new(request: Request, session: SessionDep, _editor: Editor, preset: str = "website") -> Response:
    start = PolicyFields.model_construct(**{**defaults(), **PRESETS.get(preset, {}), "name": ""})
    return await show_form(request, session, Form.of(start), None, preset=preset)


@router.post("")
async def create(request: Request, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    form = await Form.read(request)
    try:
        saved = await policies.create(panel.changes, form.asked(editor), form.fields(PolicyFields))
    except Problem as problem:
        return await show_form(request, session, form, None, problem)
    return redirect(f"/policies/{saved.value.id}", saved.sentence, undo_url=f"/changes/{saved.change_id}/undo")


@router.get("/{policy_id}")
async def show(request: Request, policy_id: RowId, session: SessionDep, _viewer: Viewer) -> Response:
    policy = await policies.find(session, policy_id)
    context = {
        "policy": policy,
        "users": await virtual_hosts.page(session, policy_id=policy_id, limit=SOME),
        "changes": (await revisions.page(session, noun=policies.NOUN, noun_id=policy_id, limit=5)).items,
    }
    return await page(request, "policies/show.html", context)


@router.get("/{policy_id}/edit")
async def edit(request: Request, policy_id: RowId, session: SessionDep, _editor: Editor, preset: str = "") -> Response:
    policy = await policies.find(session, policy_id)
    form = form_of(policy)
    if preset in PRESETS:
        changed = PolicyFields.model_construct(**{**policies.fields_of(policy).model_dump(), **PRESETS[preset]})
        form.typed |= Form.of(changed).typed
    return await show_form(request, session, form, policy, preset=preset)


@router.post("/{policy_id}")
async def update(request: Request, policy_id: RowId, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    form = await Form.read(request)
    policy = await policies.find(session, policy_id)
    try:
        fields = form.fields(PolicyFields)
        saved = await policies.update(panel.changes, form.asked(editor), policy_id, fields, form.version)
    except Problem as problem:
        return await show_form(request, session, form, policy, problem)
    return redirect(f"/policies/{policy_id}", saved.sentence, undo_url=f"/changes/{saved.change_id}/undo")


@router.get("/{policy_id}/delete")
async def confirm(request: Request, policy_id: RowId, session: SessionDep, _editor: Editor) -> Response:
    return await show_delete(request, session, await policies.find(session, policy_id))


@router.post("/{policy_id}/delete")
async def destroy(request: Request, policy_id: RowId, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    form = await Form.read(request)
    policy = await policies.find(session, policy_id)
    try:
        saved = await policies.delete(panel.changes, form.asked(editor), policy_id, form.version)
    except Problem as problem:
        return await show_delete(request, session, policy, problem)
    return redirect(
        "/policies", f"{policy.name} is deleted. {saved.sentence}", undo_url=f"/changes/{saved.change_id}/undo"
    )


async def show_delete(
    request: Request, session: SessionDep, policy: Policy, problem: Problem | None = None
) -> Response:
    """What is in use says by whom, and offers the way out."""
    users = await virtual_hosts.page(session, policy_id=policy.id, limit=SOME)
    shown = refusal(problem, await live_number(session)) if problem and not isinstance(problem, Conflict) else None
    context = {"policy": policy, "users": users, "form": form_of(policy), "refusal": shown}
    return await page(request, "policies/delete.html", context, status_code=problem.status if problem else 200)


async def show_form(
    request: Request,
    session: SessionDep,
    form: Form,
    policy: Policy | None,
    problem: Problem | None = None,
    preset: str = "",
) -> Response:
    """The form as it was typed; after a refusal with the summary above it and the words at each field."""
    context: dict[str, Any] = {
        "form": form if problem is None else form.refused(problem),
        "policy": policy,
        "stale": policy is not None and form.version is not None and form.version != policy.version,
        "presets": PRESET_NAMES,
        "preset": preset,
        "refusal": refusal(problem, await live_number(session)) if problem else None,
    }
    template = "policies/edit.html" if policy else "policies/new.html"
    return await page(request, template, context, status_code=problem.status if problem else 200)


def form_of(policy: Policy) -> Form:
    form = Form.of(policies.fields_of(policy))
    form.typed["version"] = [str(policy.version)]
    return form


def defaults() -> dict[str, Any]:
    return PolicyFields(name="x").model_dump()
