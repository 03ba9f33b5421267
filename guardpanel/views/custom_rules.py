"""Custom rules: one of them, and its form."""

from typing import Annotated

from fastapi import Path, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.models import CustomRule
from guardpanel.models.custom_rule import CustomRuleFields
from guardpanel.services import custom_rules
from guardpanel.views.answers import page
from guardpanel.views.editing import Editing, last_changes
from guardpanel.views.forms import Form
from guardpanel.views.visits import Here, Visit


class CustomRuleEditing(Editing[CustomRule, CustomRuleFields]):
    async def new_form(self, here: Visit) -> Form:
        policy_id = self.rows_in(here).parent_id or 0
        form = Form.of(
            CustomRuleFields.model_construct(None, rule_id=await custom_rules.next_id(here.session, policy_id))
        )
        given = here.request.query_params
        form.typed |= {name: [given[name]] for name in CustomRuleFields.model_fields if name in given}
        return form


EDITING = CustomRuleEditing(custom_rules.ROWS)

router = EDITING.router()


@router.get("/{custom_rule_id}")
async def show(
    here: Here, policy_id: Annotated[RowId, Path(alias="policy_id")], custom_rule_id: RowId, _viewer: Viewer
) -> Response:
    rows = custom_rules.ROWS.under(policy_id)
    row = await rows.find(here.session, custom_rule_id)
    context = {
        "row": row,
        "fields": rows.fields_of(row),
        "trail": await EDITING.trail(here, rows),
        "url": rows.noun.url_of(row),
        "seclang": custom_rules.seclang(row),
        "changes": await last_changes(here, row, rows),
    }
    return await page(here.request, "custom_rules/show.html", context)
