"""Traffic settings: who the client is, for all virtual hosts; and what the last requests said of theirs."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from guardpanel.dependencies import Viewer
from guardpanel.models import Traffic
from guardpanel.models.traffic import TrafficFields
from guardpanel.services import traffic
from guardpanel.views.answers import page
from guardpanel.views.editing import Editing, last_changes
from guardpanel.views.visits import Here, Visit


class TrafficEditing(Editing[Traffic, TrafficFields]):
    async def beside_form(self, here: Visit) -> Mapping[str, Any]:
        by_memory = await traffic.capacity_of(here.changes, here.session, settings=False)
        return {"by_memory": by_memory, "trail": [("System", "/system"), ("Traffic", self.noun.path)]}


EDITING = TrafficEditing(traffic.ROWS)

router = EDITING.router()


@router.get("")
async def show(here: Here, _viewer: Viewer) -> Response:
    row = await traffic.find(here.session)
    context = {
        "traffic": row,
        "capacity": await traffic.capacity_of(here.changes, here.session),
        "memory": f"{here.facts.memory_mib / 1024:.1f} GiB",
        "listeners": traffic.fields_of(row, here.facts).listeners,
        "lately": await here.panel.events.lately(),
        "changes": await last_changes(here, row, traffic.ROWS),
    }
    return await page(here.request, "traffic/show.html", context)
