"""The page of one virtual host: its servers' health, what HAProxy could not deliver, and what a trial came to."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from fastapi import Response

from guardpanel.errors import StorageFailed
from guardpanel.events.words import Kind
from guardpanel.panel import Panel
from guardpanel.services import virtual_hosts
from guardpanel.services.events import EventFilter
from guardpanel.services.trials import Trial
from guardpanel.views.answers import by_name, page
from guardpanel.views.editing import last_changes
from guardpanel.views.visits import Visit


async def show_one(here: Visit, virtual_host_id: int, trial: Trial | None = None) -> Response:
    host, engines = await virtual_hosts.find(here.session, virtual_host_id), here.panel.engines
    policy = await virtual_hosts.policy_of(here.session, host)
    named = [endpoint.host for row in host.servers if (endpoint := row.endpoint).is_name]
    context = {
        "host": host,
        "policy": policy,
        "mode": host.mode_under(policy),
        "servers": by_name(await engines.servers_of(f"be_{host.id}")),
        "addresses": {name: engines.addresses.of(name) for name in named},
        "changes": await last_changes(here, host, virtual_hosts.ROWS),
        "trial": trial,
        "binds": here.panel.settings.http_bind,
        "undelivered": await undelivered(here.panel, virtual_host_id),
    }
    return await page(here.request, "virtual_hosts/show.html", context)


async def undelivered(panel: Panel, virtual_host_id: int) -> str:
    """How many requests of the last 24 hours HAProxy could not deliver; empty where nobody knows."""
    undeliverable = EventFilter(virtual_host_id, kind=Kind.DELIVERY, since=datetime.now(UTC) - timedelta(days=1))
    with suppress(StorageFailed):
        count, is_exact = await panel.events.count(undeliverable)
        return f"{count:,}" if is_exact else f"more than {count:,}"
    return ""
