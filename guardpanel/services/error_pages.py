"""Error page sets: their lists, where they are used, and how their pages look."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Unpack

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import ErrorPage, PathBinding, VirtualHost, path_binding, virtual_host
from guardpanel.models.error_page import NOUN, ErrorPageFields
from guardpanel.rendering import error_pages
from guardpanel.services.crud import Crud
from guardpanel.services.paging import Page, Paging, holds

SORTS = {"name": col(ErrorPage.name), "changed": col(ErrorPage.updated_at)}


class ErrorPages(Crud[ErrorPage, ErrorPageFields]):
    async def page(self, session: AsyncSession, *, q: str = "", **paging: Unpack[Paging]) -> Page[ErrorPage]:
        """Those whose name, site name, texts or notes contain `q`."""
        query = select(ErrorPage)
        if q:
            texts = ErrorPage.name, ErrorPage.site_name, ErrorPage.text, ErrorPage.contact, ErrorPage.notes
            query = query.where(holds(q, *texts))
        return await self.listed(session, query, SORTS, **paging)


ROWS = ErrorPages(NOUN, ErrorPage, ErrorPageFields)

page, find, create, update, delete = ROWS.page, ROWS.find, ROWS.create, ROWS.update, ROWS.delete
fields_of = ROWS.fields_of


async def as_options(session: AsyncSession) -> list[tuple[str, str]]:
    """Id and name of each, for a select."""
    rows = await session.exec(select(ErrorPage.id, ErrorPage.name).order_by(func.lower(ErrorPage.name)))
    return [(str(number), name) for number, name in rows.all()]


async def of_host(session: AsyncSession, host: VirtualHost) -> ErrorPage | None:
    """The set that a virtual host's visitors get. None: the pages as they are shipped."""
    if host.error_page_id is not None:
        return await session.get(ErrorPage, host.error_page_id)
    return (await session.exec(select(ErrorPage).where(col(ErrorPage.is_default)))).first()


async def used_by(session: AsyncSession, rows: Collection[ErrorPage]) -> Mapping[int, list[tuple[str, str]]]:
    """The virtual hosts, then the paths, that name these: each one's URL, and what it is called."""
    used: dict[int, list[tuple[str, str]]] = defaultdict(list)
    ids = [row.id for row in rows]
    hosts = select(VirtualHost).where(col(VirtualHost.error_page_id).in_(ids)).order_by(VirtualHost.name)
    for host in (await session.exec(hosts)).all():
        used[host.error_page_id or 0].append((virtual_host.NOUN.url_of(host), host.name))
    paths = select(PathBinding, VirtualHost.name).join(VirtualHost).where(col(PathBinding.error_page_id).in_(ids))
    for path, name in (await session.exec(paths.order_by(VirtualHost.name, PathBinding.path))).all():
        used[path.error_page_id or 0].append((path_binding.NOUN.url_of(path), f"{path.name} of {name}"))
    return used


SHOWN = {
    "blocked": "Blocked by the WAF (403)",
    "refused": "Banned, or on a deny list (403)",
    "limited": "Over a client limit (429)",
    "maintenance": "Maintenance page (503)",
    "no_server": "No server is up (503)",
    "server_timeout": "Server does not respond (504)",
    "unknown_host": "Unknown hostname (421)",
}
"By page, with when visitors get it."


def preview(row: ErrorPage, name: str) -> str:
    """A page as HAProxy sends it. Raises KeyError for one that there is not."""
    return error_pages.preview(error_pages.ErrorPageState.from_row(row.model_dump()), name)
