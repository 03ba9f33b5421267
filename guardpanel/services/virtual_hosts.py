"""Virtual hosts: their lists, finding one by name, and which wildcards take over when one is deleted."""

from collections.abc import Collection
from typing import Any, NamedTuple, Unpack

from sqlalchemy import ColumnElement, String, case, type_coerce
from sqlalchemy.orm import selectinload
from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import Hostname, Policy, Server, VirtualHost
from guardpanel.models.enforcement import EnforcementMode
from guardpanel.models.types import hostname
from guardpanel.models.virtual_host import NOUN, VirtualHostFields
from guardpanel.services.crud import Crud, Paging
from guardpanel.services.paging import Page, holds

WHOLE: tuple[Any, ...] = (selectinload(VirtualHost.hostnames), selectinload(VirtualHost.servers))  # type: ignore[arg-type]

ROWS = Crud(NOUN, VirtualHost, VirtualHostFields, *WHOLE)

find, create, update, delete, fields_of = ROWS.find, ROWS.create, ROWS.update, ROWS.delete, ROWS.fields_of

EFFECTIVE_MODE = case(
    (col(Policy.id).is_(None), EnforcementMode.OFF.value),
    else_=func.coalesce(
        type_coerce(col(VirtualHost.enforcement_mode), String), type_coerce(col(Policy.enforcement_mode), String)
    ),
)
"`VirtualHost.mode_under` as SQL, if the policy is joined."

SORTS = {"name": col(VirtualHost.name), "policy": col(Policy.name), "changed": col(VirtualHost.updated_at)}


async def page(
    session: AsyncSession,
    *,
    q: str = "",
    policy_id: int | None = None,
    mode: EnforcementMode | None = None,
    **paging: Unpack[Paging],
) -> Page[VirtualHost]:
    """Those whose name, hostnames, servers or policy contain `q`, with the effective `mode` if given."""
    query = select(VirtualHost).join(Policy, isouter=True)
    if q:
        query = query.where(_matches(q))
    if policy_id is not None:
        query = query.where(col(VirtualHost.policy_id) == policy_id)
    if mode is not None:
        query = query.where(mode.value == EFFECTIVE_MODE)
    return await ROWS.listed(session, query, SORTS, **paging)


async def first(session: AsyncSession, condition: ColumnElement[bool], limit: int) -> list[VirtualHost]:
    """By name, with hostnames, servers and policy."""
    query = select(VirtualHost).where(condition).options(*WHOLE).order_by(func.lower(VirtualHost.name))
    return list((await session.exec(query.limit(limit))).all())


async def number_of(session: AsyncSession, text: str) -> int | None:
    """The virtual host with this name or hostname."""
    named = select(VirtualHost.id).where(func.lower(VirtualHost.name) == text.strip().lower())
    virtual_host_id = (await session.exec(named)).first()
    if virtual_host_id is None:
        hostname = select(Hostname.virtual_host_id).where(Hostname.name == _canonical(text))
        virtual_host_id = (await session.exec(hostname)).first()
    return virtual_host_id


async def name_of(session: AsyncSession, text: str) -> str:
    """The name of the virtual host that was given by number or one of its names. A message if there is none."""
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        return text
    names = await session.exec(select(VirtualHost.name).where(col(VirtualHost.id) == int(text)))
    return names.first() or f"deleted (ID {text})"


async def some_names(session: AsyncSession, limit: int) -> list[str]:
    """The first by name."""
    return list(
        (await session.exec(select(VirtualHost.name).order_by(func.lower(VirtualHost.name)).limit(limit))).all()
    )


async def policy_of(session: AsyncSession, virtual_host: VirtualHost) -> Policy | None:
    return await session.get(Policy, virtual_host.policy_id) if virtual_host.policy_id is not None else None


class Heir(NamedTuple):
    """What answers for a hostname that its virtual host no longer has: another's wildcard."""

    name: Hostname
    wildcard: Hostname
    virtual_host: VirtualHost


async def heirs(session: AsyncSession, virtual_host: VirtualHost, keeps: Collection[str] = ()) -> list[Heir]:
    """The hostnames that others take over if it keeps only these. Its other hostnames return 421 then."""
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


def _canonical(text: str) -> str:
    """A hostname as it is stored. Anything else matches nothing."""
    try:
        return hostname(text)
    except ValueError:
        return text


def _canonical_part(q: str) -> str:
    """A typed part of an international name as it is stored, if it is a whole label. Otherwise as typed."""
    try:
        return q.strip().lower().encode("idna").decode("ascii") if not q.isascii() else q.strip().lower()
    except UnicodeError:
        return q.strip().lower()
