"""The recorded ordinary requests of a virtual host as JSON."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from guardpanel.api.documented import also
from guardpanel.api.paging import CURSOR, NextCursor
from guardpanel.api.streaming import LARGEST
from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer
from guardpanel.models.virtual_host import NOUN
from guardpanel.services.events.recorded import RecordedRequest
from guardpanel.services.trials import recorded_requests

router = APIRouter(prefix=f"/api/v1/{NOUN.api}/{{virtual_host_id}}/recorded", tags=[NOUN.tag], responses=also(507))


CURSOR_BEFORE = r"^(before-[1-9][0-9]{0,18})?$"


class RecordedRequestOut(BaseModel):
    """Values are masked by others of the same shape. Bytes that are not displayable appear as `\\xff` or `\\u202e`."""

    at: datetime
    kept_until: datetime
    host: str
    method: str
    uri: str
    headers: list[tuple[str, str]]
    body: str
    body_bytes: int = Field(description="Length of the whole body.")
    is_partial: bool = Field(description="Only the beginning of the body was recorded.")


class RecordedRequestPage(BaseModel):
    items: list[RecordedRequestOut] = Field(description="Newest first.")
    count: int = Field(description="Of all of them.")
    oldest: datetime | None
    next_cursor: NextCursor


class RecordedQuery(BaseModel):
    cursor: str = Field(default="", pattern=CURSOR_BEFORE, description=CURSOR)
    per_page: int = Field(default=50, ge=1, le=500)


class DeletedOut(BaseModel):
    deleted: int


class ForgetQuery(BaseModel):
    client: str | None = Field(
        default=None, max_length=64, description="Only those of this IP address (of an IPv6 address’s /64)."
    )


@router.get("")
async def list_recorded_requests(
    virtual_host_id: RowId,
    panel: PanelDep,
    session: SessionDep,
    _user: Viewer,
    query: Annotated[RecordedQuery, Query()],
) -> RecordedRequestPage:
    """The ordinary requests that are recorded of this virtual host, to try changes on."""
    before = min(int(query.cursor.removeprefix("before-") or 0), LARGEST)
    recorded = await recorded_requests.of_virtual_host(
        session, panel.events, virtual_host_id, query.per_page + 1, before=before
    )
    kept, page = recorded.kept, recorded.kept.newest[: query.per_page]
    return RecordedRequestPage(
        items=[_out(request) for request in page], count=kept.count, oldest=kept.oldest,
        next_cursor=f"before-{page[-1].id}" if len(kept.newest) > len(page) else None,
    )  # fmt: skip


@router.delete("")
async def delete_recorded_requests(
    virtual_host_id: RowId,
    panel: PanelDep,
    session: SessionDep,
    _editor: Editor,
    query: Annotated[ForgetQuery, Query()],
) -> DeletedOut:
    """Deletes the recorded requests of this virtual host: all, or those of one client IP."""
    return DeletedOut(deleted=await recorded_requests.forget(session, panel.events, virtual_host_id, query.client))


def _out(request: RecordedRequest) -> RecordedRequestOut:
    return RecordedRequestOut(
        at=request.at, kept_until=request.until, host=request.host, method=request.method, uri=request.uri,
        headers=list(request.headers), body=request.body, body_bytes=request.body_bytes, is_partial=request.is_partial,
    )  # fmt: skip
