"""Custom rules: one of them, and its form."""

from typing import Annotated

from fastapi import Path, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.models import CustomRule
from guardpanel.models.custom_rule import CustomRuleFields
from guardpanel.services import custom_rules
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import detail
from guardpanel.views.editing import Editing
from guardpanel.views.forms import Form


class CustomRuleEditing(Editing[CustomRule, CustomRuleFields]):
    async def new_form(self, ctx: Context) -> Form:
        policy_id = self.rows_in(ctx).parent_id or 0
        form = Form.of(
            CustomRuleFields.model_construct(None, rule_id=await custom_rules.next_id(ctx.session, policy_id))
        )
        query = ctx.request.query_params
        form.typed |= {name: [query[name]] for name in CustomRuleFields.model_fields if name in query}
        return form


EDITING = CustomRuleEditing(custom_rules.ROWS)

router = EDITING.router()


@router.get("/{custom_rule_id}")
async def show(
    ctx: ContextDep, policy_id: Annotated[RowId, Path(alias="policy_id")], custom_rule_id: RowId, _viewer: Viewer
) -> Response:
    rows = custom_rules.ROWS.under(policy_id)
    row = await rows.find(ctx.session, custom_rule_id)
    context = {
        "fields": rows.fields_of(row),
        "facts": [f"rule {row.rule_id}"],
        "seclang": custom_rules.seclang(row),
    }
    return await page(ctx.request, "custom_rules/show.html", context | await detail(ctx, EDITING, rows, row))
