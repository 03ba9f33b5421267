"""The page of a virtual host: server health, requests that HAProxy could not deliver, and the result of a test request."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import Response

from guardpanel.errors import StorageFailed
from guardpanel.events.words import Kind
from guardpanel.models.certificates.certificate import Source
from guardpanel.models.header_rule import MOST_RULES
from guardpanel.panel import Panel
from guardpanel.services import (
    certificate_uses,
    client_cas,
    error_pages,
    header_rules,
    path_bindings,
    policies,
    policy_uses,
    site_logins,
    virtual_hosts,
)
from guardpanel.services.events import EventFilter
from guardpanel.services.profiles.applying import applied_to
from guardpanel.services.trials.trials import Trial
from guardpanel.views import orders
from guardpanel.views.answers import by_name, page
from guardpanel.views.context import Context
from guardpanel.views.details import last_changes
from guardpanel.views.request_counts import last_day

MOST_LOGINS = 50
"Logins on the page."

MOST_PATHS = 200
"Path bindings on the page."


async def show_one(ctx: Context, virtual_host_id: int, trial: Trial | None = None) -> Response:
    host, engines = await virtual_hosts.find(ctx.session, virtual_host_id), ctx.panel.engines
    policy = await virtual_hosts.policy_of(ctx.session, host)
    paths = await path_bindings.ROWS.under(virtual_host_id).page(ctx.session, limit=MOST_PATHS)
    named = [endpoint.host for row in host.servers if (endpoint := row.endpoint).is_name]
    context: dict[str, Any] = {
        "host": host,
        "policy": policy,
        "mode": host.mode_under(policy),
        "servers": by_name(await engines.servers_of(f"be_{host.id}")),
        "addresses": {name: engines.addresses.of(name) for name in named},
        "changes": await last_changes(ctx, host, virtual_hosts.ROWS),
        "trial": trial,
        "profiles": await applied_to(ctx.session, host),
        "binds": ctx.panel.settings.http_bind,
        "https_binds": ctx.panel.settings.https_bind,
        "certificate": await certificate_uses.named(ctx.session, host.certificate_id),
        "client_ca": await client_cas.asked_by(ctx.session, host),
        "coverage": await certificate_uses.coverage(ctx.session, host),
        "traffic": await last_day(ctx.panel, virtual_host_id),
        "undelivered": await undelivered(ctx.panel, virtual_host_id),
        "paths": paths,
        "places": policy_uses.places(host, paths.items),
        "logins": await site_logins.ROWS.under(virtual_host_id).page(ctx.session, limit=MOST_LOGINS),
        "login_needed": host.requires_login or any(bound.requires_login for bound in paths.items),
        "error_page": await error_pages.of_host(ctx.session, host),
        "headers": await header_rules.ROWS.under(virtual_host_id).page(ctx.session, limit=MOST_RULES),
        "policies": {choice.id: choice for choice in await policies.all_of_them(ctx.session)},
    }
    if host.certificate is not None and host.certificate.source is Source.ACME and host.certificate.content is None:
        context |= {"ordered": host.certificate, **await orders.beside(ctx, host.certificate.id or 0)}
    return await page(ctx.request, "virtual_hosts/show.html", context)


async def undelivered(panel: Panel, virtual_host_id: int) -> str:
    """How many requests HAProxy could not deliver in the last 24 hours. Empty if unknown."""
    undeliverable = EventFilter(virtual_host_id, kind=Kind.DELIVERY, since=datetime.now(UTC) - timedelta(days=1))
    with suppress(StorageFailed):
        count, is_exact = await panel.events.count(undeliverable)
        return f"{count:,}" if is_exact else f"more than {count:,}"
    return ""
