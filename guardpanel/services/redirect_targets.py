"""Redirects to hostnames that a save takes away: whoever follows one reaches nothing here any more. Confirmed before."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from sqlmodel import col, literal, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import FieldError, NeedsConfirmation
from guardpanel.models import Hostname, PathBinding, VirtualHost
from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.types import display_name
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.rendering import EngineFacts

MOST_NAMED = 3
"Redirects to one hostname, and hostnames."


class RedirectSource(NamedTuple):
    """A virtual host or a path that redirects."""

    virtual_host_id: int
    name: str
    "`old.example`, `old.example (/shop)`"
    target: SplitResult


async def must_be_meant(
    session: AsyncSession, facts: EngineFacts, row: VirtualHost, fields: VirtualHostFields | None
) -> None:
    """Raises NeedsConfirmation (409) with who redirects to a hostname that it loses. `fields`: None if it is deleted."""
    if words := await doubt(session, facts, row, fields):
        field = "enabled" if fields and not fields.enabled else "hostnames"
        raise NeedsConfirmation(words, {field: FieldError(words)} if fields else {})


async def doubt(session: AsyncSession, facts: EngineFacts, row: VirtualHost, fields: VirtualHostFields | None) -> str:
    before = {name.name for name in row.hostnames} if row.enabled else set()
    own = set(fields.hostnames) if fields and fields.enabled else set()
    if before <= own:
        return ""
    number = row.id or 0
    sources = [each for each in await _sources(session, but=number) if own or each.virtual_host_id != number]
    if own and fields and fields.redirect != Redirect.NO:
        sources.append(RedirectSource(number, fields.name, urlsplit(fields.redirect_to)))
    return _stranded(facts, before, own | await served_names(session, but=number), sorted(sources))


async def must_be_meant_of_all(session: AsyncSession, facts: EngineFacts, before: Collection[str]) -> None:
    """The same of many rows that were saved at once. `before`: the hostnames that were served."""
    after = await served_names(session)
    if set(before) <= after:
        return
    if words := _stranded(facts, before, after, await _sources(session)):
        raise NeedsConfirmation(words, {"virtual_hosts": FieldError(words)})


async def served_names(session: AsyncSession, but: int = 0) -> set[str]:
    """By enabled virtual hosts. `but`: another's than this one's."""
    query = select(Hostname.name).join(VirtualHost).where(col(VirtualHost.enabled), col(VirtualHost.id) != but)
    return set((await session.exec(query)).all())


async def _sources(session: AsyncSession, but: int = 0) -> list[RedirectSource]:
    """Of enabled virtual hosts, by number. `but`: for the whole of another one than this, since its own is being saved."""
    own, bound = (col(table.redirect) != Redirect.NO for table in (VirtualHost, PathBinding))
    own &= col(VirtualHost.id) != but
    hosts: Any = select(VirtualHost.id, VirtualHost.name, VirtualHost.redirect_to, literal("")).where(own)
    paths: Any = select(VirtualHost.id, VirtualHost.name, PathBinding.redirect_to, PathBinding.path).where(bound)
    queries = (each.where(col(VirtualHost.enabled)) for each in (hosts, paths.join(PathBinding)))
    rows = [row for query in queries for row in (await session.exec(query)).all()]
    return sorted(
        RedirectSource(number, f"{name} ({path})" if path else name, urlsplit(target))
        for number, name, target, path in rows
    )


def _stranded(
    facts: EngineFacts, before: Collection[str], after: Collection[str], sources: Sequence[RedirectSource]
) -> str:
    """A sentence for each of the first hostnames. Empty: no redirect leads to one that was served and is not."""
    by_name: dict[str, list[str]] = {}
    for source in sources:
        name = source.target.hostname or ""
        if _is_here(facts, source.target) and covering(name, before) and not covering(name, after):
            by_name.setdefault(name, []).append(source.name)
    return " ".join(_sentence(name, names) for name, names in list(by_name.items())[:MOST_NAMED])


def _sentence(name: str, names: Sequence[str]) -> str:
    verb = "redirects" if len(names) == 1 else "redirect"
    return f"{_some(names)} {verb} to {display_name(name)}, which no enabled virtual host would have."


def _is_here(facts: EngineFacts, target: SplitResult) -> bool:
    """By its port: another one is served by something else."""
    binds, usual = (facts.https_binds, 443) if target.scheme == "https" else (facts.http_binds, 80)
    return target.port in {None, usual, *(port for _, port in binds)}


def covering(name: str, names: Collection[str]) -> str | None:
    """The hostname, or the wildcard that covers it."""
    return next((each for each in (name, f"*.{name.partition('.')[2]}") if each in names), None)


def _some(names: Sequence[str]) -> str:
    """`a, b and 6 more`"""
    *first, last = (
        names if len(names) <= MOST_NAMED else (*names[: MOST_NAMED - 1], f"{len(names) - MOST_NAMED + 1:,} more")
    )
    return f"{', '.join(first)} and {last}" if first else last
