"""Where the data about addresses comes from as JSON, its state, and its upload."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel, Field

from guardpanel.access.geo_files import GeoKind
from guardpanel.api import single_rows
from guardpanel.api.documented import also
from guardpanel.dependencies import Editor, PanelDep, SessionDep, Viewer
from guardpanel.models.access.geo_data import NOUN
from guardpanel.panel import Panel
from guardpanel.services import geo_data
from guardpanel.services.access.geo_downloads import url_in_use

router = single_rows.settings(NOUN, geo_data)

CONFIRM = Query(description="Use it even if it has less than half of the networks of the data in use.")


class GeoDataState(BaseModel):
    networks: int = Field(description="Of the data in use. 0: there is none.")
    database: str = Field(description="What its maker calls it.")
    built_at: datetime | None = Field(description="When its maker built it.")
    file: str = Field(description="The file that the environment names. Empty: none.")
    url: str = Field(description="Where it is downloaded from. Empty: it is uploaded, or comes from a file.")
    uploaded_by: str
    uploaded_at: datetime | None
    checked_at: datetime | None = Field(description="When a download was last good, or nothing had changed.")
    next_at: datetime | None = Field(description="Of downloads. Null: at once, or none.")
    is_stale: bool = Field(description="No download has been good for three intervals, or the first one failed.")
    failures: int = Field(description="Of downloads, in a row.")
    problem: str = Field(description="Why the file, or the last download, is not used. Empty: it is.")


async def _state(panel: Panel, session: SessionDep, kind: GeoKind) -> GeoDataState:
    row, status = await geo_data.find(session), (await panel.geo.statuses())[kind]
    url, state = url_in_use(row, panel.geo.of(kind)), status.state
    return GeoDataState(
        networks=status.networks,
        database=status.database,
        built_at=status.built_at,
        file=status.source,
        url=url,
        uploaded_by=state.uploaded_by,
        uploaded_at=state.uploaded_at,
        checked_at=state.checked_at,
        next_at=state.due_at(url, row.interval) if url else None,
        is_stale=bool(url) and state.is_stale(row.interval, datetime.now(UTC)),
        failures=state.failures,
        problem=status.problem or (state.problem if url else ""),
    )


@router.get("/{kind}", name="read_geo_data_state")
async def read_state(kind: GeoKind, panel: PanelDep, session: SessionDep, _user: Viewer) -> GeoDataState:
    """What is known of the data in use, and where it comes from."""
    return await _state(panel, session, kind)


@router.post("/{kind}/download", name="download_geo_data", responses=also(409))
async def download(
    kind: GeoKind, panel: PanelDep, session: SessionDep, _user: Editor, confirm: Annotated[bool, CONFIRM] = False
) -> GeoDataState:
    """Download the data now. Returns when the download has ended, also if it failed."""
    await panel.geo_downloads.download(kind, may_shrink=confirm)
    return await _state(panel, session, kind)


@router.put(
    "/{kind}/file",
    name="upload_geo_data",
    responses=also(409, 413, 507),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload(
    kind: GeoKind,
    request: Request,
    panel: PanelDep,
    session: SessionDep,
    user: Editor,
    confirm: Annotated[bool, CONFIRM] = False,
) -> GeoDataState:
    """A `.mmdb` or `.mmdb.gz` file of up to 256 MiB, where no file of the environment and no URL is used."""
    await panel.geo_downloads.upload(kind, request.stream(), user.email, may_shrink=confirm)
    return await _state(panel, session, kind)
