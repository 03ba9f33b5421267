"""Virtual hosts: the list, one of them with its servers' health, and requests that try it."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import Response

from guardpanel.dependencies import RowId, Viewer
from guardpanel.errors import HandsOver, StorageFailed
from guardpanel.events.words import Kind as EventKind
from guardpanel.models import VirtualHost
from guardpanel.models.enforcement import EnforcementMode
from guardpanel.models.server import ServerFields
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services import policies, trials, virtual_hosts
from guardpanel.services.events import EventFilter
from guardpanel.services.trials import Kind, Trial
from guardpanel.views.answers import page
from guardpanel.views.editing import Editing, Here, Visit, last_changes
from guardpanel.views.forms import Form
from guardpanel.views.lists import Listing


class VirtualHostEditing(Editing[VirtualHost, VirtualHostFields]):
    async def new_form(self, here: Visit) -> Form:
        choices = await policies.all_of_them(here.session)
        fields = VirtualHostFields.model_construct(
            policy_id=choices[0].id if choices else None, servers=[ServerFields.model_construct(address="")]
        )
        return Form.of(fields)

    async def beside_form(self, here: Visit) -> Mapping[str, Any]:
        return {"policies": await policies.all_of_them(here.session)}

    async def beside_delete(self, here: Visit, row: VirtualHost) -> Mapping[str, Any]:
        return {"heirs": await virtual_hosts.heirs(here.session, row)}

    async def must_be_meant(self, here: Visit, form: Form, row: VirtualHost, fields: VirtualHostFields) -> None:
        """That a hostname goes to another virtual host's wildcard."""
        if form.checked("hand_over"):
            return
        heirs = await virtual_hosts.heirs(here.session, row, fields.hostnames)
        taken = [f"{one.name.shown} to {one.wildcard.shown} of {one.virtual_host.name}" for one in heirs]
        more = f" and {len(taken) - 5} more" if len(taken) > 5 else ""
        if taken:
            raise HandsOver(f"This save hands over {', '.join(taken[:5])}{more}, with the servers and policy there.")

    def typed(self, row: VirtualHost) -> dict[str, list[str]]:
        return {"hostnames": [one.shown for one in row.hostnames]}


EDITING = VirtualHostEditing(virtual_hosts.ROWS)

router = EDITING.router()


@router.get("")
async def index(
    here: Here, _viewer: Viewer, q: str = "", mode: str = "", policy: str = "", sort: str = "name", offset: int = 0
) -> Response:
    listing = Listing(EDITING.noun.path, sort, offset, {"q": q.strip()[:200], "mode": mode, "policy": policy})
    choices = await policies.all_of_them(here.session)
    chosen = next((one for one in choices if str(one.id) == policy), None)
    found = await virtual_hosts.page(
        here.session, q=listing.kept["q"], mode=EnforcementMode(mode) if mode in set(EnforcementMode) else None,
        policy_id=chosen.id if chosen else None, **listing.paging,
    )  # fmt: skip
    backends = [f"be_{one.id}" for one in found.items if one.enabled]
    context = {
        "listing": listing, "found": found, "policies": {one.id: one for one in choices}, "chosen": chosen,
        "servers": await here.panel.engines.servers(backends),
    }  # fmt: skip
    return await page(here.request, "virtual_hosts/index.html", context)


@router.get("/{virtual_host_id}")
async def show(virtual_host_id: RowId, here: Here, _viewer: Viewer) -> Response:
    return await show_one(here, virtual_host_id, None)


@router.post("/{virtual_host_id}/trials")
async def try_it(virtual_host_id: RowId, here: Here, _viewer: Viewer) -> Response:
    """Send a request through the public listener and show what came back."""
    kind = Kind.ATTACK if (await Form.read(here.request)).value("kind") == Kind.ATTACK else Kind.CLEAN
    host = await virtual_hosts.find(here.session, virtual_host_id)
    policy = await virtual_hosts.policy_of(here.session, host)
    return await show_one(here, virtual_host_id, await trials.send(here.changes, host, policy, kind))


async def show_one(here: Visit, virtual_host_id: int, trial: Trial | None) -> Response:
    host, engines = await virtual_hosts.find(here.session, virtual_host_id), here.panel.engines
    policy = await virtual_hosts.policy_of(here.session, host)
    named = [one.host for row in host.servers if (one := row.endpoint).is_name]
    context = {
        "host": host,
        "policy": policy,
        "mode": host.mode_under(policy),
        "servers": {one.name: one for one in await engines.servers_of(f"be_{host.id}")},
        "addresses": {name: engines.addresses.of(name) for name in named},
        "changes": await last_changes(here, host, virtual_hosts.ROWS),
        "trial": trial,
        "binds": here.panel.settings.http_bind,
        "undelivered": await undelivered(here.panel, virtual_host_id),
    }
    return await page(here.request, "virtual_hosts/show.html", context)


async def undelivered(panel: Panel, virtual_host_id: int) -> str:
    """How many requests of the last 24 hours HAProxy could not deliver; empty where nobody knows."""
    asked = EventFilter(virtual_host_id, kind=EventKind.DELIVERY, since=datetime.now(UTC) - timedelta(days=1))
    with suppress(StorageFailed):
        count, is_exact = await panel.events.count(asked)
        return f"{count:,}" if is_exact else f"more than {count:,}"
    return ""
