"""Redirects to HTTPS of a hostname that is served here without it: a dead end, or a circle behind a proxy that ends TLS.

Confirmed before, since something else may serve HTTPS there. `saving/redirect_rules.py` rejects what is a circle for certain.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import FieldError, NeedsConfirmation
from guardpanel.models import Hostname, PathBinding, VirtualHost
from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.path_binding import BoundPath, PathBindingColumns
from guardpanel.models.types import display_name
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.rendering import EngineFacts
from guardpanel.rendering.bound_paths import BoundPaths
from guardpanel.services import traffic
from guardpanel.services.redirect_targets import covering

Site = VirtualHostFields | VirtualHost | PathBindingColumns


class Names(NamedTuple):
    """Hostnames that are served, each with whether over HTTPS. `own`: of the virtual host that redirects."""

    https: Mapping[str, bool]
    own: Collection[str]
    ports: Collection[int | None]
    "On which HTTPS would be served."
    is_behind_proxies: bool

    def doubt(self, site: Site) -> str:
        """What is wrong with where it redirects to. Empty: nothing that is known."""
        target = urlsplit(site.redirect_to)
        name = covering(target.hostname or "", self.https)
        if site.redirect is Redirect.NO or target.scheme != "https" or name is None or self.https[name]:
            return ""
        is_own = name in self.own
        is_circle = is_own and _leads_to_itself(site, target)
        if target.port not in self.ports or (self.is_behind_proxies and not is_circle):
            return ""
        then = "Turn on HTTPS with its redirect" if is_own else "Turn on HTTPS there first"
        return (
            f"HTTPS is off for {display_name(target.hostname or '')}. Visitors who are redirected to {site.redirect_to} get no "
            f"response{' or, behind a proxy that handles TLS, are redirected in a circle' if is_circle else ''}. {then}, or "
            "choose another target."
        )


async def must_be_meant(
    session: AsyncSession,
    facts: EngineFacts,
    fields: VirtualHostFields,
    row: VirtualHost | None,
    paths: Sequence[PathBindingColumns],
) -> None:
    """Raises NeedsConfirmation (409) for what saving this virtual host adds, to redirects of its paths and of others, too."""
    if row and row.https and not fields.https:
        await _others_must_be_meant(session, facts, fields, row)
    if all(site.redirect is Redirect.NO for site in (fields, *paths)):
        return
    before = await _names(session, facts, [fields, *([row] if row else []), *paths], row)
    others = {name: has_https for name, has_https in before.https.items() if name not in before.own}
    own = dict.fromkeys(fields.hostnames, fields.https)
    after = before._replace(https=others | own, own=own)
    known = {before.doubt(site) for site in ([row] if row else []) + [*paths]}
    places: list[tuple[Site, str]] = [(fields, "redirect_to"), *((path, "https") for path in paths)]
    for site, field in places:
        if (words := after.doubt(site)) and words not in known:
            raise NeedsConfirmation(words, {field: FieldError(words)})


async def _others_must_be_meant(
    session: AsyncSession, facts: EngineFacts, fields: VirtualHostFields, row: VirtualHost
) -> None:
    """Those that redirect to a name whose HTTPS is turned off."""
    hosts = select(VirtualHost).where(col(VirtualHost.redirect) != Redirect.NO, VirtualHost.id != row.id)
    paths = select(PathBinding).where(col(PathBinding.redirect) != Redirect.NO, PathBinding.virtual_host_id != row.id)
    others: list[Site] = [*(await session.exec(hosts)).all(), *(await session.exec(paths)).all()]
    names = await _names(session, facts, [], None)
    after = names._replace(https=dict.fromkeys(fields.hostnames, False))
    if words := next(filter(None, map(after.doubt, others)), ""):
        raise NeedsConfirmation(words, {"https": FieldError(words)})


async def path_must_be_meant(
    session: AsyncSession, facts: EngineFacts, fields: PathBindingColumns, row: PathBinding | None, host: VirtualHost
) -> None:
    """The same of a path."""
    names = await _names(session, facts, [fields], host)
    words = names.doubt(fields)
    if words and not (row and names.doubt(row) == words):
        raise NeedsConfirmation(words, {"redirect_to": FieldError(words)})


async def _names(session: AsyncSession, facts: EngineFacts, sites: Iterable[Site], host: VirtualHost | None) -> Names:
    """Of the virtual host, and those that these redirect to."""
    targets = {urlsplit(site.redirect_to).hostname or "" for site in sites}
    wanted = targets | {f"*.{name.partition('.')[2]}" for name in targets}
    named = select(Hostname.name, VirtualHost.https).join(VirtualHost).where(col(Hostname.name).in_(wanted))
    own = {name.name: bool(host and host.https) for name in (host.hostnames if host else ())}
    ports = {None, 443, *(port for _, port in facts.https_binds)}
    settings = await traffic.find(session)
    return Names(dict((await session.exec(named)).all()) | own, own, ports, bool(settings.trusted_networks))


def _leads_to_itself(site: Site, target: SplitResult) -> bool:
    """Whether it would answer what it redirects to on its own virtual host."""
    if not isinstance(site, PathBindingColumns):
        return True
    return BoundPaths([(site.path, BoundPath(site.path_match), True)]).at(target.path or "/") is not None
