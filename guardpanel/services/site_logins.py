"""Logins: their lists, and their passwords, which are hashed and sealed before they are stored."""

import base64
from typing import Any, Unpack

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import FieldError, Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models import SiteLogin
from guardpanel.models.noun import KEPT
from guardpanel.models.site_login import NOUN, SiteLoginFields, SiteLoginInput, place
from guardpanel.rendering.login_maps import digest
from guardpanel.sealing import Seal
from guardpanel.services.crud import Crud
from guardpanel.services.paging import Page, Paging, holds
from guardpanel.services.saving.changes import Change
from guardpanel.services.saving.facts import secret_of
from guardpanel.services.saving.login_digests import opened

SORTS = {"name": col(SiteLogin.name), "changed": col(SiteLogin.updated_at)}


class Logins(Crud[SiteLogin, SiteLoginFields]):
    async def page(self, session: AsyncSession, *, q: str = "", **paging: Unpack[Paging]) -> Page[SiteLogin]:
        """Those whose user name or notes contain `q`."""
        query = select(SiteLogin)
        if q:
            query = query.where(holds(q, SiteLogin.name, SiteLogin.notes))
        return await self.listed(session, query, SORTS, **paging)

    async def file_values(self, session: AsyncSession, row: SiteLogin) -> dict[str, Any]:
        return await super().file_values(session, row) | {"password": KEPT}

    async def also(
        self,
        session: AsyncSession,
        row: SiteLogin,
        fields: SiteLoginFields,
        seal: Seal,
        change: Change,  # noqa: ARG002
    ) -> str:
        """The password's hash. It is of the user name, too. Raises Invalid (422) if a new name comes without a password."""
        password = fields.password if isinstance(fields, SiteLoginInput) else ""
        if not password and opened(row.virtual_host_id, row.name, row.sealed, seal):
            return ""
        was_there = bool(row.sealed)
        if not password:
            errors = {"password": FieldError("Enter a password.", code=FieldCode.REQUIRED)}
            if was_there:
                errors["name"] = FieldError(
                    "With another user name, enter the password, too: they are stored together."
                )
            raise Invalid(errors["name" if was_there else "password"].message, errors)
        hashed = digest(await secret_of(session) or "", row.name, password)
        sealed = seal.seal(hashed.encode(), place(row.virtual_host_id, row.name))
        row.sealed = base64.b64encode(sealed).decode()
        session.add(row)
        await session.flush()
        return "another password" if was_there else ""


ROWS = Logins(NOUN, SiteLogin, SiteLoginFields)

page, fields_of = ROWS.page, ROWS.fields_of
