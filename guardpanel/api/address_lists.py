"""Address lists as JSON, and their entries, of which there may be hundreds of thousands."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import BaseModel, Field

from guardpanel.access.entries import Entry
from guardpanel.access.parsing import text_of
from guardpanel.api import nouns
from guardpanel.api.nouns import ListQuery
from guardpanel.api.paging import Paged, Paging
from guardpanel.api.parameters import SentBody
from guardpanel.api.saves import Body, DeploymentOut, SaveRequestDep, tag
from guardpanel.api.shapes import Dialect, Row
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.models.access.address_list import NOUN, ListKind
from guardpanel.services import address_lists
from guardpanel.services.access.list_edits import Edit, adding, removing, replacing


class AddressListRow(Row):
    entry_count: int | None = Field(description="Number of entries. Null: a feed fills the list, see there.")


class AddressListDialect(Dialect):
    answer = AddressListRow

    def out(self, row: Any) -> dict[str, Any]:
        return {"entry_count": None if row.is_fed else row.reference.total}


class AddressListQuery(ListQuery):
    kind: ListKind | None = None


router = nouns.rows(NOUN, address_lists, AddressListDialect(), query=AddressListQuery, looks_in="names and notes")


class AddressOut(BaseModel):
    network: str
    ends_at: datetime | None = Field(description="Null: it does not end.")
    comment: str

    @classmethod
    def of(cls, entry: Entry) -> "AddressOut":
        ends_at = datetime.fromtimestamp(entry.ends_at, UTC) if entry.ends_at else None
        return cls(network=entry.network, ends_at=ends_at, comment=entry.comment)


class AddressPage(Paged):
    items: list[AddressOut]


class AddressQuery(Paging):
    per_page: int = Field(default=100, ge=1, le=10_000)
    q: str = Field(default="", max_length=200, description="Part of a network or comment.")


class EntriesIn(Body):
    entries: list[str] = Field(
        min_length=1,
        max_length=10_000,
        description="One per item, as a list is pasted: `192.0.2.7 until 2026-12-31  # reason`.",
    )


class EntriesSaved(BaseModel):
    entry_count: int
    version: int
    deployment: DeploymentOut


CONFIRM = Query(
    description="Save even if a deny list contains your own address, or that of a server or of this machine, or if a list that "
    "allows only its entries lacks your own."
)


@router.get("/{address_list_id}/entries", name="list_address_list_entries")
async def list_entries(
    address_list_id: RowId, session: SessionDep, _user: Viewer, listing: Annotated[AddressQuery, Query()]
) -> AddressPage:
    """The entries of the list, by address."""
    row = await address_lists.find(session, address_list_id)
    page = await address_lists.entries_page(session, row, q=listing.q, **listing.portion)
    return AddressPage(items=[AddressOut.of(entry) for entry in page.items], **listing.counts(page))


@router.post("/{address_list_id}/entries", name="add_address_list_entries")
async def add_entries(
    address_list_id: RowId,
    body: EntriesIn,
    response: Response,
    panel: PanelDep,
    save_request: SaveRequestDep,
    confirm: Annotated[bool, CONFIRM] = False,
) -> EntriesSaved:
    """Add entries, live without a reload. One that is there gets the given end and comment."""
    edit = adding("\n".join(line.replace("\n", " ").replace("\r", " ") for line in body.entries))
    return await _edited(panel, save_request, address_list_id, edit, response, confirmed=confirm)


@router.put(
    "/{address_list_id}/entries",
    name="replace_address_list_entries",
    openapi_extra={"requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def replace_entries(
    address_list_id: RowId,
    response: Response,
    panel: PanelDep,
    save_request: SaveRequestDep,
    body: SentBody,
    confirm: Annotated[bool, CONFIRM] = False,
) -> EntriesSaved:
    """Replace all entries by a text as it would be pasted, up to 20 MB."""
    edit = replacing(text_of(body))
    return await _edited(panel, save_request, address_list_id, edit, response, confirmed=confirm)


@router.delete("/{address_list_id}/entries/{network:path}", name="remove_address_list_entry")
async def remove_entry(
    address_list_id: RowId,
    network: str,
    response: Response,
    panel: PanelDep,
    save_request: SaveRequestDep,
    confirm: Annotated[bool, CONFIRM] = False,
) -> EntriesSaved:
    """Delete an entry. `network` is written as it is listed, `10.0.0.0/8`."""
    return await _edited(panel, save_request, address_list_id, removing([network]), response, confirmed=confirm)


async def _edited(
    panel: PanelDep,
    save_request: SaveRequestDep,
    number: int,
    edit: Edit,
    response: Response,
    *,
    confirmed: bool,
) -> EntriesSaved:
    saved = await address_lists.ROWS.edit(panel.changes, save_request, number, edit, confirmed=confirmed)
    tag(response, saved.value.version)
    return EntriesSaved(
        entry_count=saved.value.reference.total, version=saved.value.version, deployment=DeploymentOut.of(saved)
    )
