"""Policies: list, add from a preset, read as a sentence, edit, delete."""

from typing import Any

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer, anew
from guardpanel.errors import NotFound, Problem
from guardpanel.models import Policy
from guardpanel.models.content_types import BodyReading
from guardpanel.models.policy import KIB, PRESETS, EnforcementMode, PolicyFields
from guardpanel.services import edits, policies, revisions, virtual_hosts
from guardpanel.views import merging
from guardpanel.views.forms import Form
from guardpanel.views.lists import Listing
from guardpanel.views.merging import Gone, Merge, Row, authors, is_behind
from guardpanel.views.pages import page, redirect
from guardpanel.views.virtual_hosts import refused

router = APIRouter(prefix="/policies")

SOME = 12
"Of the virtual hosts that use a policy; a link shows all."

READ_AS_FORMS = dict.fromkeys(
    [BodyReading.NDJSON, BodyReading.TEXT, BodyReading.BINARY], "Form, since coraza-spoa has nothing else"
)

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
async def new(
    request: Request, panel: PanelDep, session: SessionDep, _editor: Editor, preset: str = "website"
) -> Response:
    start = PolicyFields.model_construct(**{**defaults(), **PRESETS.get(preset, {}), "name": ""})
    start = policies.fitting(start, panel.changes.renderer.facts)
    return await show_form(request, session, Form.of(start), None, preset=preset)


@router.post("")
async def create(request: Request, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    form = await Form.read(request, PolicyFields)
    try:
        saved = await policies.create(panel.changes, form.asked(editor), form.fields(PolicyFields))
    except Problem as problem:
        return await show_form(request, session, form, None, problem)
    return redirect(f"/policies/{saved.value.id}", saved.sentence, undo_url=f"/changes/{saved.change_id}/undo")


@router.get("/{policy_id}")
async def show(request: Request, policy_id: RowId, panel: PanelDep, session: SessionDep, _viewer: Viewer) -> Response:
    policy = await policies.find(session, policy_id)
    context = {
        "policy": policy,
        "users": await virtual_hosts.page(session, policy_id=policy_id, limit=SOME),
        "changes": (await revisions.page(session, noun=policies.NOUN, noun_id=policy_id, limit=5)).items,
        "reading_words": READ_AS_FORMS if panel.changes.renderer.facts.small_frames else {},
    }
    return await page(request, "policies/show.html", context)


@router.get("/{policy_id}/edit")
async def edit(
    request: Request, policy_id: RowId, panel: PanelDep, session: SessionDep, _editor: Editor, preset: str = ""
) -> Response:
    policy = await policies.find(session, policy_id)
    form = form_of(policy)
    if preset in PRESETS:
        changed = PolicyFields.model_construct(**{**policies.fields_of(policy).model_dump(), **PRESETS[preset]})
        form.typed |= Form.of(policies.fitting(changed, panel.changes.renderer.facts)).typed
    return await show_form(request, session, form, policy, preset=preset)


@router.post("/{policy_id}")
async def update(request: Request, policy_id: RowId, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    form = await Form.read(request, PolicyFields)
    try:
        now = form_of(await policies.find(session, policy_id))
        await anew(session)
        fields = form.settled(now).fields(PolicyFields)
        saved = await policies.update(panel.changes, form.asked(editor), policy_id, fields, form.version)
    except Problem as problem:
        return await show_edit(request, session, form, policy_id, problem)
    return redirect(f"/policies/{policy_id}", saved.sentence, undo_url=f"/changes/{saved.change_id}/undo")


@router.get("/{policy_id}/delete")
async def confirm(request: Request, policy_id: RowId, session: SessionDep, _editor: Editor) -> Response:
    return await show_delete(request, session, policy_id, Form({}))


@router.post("/{policy_id}/delete")
async def destroy(request: Request, policy_id: RowId, panel: PanelDep, session: SessionDep, editor: Editor) -> Response:
    form = await Form.read(request, PolicyFields)
    try:
        saved = await policies.delete(panel.changes, form.asked(editor), policy_id, form.version)
    except NotFound:
        return redirect("/policies", "It is deleted already")
    except Problem as problem:
        return await show_delete(request, session, policy_id, form, problem)
    return redirect(
        "/policies", f"{saved.value} is deleted. {saved.sentence}", undo_url=f"/changes/{saved.change_id}/undo"
    )


async def show_delete(
    request: Request, session: SessionDep, policy_id: int, form: Form, problem: Problem | None = None
) -> Response:
    """What is in use says by whom, and offers the way out; what changed meanwhile is shown before it goes."""
    await anew(session)
    policy = await policies.find(session, policy_id)
    context = {
        "policy": policy,
        "users": await virtual_hosts.page(session, policy_id=policy_id, limit=SOME),
        "form": form,
        "merge": await merged(request, session, form, policy) if is_behind(form, policy.version) else None,
        "refusal": await refused(session, problem, PolicyFields),
    }
    return await page(request, "policies/delete.html", context, status_code=problem.status if problem else 200)


async def show_edit(request: Request, session: SessionDep, form: Form, policy_id: int, problem: Problem) -> Response:
    """What was typed, beside what is there now where that is not what the form began with."""
    await anew(session)
    try:
        policy = await policies.find(session, policy_id)
    except NotFound as missing:
        since = await edits.since(session, policies.NOUN, policy_id, 0, None, policies.fields_in)
        gone = Gone(authors(since, request.state.viewer), since.last)
        return await show_form(request, session, form, None, missing, gone=gone)
    merge = await merged(request, session, form, policy) if is_behind(form, policy.version) else None
    return await show_form(request, session, form, policy, problem, merge)


async def merged(request: Request, session: SessionDep, form: Form, policy: Policy) -> Merge:
    row = Row(policies.fields_of(policy), form_of(policy), policy.version)
    key = policies.NOUN, policy.id or 0
    return await merging.merged(session, request.state.viewer, form, row, key, policies.fields_in)


async def show_form(
    request: Request,
    session: SessionDep,
    form: Form,
    policy: Policy | None,
    problem: Problem | None = None,
    merge: Merge | None = None,
    gone: Gone | None = None,
    preset: str = "",
) -> Response:
    """The form as it was typed; after a refusal with the summary above it and the words at each field."""
    context: dict[str, Any] = {
        "form": form if problem is None else form.refused(problem),
        "policy": policy,
        "merge": merge,
        "gone": gone,
        "presets": PRESET_NAMES,
        "preset": preset,
        "refusal": await refused(session, problem, PolicyFields),
        "largest_body_kib": request.app.state.panel.changes.renderer.facts.largest_body // KIB,
    }
    template = "policies/edit.html" if policy else "policies/new.html"
    return await page(request, template, context, status_code=problem.status if problem else 200)


def form_of(policy: Policy) -> Form:
    form = Form.of(policies.fields_of(policy))
    form.typed["version"] = [str(policy.version)]
    return form


def defaults() -> dict[str, Any]:
    return PolicyFields(name="x").model_dump()
