"""Rule overrides: the page of one, and its form."""

from typing import Annotated

from fastapi import Path, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.models import RuleOverride
from guardpanel.models.rules.rule_override import RuleOverrideFields
from guardpanel.services import rule_overrides
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import detail
from guardpanel.views.editing import Editing
from guardpanel.views.forms import Form


class RuleOverrideEditing(Editing[RuleOverride, RuleOverrideFields]):
    async def new_form(self, ctx: Context) -> Form:
        form = Form.of(RuleOverrideFields.model_construct(None, rule=""))
        return form.filled_in(ctx.request.query_params)


EDITING = RuleOverrideEditing(rule_overrides.ROWS)

router = EDITING.router()


@router.get("/{rule_override_id}")
async def show(
    ctx: ContextDep, policy_id: Annotated[RowId, Path(alias="policy_id")], rule_override_id: RowId, _viewer: Viewer
) -> Response:
    rows = rule_overrides.ROWS.under(policy_id)
    row = await rows.find(ctx.session, rule_override_id)
    return await page(ctx.request, "rule_overrides/show.html", await detail(ctx, EDITING, rows, row))
