"""What a configuration file manages: said above the forms of its rows."""

from typing import Any

from guardpanel.models import NOUNS
from guardpanel.services.crud import Crud
from guardpanel.views.context import Context


async def managed_by_file(ctx: Context, rows: Crud[Any, Any], row: Any) -> dict[str, str]:
    """Where the file is that manages the row, or the one that it belongs to. Empty: none is known."""
    managed = row
    if rows.parent_id is not None:
        managed = await ctx.session.get(NOUNS[rows.noun.parent].table, rows.parent_id)
    return {"managed_by_file": getattr(managed, "managed_by_file", "")}
