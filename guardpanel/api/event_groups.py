"""Groups of events: whether they are an attack, and which change fixed them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from guardpanel.api.documented import also
from guardpanel.api.events import EventFilters
from guardpanel.api.paging import NO_CURSOR, Paged, Paging, key_in
from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.errors import Invalid, NotFound
from guardpanel.events.schema import id_of, time_of
from guardpanel.services.events.question import LATEST, filter_of
from guardpanel.services.events.triage import Likelihood
from guardpanel.services.fixes import event_groups
from guardpanel.services.fixes.event_groups import EventGroup, GroupState
from guardpanel.services.paging import Portion

router = APIRouter(prefix="/api/v1/event-groups", tags=["events"], responses=also(507))


class FixOut(BaseModel):
    change_id: int
    revision: int | None
    at: datetime = Field(description="When it went live.")
    is_over: bool = Field(
        description="Whether an exclusion, override or body reading that it added was deleted or disabled."
    )


class EventGroupOut(BaseModel):
    key: str = Field(description="Stays the same for the same virtual host, method, path template, rules and fields.")
    virtual_host_id: int | None
    virtual_host: str | None
    method: str
    path: str = Field(description="A template: `/orders/{number}`.")
    rules: list[int] = Field(description="Those that contributed to the score.")
    fields: list[str] = Field(description="What they matched: `ARGS:items[*][name]`.")
    message: str
    requests: int = Field(description="Among the newest 20,000 events that match.")
    visitors: int = Field(description="Number of client IPs.")
    blocked: int
    first: datetime
    last: datetime
    newest_request_id: str
    likelihood: Likelihood
    speaks_for: list[str] = Field(description="Reasons to think that it is a false positive.")
    speaks_against: list[str] = Field(description="Reasons to think that it is an attack.")
    state: GroupState = Field(description="`fixed` until it is blocked again, or what fixed it is deleted or disabled.")
    fix: FixOut | None
    blocked_again: bool = Field(description="Whether events were blocked after the fix.")

    @classmethod
    def of(cls, group: EventGroup) -> "EventGroupOut":
        item, fix = group.newest.item, group.fix
        return cls(
            key=group.key, virtual_host_id=item.virtual_host_id, virtual_host=item.virtual_host, method=item.method,
            path=group.path, rules=list(group.rules), fields=list(group.fields), message=item.message,
            requests=group.requests, visitors=group.visitors, blocked=group.blocked, first=group.first, last=group.last,
            newest_request_id=item.request_id, likelihood=group.triage.likelihood,
            speaks_for=list(group.triage.speaks_for), speaks_against=list(group.triage.speaks_against),
            state=group.state, blocked_again=group.is_blocked_again,
            fix=FixOut(change_id=fix.change_id, revision=fix.revision, at=fix.at, is_over=fix.is_over) if fix else None,
        )  # fmt: skip


class EventGroupPage(Paged):
    items: list[EventGroupOut]
    total_is_exact: bool = Field(description="If false, older events or further groups were not looked at.")


class GroupQuery(EventFilters, Paging):
    """The filters of events, and one more. A cursor also has the time of the first page: later events don't move groups."""

    state: GroupState | None = None

    @property
    def portion(self) -> Portion:
        portion = super().portion
        after = portion["after"]
        return {**portion, "after": after[1:] if after else None}

    def began(self, now: datetime) -> datetime:
        """When the first page was read."""
        if not self.cursor:
            return now
        first = (*key_in(self.cursor), None)[0]
        if not (isinstance(first, int) and 0 <= first <= id_of(LATEST)):
            raise Invalid.at("cursor", NO_CURSOR)
        return time_of(first)


@router.get("")
async def list_event_groups(
    panel: PanelDep, session: SessionDep, _user: Viewer, query: Annotated[GroupQuery, Query()]
) -> EventGroupPage:
    """Open groups first, of these the likely false positives; the 100 with the most clients. `time` defaults to `24h`."""
    began = query.began(datetime.now(UTC))
    wanted = await filter_of(session, query, began)
    if query.cursor:
        wanted = replace(wanted, until=min(began, wanted.until or began))
    await session.commit()  # names are read over a connection of their own
    groups = await event_groups.page(panel.events, panel.database, wanted, state=query.state, **query.portion)
    last = (id_of(began), *groups.last) if groups.last else None
    return EventGroupPage(
        items=[EventGroupOut.of(group) for group in groups.items], total_is_exact=groups.is_whole,
        **query.counts(replace(groups, last=last)),
    )  # fmt: skip


@router.get("/{key}")
async def read_event_group(key: str, panel: PanelDep, session: SessionDep, _user: Viewer) -> EventGroupOut:
    """One group, over all stored events."""
    await session.commit()
    group = await event_groups.find(panel.events, panel.database, key)
    if group is None:
        raise NotFound("Event group not found.")
    return EventGroupOut.of(group)
