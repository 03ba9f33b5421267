"""Events and changes as they come, as server-sent events."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request

from guardpanel.api import streaming
from guardpanel.api.changes import ChangeOut
from guardpanel.api.documented import also
from guardpanel.api.events import EventFilters, EventOut
from guardpanel.api.streaming import LastEventId, OneOfFew
from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.events.schema import id_of
from guardpanel.models.revision import Outcome
from guardpanel.panel import Panel
from guardpanel.server_sent import EventStream, message
from guardpanel.services.events.following import Following, before
from guardpanel.services.events.question import filter_of
from guardpanel.services.saving import revisions

router = APIRouter(prefix="/api/v1", dependencies=[OneOfFew], default_response_class=EventStream)


@router.get(
    "/events/stream",
    name="stream_events",
    tags=["events"],
    responses=streaming.documented("`EventOut`") | also(507),
)
async def stream_events(
    request: Request,
    panel: PanelDep,
    session: SessionDep,
    _user: Viewer,
    query: Annotated[EventFilters, Query()],
    last_event_id: LastEventId = "",
) -> EventStream:
    """Events as they arrive, or, with `since` or `time`, from then on. One is sent again if HAProxy’s line changes what is known
    of it, and those of the 5 minutes before `Last-Event-ID` are: `request_id` identifies them."""
    filters = await filter_of(session, query, datetime.now(UTC))
    await session.commit()  # A connection must not be held for as long as the stream.
    following = Following(filters, before(streaming.after(last_event_id, id_of(datetime.now(UTC)))))
    if not last_event_id and (query.since or query.time):
        following.first = 0
    elif not last_event_id:
        await panel.events.follow(following)

    async def news() -> list[bytes]:
        items = await panel.events.follow(following)
        return [
            message(EventOut.model_validate(item).model_dump_json(), number=str(id_of(item.time))) for item in items
        ]

    return streaming.answer(request, panel, news)


@router.get("/changes/stream", name="stream_changes", tags=["changes"], responses=streaming.documented("`ChangeOut`"))
async def stream_changes(
    request: Request, panel: PanelDep, session: SessionDep, _user: Viewer, last_event_id: LastEventId = ""
) -> EventStream:
    """Changes as they go live, or do not: each one when it begins (`deploying`, if that takes a moment) and with its outcome."""
    last = await revisions.last_deployment(session)
    await session.commit()
    newest = 0 if last is None else (last.id or 0) - (last.outcome is Outcome.DEPLOYING)
    return streaming.answer(request, panel, _Changes(panel, streaming.after(last_event_id, newest)).news)


class _Changes:
    def __init__(self, panel: Panel, ended: int) -> None:
        self.panel = panel
        self.ended = ended
        "The last change whose outcome was sent."
        self.begun = 0
        self.version = -1

    async def news(self) -> list[bytes]:
        version = self.panel.database.version()
        if version == self.version:
            return []
        async with self.panel.database.read() as session:
            changes = await revisions.after(session, self.ended)
        if len(changes) < revisions.AT_ONCE:  # Otherwise there may be more, though nothing is written.
            self.version = version
        return [sent for change in map(ChangeOut.of, changes) if (sent := self._message(change))]

    def _message(self, change: ChangeOut) -> bytes:
        """Without an `id` while it goes live: a client that goes on later gets its outcome."""
        if change.outcome is not Outcome.DEPLOYING:
            self.ended = change.id
            return message(change.model_dump_json(), number=str(change.id))
        is_new, self.begun = change.id != self.begun, change.id
        return message(change.model_dump_json()) if is_new else b""
