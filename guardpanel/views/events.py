"""Events: which requests fired rules, the details of one, and why it was blocked or passed."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.errors import Invalid, NotFound
from guardpanel.events.texts import legible
from guardpanel.events.words import REASON_TABLE
from guardpanel.services import custom_rules, policies, virtual_host_names
from guardpanel.services.events import EventDetail, EventPage, scores
from guardpanel.services.events.grouping import key_of
from guardpanel.services.events.question import EventQuestion, filter_of
from guardpanel.services.events.scores import NO_OWN, Own
from guardpanel.services.fixes import event_groups
from guardpanel.services.saving import revisions
from guardpanel.views.answers import page, redirect
from guardpanel.views.event_filters import EventFilters
from guardpanel.views.event_score import points_of, waterfalls
from guardpanel.views.event_words import EventSentences, found_by, hits, line
from guardpanel.views.lists import LIMIT

router = APIRouter(prefix="/events")

READINGS = {"false_positive": "legitimate", "unclear": "unclear", "attack": "attack"}
"The state that each likelihood of a group is shown as."

NAMES_OFFERED = 200
"Virtual hosts that the field suggests. Others can be typed."


@router.get("")
async def index(request: Request, panel: PanelDep, session: SessionDep, _viewer: Viewer, cursor: str = "") -> Response:
    filters = EventFilters(request.query_params)
    if filters.is_wordy:
        return redirect(filters.url())
    events: EventPage | None = None
    try:
        question = await filter_of(session, filters.form.fields(EventQuestion), datetime.now(UTC))
        await session.commit()  # The search opens its own connection. Two per request could exhaust the pool.
        events = await panel.events.page(question, cursor=cursor or None, limit=LIMIT)
    except Invalid as problem:
        if "cursor" in problem.errors:
            return redirect(filters.url())
        filters.form.refused(problem)
    context = {
        "filters": filters, "results": events, "ingest": await panel.events.ingest_state(),
        "event_line": line, "reasons": REASON_TABLE, **await choices(session, filters),
    }  # fmt: skip
    return await page(request, "events/index.html", context, status_code=200 if events else 422)


@router.get("/{request_id}")
async def show(request: Request, request_id: str, panel: PanelDep, session: SessionDep, _viewer: Viewer) -> Response:
    await session.commit()
    event = await panel.events.pasted(request_id)
    if event is None:
        return await missing(request, panel, request_id)
    group, revision = await event_groups.find(panel.events, panel.database, key_of(event)), event.item.revision
    context = {
        **parts(event, await custom_rules.points_in(session, event.item.policy_id)),
        "group": group, "readings": READINGS, "event": event, "sentences": EventSentences(event), "event_line": line,
        "reason_line": REASON_TABLE[event.item.reason].line if event.item.reason else None,
        "change": await revisions.change_of(session, revision) if revision else None,
    }  # fmt: skip
    return await page(request, "events/show.html", context)


@router.get("/{request_id}/lines")
async def download(request_id: str, panel: PanelDep, session: SessionDep, _viewer: Viewer) -> Response:
    """The raw lines of the agent and HAProxy. A download: browsers must not render it."""
    await session.commit()
    event = await panel.events.find(request_id)
    if event is None:
        raise NotFound("Event not found.")
    return PlainTextResponse(event.lines, headers={"content-disposition": 'attachment; filename="event.txt"'})


async def missing(request: Request, panel: PanelDep, request_id: str) -> Response:
    """Explains why an event may be missing."""
    context = {
        "request_id": legible(request_id[:100]), "days": panel.settings.event_days,
        "ingest": await panel.events.ingest_state(),
    }  # fmt: skip
    return await page(request, "events/missing.html", context, status_code=404)


def parts(event: EventDetail, own: Own = NO_OWN) -> dict[str, Any]:
    """What the event's page draws besides its text."""
    return {
        "waterfalls": waterfalls(event, own), "points": points_of(event, own),
        "causes": scores.causes(event), "hits": hits(event),
        "found_by": {rule.id: next(iter(found_by(rule)), "") for rule in scores.causes(event)},
    }  # fmt: skip


async def choices(session: SessionDep, filters: EventFilters) -> dict[str, Any]:
    """The choices of the filters, and the name of the selected virtual host."""
    known = await policies.all_of_them(session)
    host = filters.kept.get("virtual_host", "")
    return {
        "boxes": filters.boxes(known, await virtual_host_names.name_of(session, host) if host else ""), "policies": known,
        "names": await virtual_host_names.some_names(session, NAMES_OFFERED),
    }  # fmt: skip
