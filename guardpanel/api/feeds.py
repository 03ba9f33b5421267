"""The feeds of address lists as JSON."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from guardpanel.api.documented import also
from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer, client_address
from guardpanel.errors import Conflict
from guardpanel.models import AddressList, Feed
from guardpanel.models.access.address_list import NOUN
from guardpanel.services.access import feed_states, feed_trials
from guardpanel.services.events.busiest import Busy

router = APIRouter(prefix=f"/api/v1/{NOUN.api}", tags=[NOUN.tag])


class FeedOut(BaseModel):
    entry_count: int = Field(description="Of what applies: the last download that was good.")
    changed_at: datetime | None = Field(description="When other entries began to apply.")
    checked_at: datetime | None = Field(description="When a download was last good, or nothing had changed.")
    tried_at: datetime | None
    next_at: datetime | None = Field(description="Null: at once.")
    is_stale: bool = Field(description="No download has been good for three intervals, or the first one failed.")
    failures: int = Field(description="In a row.")
    problem: str = Field(description="Why the last download failed. Empty: it did not.")
    lines: int = Field(description="Of the last download that was good.")
    doubles: int = Field(description="Entries of it that were there twice.")
    covered: int = Field(description="Entries of it within others that last as long, which are left out, too.")
    left_out: str = Field(description="Entries of the last download that would lock servers or this machine out.")
    waiting_count: int | None = Field(description="Entries that were downloaded and have to be accepted. Null: none.")
    waiting_digest: str = Field(description="The hash of these entries. Empty: none.")
    waiting_because: str

    @classmethod
    def of(cls, row: AddressList, feed: Feed) -> "FeedOut":
        waiting = feed.waiting_reference
        same = {name: getattr(feed, name) for name in cls.model_fields if name in Feed.model_fields}
        return cls(
            **same,
            entry_count=feed.reference.total,
            next_at=feed_states.due_at(row, feed),
            is_stale=feed.is_stale(row.feed_interval, datetime.now(UTC)),
            waiting_count=waiting.total if waiting else None,
            waiting_digest=waiting.digest if waiting else "",
        )


class VisitorOut(BaseModel):
    address: str
    events: int
    passed: int = Field(description="Events of requests that were not rejected.")
    last_at: datetime


class BusyClient(BaseModel):
    client: str = Field(description="An IPv4 address, or an IPv6 /64 of which the list contains a part.")
    requests: int
    passed: int = Field(description="Requests that were not rejected.")


class TrialOut(BaseModel):
    clients: int = Field(description="Clients with events in the last 7 days.")
    contained_count: int = Field(
        description="Those of them in the list that waits, or, of a list that allows only some, not in it."
    )
    contained: list[VisitorOut] = Field(description="The first 1,000 of them, whoever was not rejected first.")
    busy_clients: int = Field(description="Clients with most requests in the last 7 days, with or without events.")
    busy_contained: list[BusyClient] = Field(description="The same of these, most requests first.")
    warnings: list[str]


MOST_VISITORS = 1000

LOOKED_AT = Query(
    max_length=64, description="The `waiting_digest` that you have looked at: 409 if another download waits by now."
)


async def _row(session: SessionDep, list_id: int) -> AddressList:
    row = await feed_states.find_list(session, list_id)
    if not row.is_fed:
        raise Conflict("This list is filled by hand.")
    return row


@router.get("/{address_list_id}/feed", name="read_address_list_feed", responses=also(409))
async def read_feed(address_list_id: RowId, session: SessionDep, _user: Viewer) -> FeedOut:
    """The state of what fills the list."""
    row = await _row(session, address_list_id)
    return FeedOut.of(row, await feed_states.state_of(session, row))


@router.get("/{address_list_id}/feed/trial", name="try_address_list_feed", responses=also(409, 507))
async def try_feed(
    address_list_id: RowId, request: Request, session: SessionDep, panel: PanelDep, _user: Viewer
) -> TrialOut:
    """The visitors of the last 7 days whom the waiting download contains: those with events, and those with most requests."""
    row = await _row(session, address_list_id)
    feed = await feed_states.state_of(session, row)
    trial = await feed_trials.tried(panel.changes, session, panel.events, row, feed, client_address(request))
    if trial is None:
        raise Conflict("No download waits.")
    contained = [VisitorOut(**visitor._asdict()) for visitor in trial.contained[:MOST_VISITORS]]
    return TrialOut(
        clients=trial.clients,
        contained_count=len(trial.contained),
        contained=contained,
        busy_clients=trial.busy,
        busy_contained=[_busy(client) for client in trial.busy_contained],
        warnings=list(trial.warnings),
    )


def _busy(client: Busy) -> BusyClient:
    return BusyClient(client=client.name, requests=client.count.requests, passed=client.passed)


@router.post("/{address_list_id}/feed/download", name="download_address_list_feed", responses=also(409))
async def download_feed(address_list_id: RowId, panel: PanelDep, _user: Editor) -> FeedOut:
    """Download the list now. Returns when the download has ended, also if it failed."""
    feed = await panel.feeds.download(address_list_id)
    async with panel.database.read() as session:
        return FeedOut.of(await _row(session, address_list_id), feed)


@router.post("/{address_list_id}/feed/accept", name="accept_address_list_feed", responses=also(409))
async def accept_feed(
    address_list_id: RowId, panel: PanelDep, user: Editor, digest: Annotated[str, LOOKED_AT] = ""
) -> FeedOut:
    """Accept the download that waits: it applies from now on."""
    await panel.feeds.accept(address_list_id, who=user.email, digest=digest)
    async with panel.database.read() as session:
        row = await _row(session, address_list_id)
        return FeedOut.of(row, await feed_states.state_of(session, row))
