"""Path bindings: their lists, and what one does in a sentence."""

from typing import Any, Unpack

from sqlalchemy.orm import selectinload
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import PathBinding, Policy, VirtualHost
from guardpanel.models.delivery.path_delivery import differences, is_different
from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.meta import About, about
from guardpanel.models.path_binding import (
    NOUN,
    BoundPath,
    PathBindingColumns,
    PathBindingFields,
    PathBindingInput,
)
from guardpanel.models.policies.enforcement import EnforcementMode, at_path
from guardpanel.services import redirect_doubts
from guardpanel.services.access.geo_doubts import must_let_in_where
from guardpanel.services.crud import Crud
from guardpanel.services.paging import Page, Paging, holds
from guardpanel.services.policy_uses import Place
from guardpanel.services.saving.changes import Changes, SaveRequest, SaveResult
from guardpanel.services.saving.differences import Names
from guardpanel.services.serving import path_must_be_meant

SORTS = {"name": col(PathBinding.path), "changed": col(PathBinding.updated_at)}

DOES = {
    EnforcementMode.BLOCK: "are inspected, and attacks blocked,",
    EnforcementMode.DETECT_ONLY: "are inspected, and nothing is blocked,",
    EnforcementMode.OFF: "are not inspected",
}


class PathBindings(Crud[PathBinding, PathBindingFields]):
    async def page(self, session: AsyncSession, *, q: str = "", **paging: Unpack[Paging]) -> Page[PathBinding]:
        """Those whose path or notes contain `q`."""
        wanted = select(PathBinding)
        if q:
            wanted = wanted.where(holds(q, PathBinding.name, PathBinding.notes))
        return await self.listed(session, wanted, SORTS, **paging)

    async def create(
        self, changes: Changes, request: SaveRequest, fields: PathBindingFields
    ) -> SaveResult[PathBinding]:
        await self._must_let_in(changes, request, fields, None)
        return await super().create(changes, request, fields)

    async def update(
        self, changes: Changes, request: SaveRequest, number: int, fields: PathBindingFields, version: int | None = None
    ) -> SaveResult[PathBinding]:
        await self._must_let_in(changes, request, fields, number)
        return await super().update(changes, request, number, fields, version)

    async def _must_let_in(
        self, changes: Changes, request: SaveRequest, fields: PathBindingFields, number: int | None
    ) -> None:
        """Raises NeedsConfirmation (409) if no server would take requests, if it would redirect to a dead end, or if the path's
        policy would reject whoever saves it, and what is there did not."""
        is_meant = isinstance(fields, PathBindingInput) and bool(fields.save_anyway)
        async with changes.database.read() as session:
            whole = [selectinload(each) for each in (VirtualHost.servers, VirtualHost.hostnames)]  # type: ignore[arg-type]
            host = await session.get(VirtualHost, self.parent_id, options=whole)
            row = await self.find(session, number) if number is not None else None
            if host is not None and not is_meant:
                await redirect_doubts.path_must_be_meant(session, changes.renderer.facts, fields, row, host)
        if host is None or not host.enabled or fields.redirect is not Redirect.NO:
            return
        before = at_path(row, host) if row and row.redirect is Redirect.NO else (host.policy_id, host.enforcement_mode)
        path_must_be_meant(fields, row, host, is_meant=is_meant)
        await must_let_in_where(changes, request.client, [(at_path(fields, host), before)], is_meant=is_meant)


def mode_of(fields: PathBindingColumns, host: VirtualHost, policy: Policy | None) -> EnforcementMode:
    """`policy`: the path's own, or else the virtual host's."""
    return Place.of(host, fields).mode_under(policy)


def reach(fields: PathBindingColumns, host: VirtualHost, policy: Policy | None) -> str:
    """`Requests for /login and everything below are inspected, and attacks blocked, by policy Strict.`"""
    mode = mode_of(fields, host, policy)
    where = f"{fields.path} and everything below" if fields.path_match is BoundPath.BELOW else f"exactly {fields.path}"
    if fields.redirect is not Redirect.NO:
        rest = ", with what follows and the query" if fields.redirect_rest else ""
        return f"Requests for {where} are redirected ({fields.redirect}) to {fields.redirect_to}{rest}."
    by = f" by policy {policy.name}" if policy and mode is not EnforcementMode.OFF else ""
    login = " Visitors must log in." if fields.requires_login else ""
    return f"Requests for {where} {DOES[mode]}{by}.{login}"


def own_delivery(fields: PathBindingFields, names: Names) -> list[tuple[str, str | list[str]]]:
    """Titles and values of what is other than on the virtual host."""
    values = differences(fields.model_dump())
    words = about(PathBindingFields)
    headers = [change.in_words for change in fields.own_headers]
    listed = {name: value for name, value in (("own_servers", fields.own_servers), ("own_headers", headers)) if value}
    return [(words[name].title, _words(words[name], value, names)) for name, value in (listed | values).items()]


def _words(field: About, value: Any, names: Names) -> str | list[str]:
    if key := NOUN.references.get(field.name):
        return names[key].get(value, "")
    if isinstance(value, list):
        return value or "none"
    return field.text(value)


def prices(fields: PathBindingColumns, host: VirtualHost, policy: Policy | None) -> list[str]:
    """What is lost there."""
    if fields.redirect is not Redirect.NO:
        kept = fields.policy_id is not None or fields.enforcement_mode is not None or is_different(fields.model_dump())
        return ["Its policy, mode and delivery are kept, and have no effect while it redirects."] if kept else []
    match mode_of(fields, host, policy):
        case EnforcementMode.OFF if policy is None:
            return ["Without a policy, nothing is inspected."]
        case EnforcementMode.OFF:
            return ["Any attack on these paths passes. Other spellings of them get what is around them."]
    return []


ROWS = PathBindings(NOUN, PathBinding, PathBindingFields)

page, fields_of = ROWS.page, ROWS.fields_of
