"""The form of a policy: it starts from a preset, as far as the agent can inspect what that allows."""

from collections.abc import Mapping
from typing import Any

from guardpanel.models import Policy
from guardpanel.models.policy import KIB, PolicyFields
from guardpanel.models.presets import PRESETS
from guardpanel.models.restrictions import HEADERS
from guardpanel.services import policies, virtual_hosts
from guardpanel.views.editing import Editing
from guardpanel.views.forms import Form
from guardpanel.views.visits import Visit

MOST_USERS = 12
"Of the virtual hosts that use a policy; a link shows all."

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
        return {
            "presets": PRESET_NAMES,
            "largest_body_kib": here.facts.largest_body // KIB,
            "restricted_headers": HEADERS,
        }

    async def beside_delete(self, here: Visit, row: Policy) -> Mapping[str, Any]:
        users = await virtual_hosts.page(here.session, policy_id=row.id, limit=MOST_USERS)
        return {"users": users, "is_kept": users.total > 0}


def preset_form(here: Visit, fields: PolicyFields, preset: str) -> Form:
    """The fields with those that the preset sets."""
    form = Form.of(policies.fitting(fields.model_copy(update=PRESETS.get(preset, {})), here.facts))
    form.typed["preset"] = [preset]
    return form
