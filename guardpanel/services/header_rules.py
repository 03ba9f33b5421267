"""Header rules: their lists, and what one does in a sentence."""

from typing import Unpack

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import HeaderRule
from guardpanel.models.header_rule import NOUN, Direction, HeaderAction, HeaderRuleColumns, HeaderRuleFields
from guardpanel.services.crud import Crud
from guardpanel.services.paging import Page, Paging, holds

SORTS = {"name": func.printf("%05d", HeaderRule.position), "changed": col(HeaderRule.updated_at)}
"In the order in which they are applied."


class HeaderRules(Crud[HeaderRule, HeaderRuleFields]):
    async def page(self, session: AsyncSession, *, q: str = "", **paging: Unpack[Paging]) -> Page[HeaderRule]:
        """Those whose name (`Set X-Robots-Tag in responses`), value or notes contain `q`."""
        query = select(HeaderRule)
        if q:
            query = query.where(holds(q, HeaderRule.name, HeaderRule.value, HeaderRule.notes))
        return await self.listed(session, query, SORTS, **paging)


DOES = {
    HeaderAction.SET: "replaces all headers of this name",
    HeaderAction.ADD: "is added to those of this name",
    HeaderAction.REMOVE: "is removed",
}


def reach(fields: HeaderRuleColumns) -> str:
    """`In responses of the servers, X-Robots-Tag: noindex replaces all headers of this name.`"""
    line = fields.header if fields.action is HeaderAction.REMOVE else f"{fields.header}: {fields.value}"
    where = "requests, once they are inspected" if fields.direction is Direction.REQUEST else "responses of the servers"
    return f"In {where}, {line} {DOES[fields.action]}."


ROWS = HeaderRules(NOUN, HeaderRule, HeaderRuleFields)

page, fields_of = ROWS.page, ROWS.fields_of
