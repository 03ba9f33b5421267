"""Groups of events: what to decide once for all of them."""

from collections import Counter
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.errors import Invalid
from guardpanel.events.texts import legible
from guardpanel.services.events import EventDetail
from guardpanel.services.events.question import EventQuestion, filter_of
from guardpanel.services.fixes import event_groups
from guardpanel.services.fixes.event_groups import EventGroup, GroupPage
from guardpanel.views.answers import page, redirect
from guardpanel.views.event_words import PLACES, Place, hits
from guardpanel.views.events import READINGS, choices
from guardpanel.views.group_filters import GroupFilters
from guardpanel.views.lists import LIMIT

router = APIRouter(prefix="/event-groups")

MOST_ON_DASHBOARD = 5

NEWEST = 50
"Events of a group that its page looks at."


@router.get("")
async def index(request: Request, panel: PanelDep, session: SessionDep, _viewer: Viewer) -> Response:
    filters = GroupFilters(request.query_params)
    if filters.is_wordy:
        return redirect(filters.url())
    groups: GroupPage | None = None
    try:
        wanted = await filter_of(session, filters.form.fields(EventQuestion), datetime.now(UTC))
        await session.commit()  # names are read over a connection of their own
        groups = await event_groups.page(
            panel.events, panel.database, wanted, state=filters.state, offset=filters.offset, limit=LIMIT
        )
    except Invalid as problem:
        filters.form.refused(problem)
    context = {
        "filters": filters, "results": groups, "ingest": await panel.events.ingest_state(), "places_of": places,
        "readings": READINGS, "limit": LIMIT, **await choices(session, filters),
    }  # fmt: skip
    return await page(request, "event_groups/index.html", context, status_code=200 if groups else 422)


@router.get("/likely")
async def likely(request: Request, panel: PanelDep, session: SessionDep, _viewer: Viewer) -> Response:
    """A part of the dashboard, which does not wait for it: counting groups takes longer than all the rest."""
    await session.commit()
    groups = await event_groups.likely_false_positives(panel.events, panel.database, datetime.now(UTC))
    return await page(request, "event_groups/_likely.html", {"groups": groups, "most": MOST_ON_DASHBOARD})


@router.get("/{key}")
async def show(request: Request, key: str, panel: PanelDep, session: SessionDep, _viewer: Viewer) -> Response:
    await session.commit()
    group = await event_groups.find(panel.events, panel.database, key)
    if group is None:
        context = {"key": legible(key[:100]), "days": panel.settings.event_days}
        return await page(request, "event_groups/missing.html", context, status_code=404)
    newest = list((await panel.events.of_group(key, NEWEST)).values())
    context = {
        "group": group, "event": group.newest, "hits": hits(group.newest), "places": places(group),
        "readings": READINGS, "newest": newest, "fixable": fixable(newest) or group.newest,
        "visitors": Counter(event.item.client for event in newest).most_common(10),
    }  # fmt: skip
    return await page(request, "event_groups/show.html", context)


def places(group: EventGroup) -> list[Place]:
    """Where in the request the rules fired, in words."""
    named = (name.partition(":") for name in group.fields)
    return [Place(PLACES.get(variable, variable), key) for variable, _, key in named]


def fixable(events: list[EventDetail]) -> EventDetail | None:
    """The newest that was stored whole: what was cut off cannot be judged again."""
    return next((event for event in events if not (event.body_cut or event.uri_cut or event.headers_cut)), None)
