"""The form of a policy. It starts from a preset, limited to what the agent can inspect."""

from collections.abc import Mapping
from typing import Any

from guardpanel.models import Policy
from guardpanel.models.policies.policy import KIB, PolicyFields
from guardpanel.models.policies.presets import PRESETS
from guardpanel.models.policies.restrictions import HEADERS
from guardpanel.services import policies, policy_uses, virtual_hosts
from guardpanel.views.context import Context
from guardpanel.views.editing import Editing
from guardpanel.views.forms import Form

MOST_USERS = 12
"Virtual hosts of a policy that are listed. A link shows all."

PRESET_NAMES = {"website": "Website", "rest_api": "REST API", "file_upload": "File upload"}


class PolicyEditing(Editing[Policy, PolicyFields]):
    async def new_form(self, ctx: Context) -> Form:
        defaults = PolicyFields(name="x").model_copy(update={"name": ""})
        return preset_form(ctx, defaults, ctx.request.query_params.get("preset", "website"))

    async def edit_form(self, ctx: Context, row: Policy) -> Form:
        form, preset = self.form_of(ctx, row), ctx.request.query_params.get("preset", "")
        if preset in PRESETS:
            form.typed |= preset_form(ctx, self.rows.fields_of(row), preset).typed
            form.is_begun = True
        return form

    async def beside_form(self, ctx: Context) -> Mapping[str, Any]:
        return {
            "presets": PRESET_NAMES,
            "largest_body_kib": ctx.facts.largest_body // KIB,
            "restricted_headers": HEADERS,
            "geo": await ctx.panel.geo.statuses(),
        }

    async def beside_delete(self, ctx: Context, row: Policy) -> Mapping[str, Any]:
        users = await virtual_hosts.page(ctx.session, policy_id=row.id, limit=MOST_USERS)
        places = await policy_uses.of_hosts(ctx.session, users.items)
        return {"users": users, "places": places, "is_kept": users.total > 0}


def preset_form(ctx: Context, fields: PolicyFields, preset: str) -> Form:
    """The fields with the preset's values."""
    form = Form.of(policies.fitting(fields.model_copy(update=PRESETS.get(preset, {})), ctx.facts))
    form.typed["preset"] = [preset]
    return form
