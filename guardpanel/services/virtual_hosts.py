"""Virtual hosts: their lists, and which wildcards take over when one is deleted."""

from collections.abc import Collection
from typing import Any, NamedTuple, Unpack

from sqlalchemy import ColumnElement, String, case, type_coerce
from sqlalchemy.orm import selectinload
from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import Hostname, Policy, Server, VirtualHost
from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.virtual_host import NOUN, VirtualHostFields
from guardpanel.rendering.rows import OURS
from guardpanel.sealing import Seal
from guardpanel.services import policy_uses, redirect_doubts, redirect_targets, serving
from guardpanel.services.access.geo_doubts import must_let_in_where
from guardpanel.services.crud import Crud
from guardpanel.services.https import https_doubts, new_certificates
from guardpanel.services.https.new_certificates import Ready
from guardpanel.services.paging import Page, Paging, holds
from guardpanel.services.saving.changes import Change, Changes, SaveRequest, SaveResult

WHOLE: tuple[Any, ...] = (
    selectinload(VirtualHost.hostnames),  # type: ignore[arg-type]
    selectinload(VirtualHost.servers),  # type: ignore[arg-type]
    selectinload(VirtualHost.certificate),  # type: ignore[arg-type]
)


class VirtualHosts(Crud[VirtualHost, VirtualHostFields]):
    async def create(
        self, changes: Changes, request: SaveRequest, fields: VirtualHostFields
    ) -> SaveResult[VirtualHost]:
        return await super().create(changes, request, await self._ready(changes, fields))

    async def update(
        self, changes: Changes, request: SaveRequest, number: int, fields: VirtualHostFields, version: int | None = None
    ) -> SaveResult[VirtualHost]:
        return await super().update(changes, request, number, await self._ready(changes, fields), version)

    async def must_be_meant(
        self,
        session: AsyncSession,
        fields: VirtualHostFields,
        row: VirtualHost | None,
        changes: Changes,
        request: SaveRequest,
    ) -> None:
        """What would keep visitors out, or whoever saves it."""
        if not isinstance(fields, Ready) or fields.save_anyway or (row and self._leaves_engines_alone(row, fields)):
            return
        names = (fields.parsed.names if fields.parsed else fields.hostnames) if fields.is_asked_for else ()
        places = await policy_uses.of_host(session, row) if row else ()
        paths = [place.path for place in places if place.path]
        serving.must_be_meant(fields, row, paths, is_meant=False)
        await https_doubts.must_be_meant(session, fields, row, names, is_meant=False)
        await redirect_doubts.must_be_meant(session, changes.renderer.facts, fields, row, paths)
        if row and changes.is_confirmed is None:
            await redirect_targets.must_be_meant(session, changes.renderer.facts, row, fields)
        uses = policy_uses.choices(fields, row, places)
        await must_let_in_where(changes, request.client, uses, is_meant=False)

    def _leaves_engines_alone(self, row: VirtualHost, fields: Ready) -> bool:
        was = self.values_of(row)
        return not fields.is_asked_for and all(
            getattr(fields, name) == value for name, value in was.items() if name not in OURS
        )

    async def must_be_meant_deleted(self, session: AsyncSession, row: VirtualHost, changes: Changes) -> None:
        await redirect_targets.must_be_meant(session, changes.renderer.facts, row, None)

    async def also(
        self, session: AsyncSession, row: VirtualHost, fields: VirtualHostFields, seal: Seal, change: Change
    ) -> str:
        """The certificate that comes with it."""
        words = ""
        if isinstance(fields, Ready) and fields.is_asked_for:
            words = await new_certificates.add(session, row, fields, seal, change)
        is_loaded = "certificate" in row.__dict__
        if not is_loaded or row.certificate_id != (row.certificate.id if row.certificate else None):
            await session.refresh(row, ["certificate"])
        return words

    async def _ready(self, changes: Changes, fields: VirtualHostFields) -> Ready:
        return await new_certificates.ready_of(fields, proves_by_dns=changes.renderer.facts.proves_by_dns)


ROWS = VirtualHosts(NOUN, VirtualHost, VirtualHostFields, *WHOLE)

find, create, update, delete, fields_of = ROWS.find, ROWS.create, ROWS.update, ROWS.delete, ROWS.fields_of

EFFECTIVE_MODE = case(
    (col(VirtualHost.redirect) != Redirect.NO, None),
    (col(Policy.id).is_(None), EnforcementMode.OFF.value),
    else_=func.coalesce(
        type_coerce(col(VirtualHost.enforcement_mode), String), type_coerce(col(Policy.enforcement_mode), String)
    ),
)
"`VirtualHost.mode_under` as SQL, if the policy is joined. None: its requests are redirected, so nothing is inspected."

SORTS = {"name": col(VirtualHost.name), "policy": col(Policy.name), "changed": col(VirtualHost.updated_at)}


async def page(
    session: AsyncSession,
    *,
    q: str = "",
    policy_id: int | None = None,
    mode: EnforcementMode | None = None,
    **paging: Unpack[Paging],
) -> Page[VirtualHost]:
    """Those whose name, hostnames, servers or policy contain `q`, with the effective `mode` if given.
    `policy_id`: theirs, or that of some of their paths."""
    query = select(VirtualHost).join(Policy, isouter=True)
    if q:
        query = query.where(_matches(q))
    if policy_id is not None:
        uses = policy_uses.users()
        using = select(uses.c.virtual_host_id).where(uses.c.policy_id == policy_id)
        query = query.where(col(VirtualHost.id).in_(using))
    if mode is not None:
        query = query.where(mode.value == EFFECTIVE_MODE)
    return await ROWS.listed(session, query, SORTS, **paging)


async def first(session: AsyncSession, condition: ColumnElement[bool], limit: int) -> list[VirtualHost]:
    """By name, with hostnames, servers and policy."""
    query = select(VirtualHost).where(condition).options(*WHOLE).order_by(func.lower(VirtualHost.name))
    return list((await session.exec(query.limit(limit))).all())


async def as_options(session: AsyncSession) -> list[tuple[str, str]]:
    """Id and name of each, by name."""
    rows = await session.exec(select(VirtualHost.id, VirtualHost.name).order_by(func.lower(VirtualHost.name)))
    return [(str(number), name) for number, name in rows.all()]


async def policy_of(session: AsyncSession, virtual_host: VirtualHost) -> Policy | None:
    return await session.get(Policy, virtual_host.policy_id) if virtual_host.policy_id is not None else None


async def for_unknown_names(session: AsyncSession) -> VirtualHost | None:
    """The virtual host that answers unknown hostnames, unless it is disabled."""
    query = select(VirtualHost).where(col(VirtualHost.answers_unknown), col(VirtualHost.enabled))
    return (await session.exec(query)).first()


class Heir(NamedTuple):
    """What answers for a hostname that its virtual host no longer has: another's wildcard."""

    name: Hostname
    wildcard: Hostname
    virtual_host: VirtualHost


async def heirs(session: AsyncSession, virtual_host: VirtualHost, keeps: Collection[str] = ()) -> list[Heir]:
    """The hostnames that others' wildcards take over if it keeps only these. Its other hostnames are unknown then."""
    covers = [(row, f"*.{row.name.partition('.')[2]}") for row in virtual_host.hostnames if row.name not in keeps]
    rows = await session.exec(
        select(Hostname, VirtualHost)
        .join(VirtualHost, col(VirtualHost.id) == col(Hostname.virtual_host_id))
        .where(
            col(Hostname.name).in_({cover for _, cover in covers}),
            VirtualHost.id != virtual_host.id,
            col(VirtualHost.enabled),
        )
    )
    takers = {wildcard.name: (wildcard, other) for wildcard, other in rows.all()}
    return [Heir(row, *takers[cover]) for row, cover in covers if cover in takers]


def _matches(q: str) -> Any:
    named = select(Hostname.virtual_host_id).where(holds(_canonical_part(q), Hostname.name))
    served = select(Server.virtual_host_id).where(holds(q, Server.address))
    in_others = (col(VirtualHost.id).in_(ids) for ids in (named, served))
    return or_(holds(q, VirtualHost.name, Policy.name), *in_others)


def _canonical_part(q: str) -> str:
    """A typed part of an international name as it is stored, if it is a whole label. Otherwise as typed."""
    try:
        return q.strip().lower().encode("idna").decode("ascii") if not q.isascii() else q.strip().lower()
    except UnicodeError:
        return q.strip().lower()
