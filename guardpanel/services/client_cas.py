"""Client CAs: read and judged before they are stored, and where they are used."""

import asyncio
import base64
import binascii
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Unpack

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates.choosing import State
from guardpanel.certificates.client_authorities import FILE, judge, must_fit, read
from guardpanel.certificates.client_authority_state import Authority, authorities, end_of, state_of
from guardpanel.errors import Invalid
from guardpanel.models import ClientCa, VirtualHost
from guardpanel.models.certificates.client_ca import NOUN, ClientCaFields, ClientCaInput
from guardpanel.models.certificates.https import ClientCertificates
from guardpanel.services.crud import Crud
from guardpanel.services.paging import Page, Paging, holds
from guardpanel.services.saving.changes import Changes, SaveRequest, SaveResult

SORTS = {"name": col(ClientCa.name), "changed": col(ClientCa.updated_at)}


class ClientCas(Crud[ClientCa, ClientCaFields]):
    async def page(self, session: AsyncSession, *, q: str = "", **paging: Unpack[Paging]) -> Page[ClientCa]:
        """Those whose name or notes contain `q`."""
        query = select(ClientCa)
        if q:
            query = query.where(holds(q, ClientCa.name, ClientCa.notes))
        return await self.listed(session, query, SORTS, **paging)

    async def create(self, changes: Changes, request: SaveRequest, fields: ClientCaFields) -> SaveResult[ClientCa]:
        return await super().create(changes, request, await asyncio.to_thread(judged, fields, None))

    async def update(
        self, changes: Changes, request: SaveRequest, number: int, fields: ClientCaFields, version: int | None = None
    ) -> SaveResult[ClientCa]:
        async with changes.database.read() as session:
            stored = self.fields_of(await self.find(session, number))
        ready = await asyncio.to_thread(judged, fields, stored)
        return await super().update(changes, request, number, ready, version)


ROWS = ClientCas(NOUN, ClientCa, ClientCaFields)

page, find, create, update, delete = ROWS.page, ROWS.find, ROWS.create, ROWS.update, ROWS.delete
fields_of = ROWS.fields_of


async def as_options(session: AsyncSession) -> list[tuple[str, str]]:
    """Id and name of each, for a select."""
    rows = await session.exec(select(ClientCa.id, ClientCa.name).order_by(func.lower(ClientCa.name)))
    return [(str(number), name) for number, name in rows.all()]


async def used_by(session: AsyncSession, rows: Collection[ClientCa]) -> Mapping[int, list[tuple[int, str]]]:
    """The virtual hosts that ask for certificates of these, as (id, name)."""
    used: dict[int, list[tuple[int, str]]] = defaultdict(list)
    hosts = select(VirtualHost.client_ca_id, VirtualHost.id, VirtualHost.name).order_by(VirtualHost.name)
    hosts = hosts.where(col(VirtualHost.client_ca_id).in_([row.id for row in rows]))
    for number, host_id, name in (await session.exec(hosts)).all():
        used[number or 0].append((host_id or 0, name))
    return used


class AskedCa(NamedTuple):
    row: ClientCa
    state: State


async def asked_by(session: AsyncSession, host: VirtualHost) -> AskedCa | None:
    """The client CA whose certificates a virtual host accepts."""
    if host.client_certificates is ClientCertificates.OFF:
        return None
    row = await session.get(ClientCa, host.client_ca_id)
    return AskedCa(row, (await states([row]))[row.id or 0]) if row else None


async def announced(session: AsyncSession) -> list[AskedCa]:
    """Those in use whose certificates or lists ended or end soon."""
    used = select(VirtualHost.client_ca_id).where(VirtualHost.client_certificates != ClientCertificates.OFF)
    rows = (await session.exec(select(ClientCa).where(col(ClientCa.id).in_(used)).order_by(ClientCa.name))).all()
    known = await states(rows)
    notices = [AskedCa(row, known[row.id or 0]) for row in rows]
    return sorted((notice for notice in notices if notice.state.tone != "ok"), key=lambda notice: notice.state.tone)


async def ends(session: AsyncSession) -> list[tuple[int, str, datetime]]:
    """Id, name, and since when HAProxy accepts no client certificate of it, for monitoring."""
    rows = (await session.exec(select(ClientCa))).all()
    its = await asyncio.to_thread(lambda: [(row, end_of(authorities_of(row))) for row in rows])
    return [(row.id or 0, row.name, end) for row, end in its if end]


def judged(fields: ClientCaFields, stored: ClientCaFields | None) -> ClientCaFields:
    """Only certificates and lists, without the text around them. What is stored already is not judged again: a list that ended
    since must not prevent a new name. Raises Invalid (422) with words at the field."""
    sent = ClientCaInput(**fields.model_dump())
    files = files_of(sent)
    authorities = read(sent.certificates, sent.revocation_lists, files)
    must_fit(authorities, files)
    texts = {"certificates": authorities.certificates_pem, "revocation_lists": authorities.lists_pem}
    if stored is None or texts != {name: getattr(stored, name) for name in texts}:
        judge(authorities, datetime.now(UTC))
    return ClientCaFields.model_construct(None, **{**fields.model_dump(exclude={FILE}), **texts})


def files_of(sent: ClientCaInput) -> list[bytes]:
    """Raises Invalid (422) if a file is not Base64."""
    try:
        return [base64.b64decode(line, validate=True) for line in (sent.file or "").split()]
    except (binascii.Error, ValueError):
        raise Invalid.at(FILE, "This is not Base64.") from None


def authorities_of(row: ClientCa) -> tuple[Authority, ...]:
    return authorities(row.certificates, row.revocation_lists)


async def states(rows: Collection[ClientCa]) -> Mapping[int, State]:
    """By id."""
    now = datetime.now(UTC)
    return await asyncio.to_thread(lambda: {row.id or 0: state_of(authorities_of(row), now) for row in rows})
