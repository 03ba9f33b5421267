"""Body readings: one of them, and its form."""

from typing import Annotated

from fastapi import Path, Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.models import BodyReading
from guardpanel.models.body_reading import BodyReadingFields
from guardpanel.services import body_readings
from guardpanel.views.answers import page
from guardpanel.views.context import Context, ContextDep
from guardpanel.views.details import last_changes
from guardpanel.views.editing import Editing
from guardpanel.views.forms import Form


class BodyReadingEditing(Editing[BodyReading, BodyReadingFields]):
    async def new_form(self, ctx: Context) -> Form:
        """With what an address names: links from events fill it in."""
        form = Form.of(BodyReadingFields.model_construct(None, methods=["POST"]))
        asked = ctx.request.query_params
        form.typed |= {name: asked.getlist(name) for name in BodyReadingFields.model_fields if name in asked}
        return form


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
        "row": row,
        "fields": fields,
        "reach": body_readings.reach(fields),
        "prices": body_readings.prices(fields),
        "directives": body_readings.directives(row),
        "trail": await EDITING.trail(ctx, rows),
        "url": rows.noun.url_of(row),
        "changes": await last_changes(ctx, row, rows),
    }
    return await page(ctx.request, "body_readings/show.html", context)
