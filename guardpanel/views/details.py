"""The page of one row, for every noun."""

from typing import Any

from guardpanel.models.noun import ONLY
from guardpanel.services import crud
from guardpanel.services.crud import Crud
from guardpanel.services.saving import revisions
from guardpanel.views.context import Context
from guardpanel.views.editing import Editing


async def detail(ctx: Context, editing: Editing[Any, Any], rows: Crud[Any, Any], row: crud.Row) -> dict[str, Any]:
    """The context of `shared/detail.html`."""
    return {
        "row": row,
        "noun": editing.noun,
        "url": editing.noun.url_of(row),
        "trail": await editing.trail(ctx, rows),
        "changes": await last_changes(ctx, row, rows),
    }


async def last_changes(ctx: Context, row: crud.Row, rows: Crud[Any, Any]) -> list[Any]:
    """The newest five changes of the row."""
    return (await revisions.page(ctx.session, noun=rows.noun.key, noun_id=row.id or ONLY, limit=5)).items
