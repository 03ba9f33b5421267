"""Downloads of client CAs' revocation lists as JSON."""

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from guardpanel.api.documented import also
from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer
from guardpanel.errors import Conflict
from guardpanel.models.certificates.client_ca import NOUN
from guardpanel.models.certificates.list_download import ListDownload
from guardpanel.services import client_cas
from guardpanel.services.saving.changes import SaveRequest

router = APIRouter(prefix=f"/api/v1/{NOUN.api}", tags=[NOUN.tag])


class ListDownloadOut(BaseModel):
    checked_at: datetime | None = Field(description="When a download was last good.")
    tried_at: datetime | None
    next_at: datetime | None = Field(description="Null: at once.")
    is_stale: bool = Field(description="No download has been good for 3 hours, or the first one failed.")
    failures: int = Field(description="In a row.")
    problem: str = Field(description="Why the last download failed. Empty: it did not.")

    @classmethod
    def of(cls, known: ListDownload | None) -> "ListDownloadOut":
        if known is None:
            return cls(checked_at=None, tried_at=None, next_at=None, is_stale=False, failures=0, problem="")
        return cls(
            checked_at=known.good_at,
            tried_at=known.tried_at,
            next_at=known.due_at,
            is_stale=known.is_stale(datetime.now(UTC)),
            failures=known.failures,
            problem=known.problem,
        )


@router.get("/{client_ca_id}/revocation-lists", name="read_revocation_list_download", responses=also(409))
async def read_download(client_ca_id: RowId, session: SessionDep, panel: PanelDep, _user: Viewer) -> ListDownloadOut:
    """The state of what downloads its revocation lists."""
    row = await client_cas.find(session, client_ca_id)
    if not row.revocation_list_urls:
        raise Conflict("This client CA has no revocation list URLs.")
    return ListDownloadOut.of(await panel.revocation_lists.of(session, row))


@router.post(
    "/{client_ca_id}/revocation-lists/download", name="download_revocation_lists", responses=also(409)
)  # fmt: skip
async def download_lists(client_ca_id: RowId, panel: PanelDep, user: Editor) -> ListDownloadOut:
    """Download its revocation lists now. Returns when the download has ended, also if it failed. New lists are live then."""
    return ListDownloadOut.of(await panel.revocation_lists.download(client_ca_id, SaveRequest(user.email)))
