"""Policies: the list, one of them read as a sentence, and the presets that its form starts from."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.models import Policy
from guardpanel.models.content_types import BodyReading
from guardpanel.models.enforcement import EnforcementMode
from guardpanel.models.policy import KIB, PolicyFields
from guardpanel.models.presets import PRESETS
from guardpanel.services import policies, virtual_hosts
from guardpanel.views.answers import page
from guardpanel.views.editing import Editing, Here, Visit, last_changes
from guardpanel.views.forms import Form
from guardpanel.views.lists import Listing

SOME = 12
"Of the virtual hosts that use a policy; a link shows all."

READ_AS_FORMS = dict.fromkeys(
    [BodyReading.NDJSON, BodyReading.TEXT, BodyReading.BINARY], "Form, since coraza-spoa has nothing else"
)

PRESET_NAMES = {"website": "Website", "rest_api": "REST API", "file_upload": "File upload"}


class PolicyEditing(Editing[Policy, PolicyFields]):
    async def new_form(self, here: Visit) -> Form:
        defaults = PolicyFields(name="x").model_copy(update={"name": ""})
        return preset_form(here, defaults, here.request.query_params.get("preset", "website"))

    async def edit_form(self, here: Visit, row: Policy) -> Form:
        form, preset = self.form_of(here, row), here.request.query_params.get("preset", "")
        if preset in PRESETS:
            form.typed |= preset_form(here, self.rows.fields_of(row), preset).typed
            form.is_begun = True
        return form

    async def beside_form(self, here: Visit) -> Mapping[str, Any]:
        return {"presets": PRESET_NAMES, "largest_body_kib": here.facts.largest_body // KIB}

    async def beside_delete(self, here: Visit, row: Policy) -> Mapping[str, Any]:
        users = await virtual_hosts.page(here.session, policy_id=row.id, limit=SOME)
        return {"users": users, "is_kept": users.total > 0}


EDITING = PolicyEditing(policies.ROWS)

router = EDITING.router()


@router.get("")
async def index(
    here: Here, _viewer: Viewer, q: str = "", mode: str = "", sort: str = "name", offset: int = 0
) -> Response:
    listing = Listing(EDITING.noun.path, sort, offset, {"q": q.strip()[:200], "mode": mode})
    chosen = EnforcementMode(mode) if mode in set(EnforcementMode) else None
    found = await policies.page(here.session, q=listing.kept["q"], mode=chosen, **listing.paging)
    context = {"listing": listing, "found": found, "used": await policies.used_by(here.session)}
    return await page(here.request, "policies/index.html", context)


@router.get("/{policy_id}")
async def show(policy_id: RowId, here: Here, _viewer: Viewer) -> Response:
    policy = await policies.find(here.session, policy_id)
    context = {
        "policy": policy,
        "users": await virtual_hosts.page(here.session, policy_id=policy_id, limit=SOME),
        "changes": await last_changes(here, policy, policies.ROWS),
        "reading_words": READ_AS_FORMS if here.facts.small_frames else {},
    }
    return await page(here.request, "policies/show.html", context)


def preset_form(here: Visit, fields: PolicyFields, preset: str) -> Form:
    """The fields with those that the preset sets, as far as the agent can inspect it."""
    form = Form.of(policies.fitting(fields.model_copy(update=PRESETS.get(preset, {})), here.facts))
    form.typed["preset"] = [preset]
    return form
