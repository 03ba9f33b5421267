"""The ledger as JSON: the rule exclusions and overrides of all policies."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from guardpanel.api.documented import also
from guardpanel.api.paging import Paged, Paging
from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.services.ledger.flags import FlagKind
from guardpanel.services.ledger.ledger import Entry, EntryKind, Question, load

router = APIRouter(prefix="/api/v1/ledger", tags=["rules"], responses=also(507))

LONGEST_ID = 2**53


class FlagOut(BaseModel):
    kind: FlagKind
    message: str


class EntryOut(BaseModel):
    kind: EntryKind
    id: int
    name: str
    rules: list[str] = Field(description="IDs, ranges, families, and tags.")
    sentence: str = Field(description="What it does.")
    policy_id: int
    policy: str
    vhost_id: int | None = Field(description="Null: all that use the policy.")
    vhost: str | None
    reason: str
    source: str = Field(description="The application profile that made it. Empty: a person.")
    owner: str = Field(description="Who answers for it.")
    ends_on: date | None
    enabled: bool
    changed_at: datetime
    requests_30_days: int | None = Field(
        description="Requests that met its conditions, or fired the rule that an override lets count. Null: not counted."
    )
    last_used_at: datetime | None
    checked_with: str | None = Field(description="The OWASP CRS version by which it was checked when it was saved.")
    flags: list[FlagOut]


class LedgerPage(Paged):
    items: list[EntryOut]
    crs_version: str | None = Field(
        description="Null: the agent’s rules are not known, and nothing is called redundant."
    )


class LedgerQuery(Paging):
    q: str = Field(default="", max_length=200, description="Looks in names, reasons, and owners.")
    kind: EntryKind | None = None
    policy_id: int | None = Field(default=None, ge=1, le=LONGEST_ID)
    vhost_id: int | None = Field(default=None, ge=1, le=LONGEST_ID)
    flag: FlagKind | None = None
    sort: str = Field(
        default="policy",
        pattern="^-?(policy|name|owner|ends|uses|last_used|changed)$",
        description="`policy`, `name`, `owner`, `ends`, `uses`, `last_used` or `changed`; `-` before it: descending.",
    )


@router.get("")
async def list_ledger(
    panel: PanelDep, session: SessionDep, _user: Viewer, query: Annotated[LedgerQuery, Query()]
) -> LedgerPage:
    """Rule exclusions and rule overrides of all policies, each with flags for what needs review."""
    ledger = await load(
        session,
        panel.engines,
        panel.events,
        Question(query.q, query.kind, query.policy_id, query.vhost_id, query.flag),
        sort=query.sort.removeprefix("-"),
        descending=query.sort.startswith("-"),
        **query.portion,
    )
    return LedgerPage(
        items=[_out(entry) for entry in ledger.page.items],
        **query.counts(ledger.page),
        crs_version=ledger.crs_version or None,
    )


def _out(entry: Entry) -> EntryOut:
    return EntryOut(
        kind=entry.kind, id=entry.id, name=entry.name, rules=list(entry.rules), sentence=entry.sentence,
        policy_id=entry.policy_id, policy=entry.policy, vhost_id=entry.virtual_host_id, vhost=entry.virtual_host or None,
        source=entry.source,
        reason=entry.reason, owner=entry.owner, ends_on=entry.ends_on, enabled=entry.enabled, changed_at=entry.changed_at,
        requests_30_days=entry.requests, last_used_at=entry.last_used,
        checked_with=entry.crs_version or None,
        flags=[FlagOut(kind=flag.kind, message=flag.message) for flag in entry.flags],
    )  # fmt: skip
