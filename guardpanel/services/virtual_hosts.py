"""Virtual hosts: find, create, update, delete."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, String, case, type_coerce
from sqlalchemy.orm import selectinload
from sqlmodel import asc, col, desc, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import NotFound, Stale
from guardpanel.models import Hostname, Policy, Server, VirtualHost
from guardpanel.models.policy import EnforcementMode
from guardpanel.models.types import hostname
from guardpanel.models.virtual_host import ServerFields, VirtualHostFields
from guardpanel.rendering import Rows
from guardpanel.services import revisions
from guardpanel.services.changes import Asked, Change, Changes, Saved
from guardpanel.services.differences import in_words
from guardpanel.services.input import as_kept
from guardpanel.services.pages import Page, like

NOUN = "virtual_host"

EFFECTIVE_MODE = case(
    (col(Policy.id).is_(None), EnforcementMode.OFF.value),
    else_=func.coalesce(
        type_coerce(col(VirtualHost.enforcement_mode), String), type_coerce(col(Policy.enforcement_mode), String)
    ),
)
"`VirtualHost.mode_under` as SQL, where the policy is joined."

PART = 100
"Read at once: making the rows' objects keeps the event loop busy."

SORTS = {"name": col(VirtualHost.name), "policy": col(Policy.name), "changed": col(VirtualHost.updated_at)}


async def page(
    session: AsyncSession,
    *,
    q: str = "",
    policy_id: int | None = None,
    mode: EnforcementMode | None = None,
    sort: str = "name",
    descending: bool = False,
    offset: int = 0,
    limit: int = 50,
) -> Page[VirtualHost]:
    """Those whose name, hostnames, servers or policy hold `q`, with the effective `mode` where it is given."""
    conditions: list[Any] = []
    if q:
        conditions.append(_matches(q))
    if policy_id is not None:
        conditions.append(col(VirtualHost.policy_id) == policy_id)
    if mode is not None:
        conditions.append(mode.value == EFFECTIVE_MODE)
    joined = select(VirtualHost).join(Policy, isouter=True).where(*conditions)
    total = (await session.exec(select(func.count()).select_from(joined.subquery()))).one()
    order = (desc if descending else asc)(func.lower(SORTS.get(sort, SORTS["name"])))
    wanted = joined.options(*_whole()).order_by(order, col(VirtualHost.id))
    items: list[VirtualHost] = []
    while (left := min(limit, total - offset) - len(items)) > 0:
        part = (await session.exec(wanted.offset(offset + len(items)).limit(min(left, PART)))).all()
        if not part:
            break
        items += part
    return Page(items, total, offset, limit)


async def first(session: AsyncSession, condition: ColumnElement[bool], limit: int) -> list[VirtualHost]:
    """By name, with all that belongs to them."""
    wanted = select(VirtualHost).where(condition).options(*_whole()).order_by(func.lower(VirtualHost.name))
    return list((await session.exec(wanted.limit(limit))).all())


async def find(session: AsyncSession, virtual_host_id: int) -> VirtualHost:
    found = await session.exec(select(VirtualHost).where(col(VirtualHost.id) == virtual_host_id).options(*_whole()))
    virtual_host = found.first()
    if virtual_host is None:
        raise NotFound("There is no such virtual host. It may have been deleted.")
    return virtual_host


async def number_of(session: AsyncSession, text: str) -> int | None:
    """The virtual host that is called so, or that has this hostname."""
    named = select(VirtualHost.id).where(func.lower(VirtualHost.name) == text.strip().lower())
    found = (await session.exec(named)).first()
    if found is None:
        hostname = select(Hostname.virtual_host_id).where(Hostname.name == _canonical(text))
        found = (await session.exec(hostname)).first()
    return found


async def name_of(session: AsyncSession, text: str) -> str:
    """How the virtual host is called that somebody named by its number or one of its names; in words if there is none."""
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        return text
    found = await session.exec(select(VirtualHost.name).where(col(VirtualHost.id) == int(text)))
    return found.first() or f"number {text}, which is deleted"


async def some_names(session: AsyncSession, limit: int) -> list[str]:
    """The first by name."""
    return list(
        (await session.exec(select(VirtualHost.name).order_by(func.lower(VirtualHost.name)).limit(limit))).all()
    )


async def create(changes: Changes, asked: Asked, fields: VirtualHostFields) -> Saved[VirtualHost]:
    change = Change(asked, f"Added virtual host {fields.name}", NOUN)

    async def mutate(session: AsyncSession) -> VirtualHost:
        virtual_host = VirtualHost(name=fields.name, hostnames=[], servers=[])
        session.add(virtual_host)
        virtual_host.replace(fields)
        await session.flush()
        change.noun_id = virtual_host.id
        return virtual_host

    return await changes.save(change, mutate)


async def update(
    changes: Changes,
    asked: Asked,
    virtual_host_id: int,
    fields: VirtualHostFields,
    version: int | None = None,
) -> Saved[VirtualHost]:
    """`version` is the one that the form was opened with; another one now is Stale (412)."""
    change = Change(asked, f"Updated virtual host {fields.name}", NOUN, virtual_host_id)

    async def mutate(session: AsyncSession) -> VirtualHost:
        virtual_host = await find(session, virtual_host_id)
        must_be_current(virtual_host.version, version)
        words = in_words(
            fields_of(virtual_host), fields, {"policy": await _policy_names(session, virtual_host, fields)}
        )
        change.summary = f"{fields.name}: {words}" if words else change.summary
        virtual_host.replace(fields).touch(await revisions.version_after(session, virtual_host.version))
        return virtual_host

    return await changes.save(change, mutate)


async def delete(changes: Changes, asked: Asked, virtual_host_id: int, version: int | None = None) -> Saved[str]:
    """The name of what is deleted."""
    change = Change(asked, "Deleted a virtual host", NOUN, virtual_host_id)

    async def mutate(session: AsyncSession) -> str:
        virtual_host = await find(session, virtual_host_id)
        must_be_current(virtual_host.version, version)
        change.summary = f"Deleted virtual host {virtual_host.name}"
        await session.delete(virtual_host)
        return virtual_host.name

    return await changes.save(change, mutate)


class Heir(NamedTuple):
    """Who answers for a hostname once its own virtual host is deleted: another's wildcard."""

    name: Hostname
    wildcard: Hostname
    virtual_host: VirtualHost


async def heirs(session: AsyncSession, virtual_host: VirtualHost) -> list[Heir]:
    """The names that others take over when it is deleted; all its other names get 421 then."""
    covers = [(row, f"*.{row.name.partition('.')[2]}") for row in virtual_host.hostnames]
    found = await session.exec(
        select(Hostname, VirtualHost)
        .join(VirtualHost, col(VirtualHost.id) == col(Hostname.virtual_host_id))
        .where(
            col(Hostname.name).in_({cover for _, cover in covers}),
            VirtualHost.id != virtual_host.id,
            col(VirtualHost.enabled),
        )
    )
    takers = {wildcard.name: (wildcard, other) for wildcard, other in found.all()}
    return [Heir(row, *takers[cover]) for row, cover in covers if cover in takers]


def must_be_current(now: int, opened: int | None) -> None:
    if opened is not None and opened != now:
        raise Stale("This was changed since you opened it. Look at what it is now, then save again.", now)


def fields_of(virtual_host: VirtualHost) -> VirtualHostFields:
    """The fields as they are: what a form starts with and what a PATCH merges into."""
    return VirtualHostFields.model_construct(
        **{
            name: getattr(virtual_host, name)
            for name in VirtualHostFields.model_fields
            if name not in {"hostnames", "servers"}
        },
        hostnames=[row.name for row in virtual_host.hostnames],
        servers=servers_of(virtual_host),
    )


def servers_of(virtual_host: VirtualHost) -> list[ServerFields]:
    names = tuple(ServerFields.model_fields)  # once: Pydantic looks it up anew each time
    return [
        ServerFields.model_construct(None, **{name: getattr(row, name) for name in names})
        for row in virtual_host.servers
    ]


def fields_in(rows: Rows, virtual_host_id: int) -> VirtualHostFields | None:
    """The fields as a kept state has them; None if it was not there."""
    found = next((row for row in rows["virtualhost"] if row["id"] == virtual_host_id), None)
    if found is None:
        return None
    names, servers = (
        sorted(
            (row for row in rows[table] if row["virtual_host_id"] == virtual_host_id), key=lambda row: row["position"]
        )
        for table in ("hostname", "server")
    )
    return as_kept(VirtualHostFields, {**found, "hostnames": [row["name"] for row in names], "servers": servers})


async def _policy_names(session: AsyncSession, virtual_host: VirtualHost, fields: VirtualHostFields) -> dict[int, str]:
    """Of the policy that it had and the one that it gets."""
    wanted = {virtual_host.policy_id, fields.policy_id}
    found = await session.exec(select(Policy.id, Policy.name).where(col(Policy.id).in_(wanted)))
    return {number: name for number, name in found.all() if number is not None}


def _matches(q: str) -> Any:
    pattern = like(q.strip().lower())
    canonical = like(_canonical_part(q))

    def holds(column: Any, text: str) -> Any:
        return func.lower(column).like(text, escape="\\")

    return or_(
        holds(VirtualHost.name, pattern),
        holds(Policy.name, pattern),
        col(VirtualHost.id).in_(select(Hostname.virtual_host_id).where(holds(Hostname.name, canonical))),
        col(VirtualHost.id).in_(select(Server.virtual_host_id).where(holds(Server.address, pattern))),
    )


def _canonical(text: str) -> str:
    """A hostname as it is stored; what is none finds nothing."""
    try:
        return hostname(text)
    except ValueError:
        return text


def _canonical_part(q: str) -> str:
    """A typed piece of an international name as it is stored, where it is a whole label; else as typed."""
    try:
        return q.strip().lower().encode("idna").decode("ascii") if not q.isascii() else q.strip().lower()
    except UnicodeError:
        return q.strip().lower()


def _whole() -> tuple[Any, Any]:
    return (
        selectinload(VirtualHost.hostnames),  # type: ignore[arg-type]
        selectinload(VirtualHost.servers),  # type: ignore[arg-type]
    )
