"""Rule overrides: one of them, and its form."""

from typing import Annotated

from fastapi import Path, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.models import RuleOverride
from guardpanel.models.rule_override import RuleOverrideFields
from guardpanel.services import rule_overrides
from guardpanel.views.answers import page
from guardpanel.views.editing import Editing, last_changes
from guardpanel.views.forms import Form
from guardpanel.views.visits import Here, Visit


class RuleOverrideEditing(Editing[RuleOverride, RuleOverrideFields]):
    async def new_form(self, here: Visit) -> Form:
        form = Form.of(RuleOverrideFields.model_construct(None))
        form.typed["rule"] = [here.request.query_params.get("rule", "")]
        return form


EDITING = RuleOverrideEditing(rule_overrides.ROWS)

router = EDITING.router()


@router.get("/{rule_override_id}")
async def show(
    here: Here, policy_id: Annotated[RowId, Path(alias="policy_id")], rule_override_id: RowId, _viewer: Viewer
) -> Response:
    rows = rule_overrides.ROWS.under(policy_id)
    row = await rows.find(here.session, rule_override_id)
    context = {
        "row": row,
        "trail": await EDITING.trail(here, rows),
        "url": rows.noun.url_of(row),
        "changes": await last_changes(here, row, rows),
    }
    return await page(here.request, "rule_overrides/show.html", context)
