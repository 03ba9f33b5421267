"""Header rules: the page of one, and its form."""

from typing import Annotated

from fastapi import Path, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.models import HeaderRule
from guardpanel.models.header_rule import HeaderRuleFields
from guardpanel.services import header_rules
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import detail
from guardpanel.views.editing import Editing
from guardpanel.views.forms import Form


class HeaderRuleEditing(Editing[HeaderRule, HeaderRuleFields]):
    async def new_form(self, ctx: Context) -> Form:  # noqa: ARG002
        return Form.of(HeaderRuleFields.model_construct(None))


EDITING = HeaderRuleEditing(header_rules.ROWS)

router = EDITING.router()


@router.get("/{header_rule_id}")
async def show(
    ctx: ContextDep,
    virtual_host_id: Annotated[RowId, Path(alias="virtual_host_id")],
    header_rule_id: RowId,
    _viewer: Viewer,
) -> Response:
    rows = header_rules.ROWS.under(virtual_host_id)
    row = await rows.find(ctx.session, header_rule_id)
    fields = rows.fields_of(row)
    context = {"fields": fields, "reach": header_rules.reach(fields)}
    return await page(ctx.request, "header_rules/show.html", context | await detail(ctx, EDITING, rows, row))
