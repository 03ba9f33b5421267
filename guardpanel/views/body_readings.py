"""Body readings: the page of one, and its form."""

from typing import Annotated

from fastapi import Path, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.models import BodyReading
from guardpanel.models.policies.body_reading import BodyReadingFields
from guardpanel.services import body_readings
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import detail
from guardpanel.views.editing import Editing
from guardpanel.views.forms import Form


class BodyReadingEditing(Editing[BodyReading, BodyReadingFields]):
    async def new_form(self, ctx: Context) -> Form:
        form = Form.of(BodyReadingFields.model_construct(None, methods=["POST"]))
        return form.filled_in(ctx.request.query_params)


EDITING = BodyReadingEditing(body_readings.ROWS)

router = EDITING.router()


@router.get("/{body_reading_id}")
async def show(
    ctx: ContextDep, policy_id: Annotated[RowId, Path(alias="policy_id")], body_reading_id: RowId, _viewer: Viewer
) -> Response:
    rows = body_readings.ROWS.under(policy_id)
    row = await rows.find(ctx.session, body_reading_id)
    fields = rows.fields_of(row)
    context = {
        "fields": fields,
        "reach": body_readings.reach(fields),
        "prices": body_readings.prices(fields),
        "directives": body_readings.directives(row),
    }
    return await page(ctx.request, "body_readings/show.html", context | await detail(ctx, EDITING, rows, row))
