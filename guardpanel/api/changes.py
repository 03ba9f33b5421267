"""Changes: every attempt to go live, what it did, and how to undo it."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from guardpanel.api.comparison import LONGEST_ID, DifferenceOut
from guardpanel.api.kept_answers import Keeps
from guardpanel.api.paging import CURSOR, NextCursor, Total
from guardpanel.api.saves import Body, DeploymentOut, SaveRequestDep, StepOut
from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer
from guardpanel.errors import Invalid, NotFound
from guardpanel.models import Deployment
from guardpanel.models.noun import Key
from guardpanel.models.revision import Outcome
from guardpanel.models.types import Notes
from guardpanel.services.history import comparisons, history
from guardpanel.services.history.comparisons import Comparison
from guardpanel.services.history.unified import unified
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import SaveResult

router = APIRouter(prefix="/api/v1/changes", tags=["changes"])

ROW = r"^[a-z_]{1,40}:[0-9]{1,15}$"


class ChangeStepOut(StepOut):
    error: str | None = None


class ChangeOut(BaseModel):
    id: int
    revision: int | None = Field(description="Null if it was rejected. Changes of no configuration share one.")
    outcome: Outcome
    author: str
    summary: str
    row: str | None = Field(description="The row that it is about: `virtual_host:17`.")
    note: str
    message: str = Field(description="Why it did not go live.")
    started_at: datetime
    seconds: float
    steps: list[ChangeStepOut]

    @classmethod
    def of(cls, change: Deployment) -> "ChangeOut":
        row = f"{change.noun}:{change.noun_id}" if change.noun_id else None
        return cls.model_validate({**change.model_dump(include=FIELDS), "revision": change.revision_id, "row": row})


FIELDS = set(ChangeOut.model_fields) - {"revision", "row"}


class OneChangeOut(ChangeOut):
    rows: list[str] = Field(description="All rows that it is about: a restore may change many.")
    output: str = Field(description="The engine’s output.")
    is_undoable: bool = Field(description="Whether it is the last change. Earlier ones can be restored.")


class ChangePage(BaseModel):
    items: list[ChangeOut]
    total: Total
    next_cursor: NextCursor


class ChangeQuery(BaseModel):
    q: str = Field(default="", max_length=200)
    row: str = Field(default="", pattern=f"{ROW}|^$", description="`virtual_host:17`: changes of this row.")
    author: str = Field(default="", max_length=255)
    outcome: Outcome | None = None
    cursor: str = Field(default="", pattern=r"^(before-[1-9][0-9]{0,14})?$", description=CURSOR)
    per_page: int = Field(default=50, ge=1, le=500)


class RowDifferenceOut(DifferenceOut):
    row: str = Field(description="`virtual_host:17`, as a restore accepts it.")


class ComparisonOut(BaseModel):
    differences: list[RowDifferenceOut]
    more: int = Field(description="How many more rows differ.")
    haproxy: str = Field(description="What differs in HAProxy’s files, as a unified diff. Up to 1,000 lines.")
    agent: str = Field(description="What differs in the WAF agent’s configuration.")
    rendered_again: bool = Field(
        description="Whether the files of a side are no longer stored, and are rendered differently today."
    )


class ComparedQuery(BaseModel):
    against: int | None = Field(
        default=None, ge=1, le=LONGEST_ID, description="A revision. Defaults to the state before the change."
    )


CONFIRM = Query(description="Also overwrite what was changed in the database outside guardpanel since the last change.")


class RestoreIn(Body):
    row: str | None = Field(default=None, pattern=ROW, description="One row, or, if it is missing, all of them.")


class NoteIn(Body):
    note: Notes


class UndoneOut(BaseModel):
    change_id: int = Field(description="The change that was made by it.")
    row: str | None
    deployment: DeploymentOut


@router.get("", name="list_changes", dependencies=[Keeps])
async def list_changes(session: SessionDep, _user: Viewer, query: Annotated[ChangeQuery, Query()]) -> ChangePage:
    """Newest first, including rejected and rolled-back ones; `q` looks in summaries and notes."""
    noun, noun_id = key_of(query.row) or ("", None)
    page = await revisions.page(
        session, q=query.q, noun=noun, noun_id=noun_id, author=query.author, outcome=query.outcome,
        before=int(query.cursor.removeprefix("before-") or 0), limit=query.per_page + 1,
    )  # fmt: skip
    items = [ChangeOut.of(change) for change in page.items[: query.per_page]]
    more = len(page.items) > query.per_page
    return ChangePage(items=items, total=page.total, next_cursor=f"before-{items[-1].id}" if more else None)


@router.get("/{change_id:int}", name="read_change", dependencies=[Keeps])
async def read_change(change_id: RowId, session: SessionDep, _user: Viewer) -> OneChangeOut:
    return await whole(session, change_id)


@router.patch("/{change_id:int}", name="note_change")
async def note_change(
    change_id: RowId, body: NoteIn, panel: PanelDep, session: SessionDep, _user: Editor
) -> OneChangeOut:
    """Save a note that explains the change."""
    await revisions.note(panel.database, change_id, body.note)
    return await whole(session, change_id)


@router.get("/{change_id}/comparison", name="compare_change")
async def compare_change(
    change_id: RowId, panel: PanelDep, session: SessionDep, _user: Viewer, query: Annotated[ComparedQuery, Query()]
) -> ComparisonOut:
    """What it did, or would have done if it was rejected: by field, and in both engines’ files."""
    change = await revisions.find(session, change_id)
    return compared(await comparisons.of_change(panel.changes, session, change, query.against))


@router.get("/{change_id}/restore", name="plan_restore")
async def plan_restore(change_id: RowId, panel: PanelDep, session: SessionDep, _user: Viewer) -> ComparisonOut:
    """What restoring the state after this change would do. Changes nothing."""
    return compared(await comparisons.of_restore(panel.changes, session, await revisions.find(session, change_id)))


@router.post("/{change_id}/restore", name="restore_change")
async def restore_change(
    change_id: RowId,
    body: RestoreIn,
    panel: PanelDep,
    save_request: SaveRequestDep,
    confirm: Annotated[bool, CONFIRM] = False,
) -> UndoneOut:
    """Restore everything, or one row, as it was after this change, and go live."""
    confirmed = replace(save_request, confirmed=confirm)
    return done(await history.restore(panel.changes, confirmed, change_id, key_of(body.row)))


@router.post("/{change_id}/undo", name="undo_change")
async def undo_change(
    change_id: RowId, panel: PanelDep, save_request: SaveRequestDep, confirm: Annotated[bool, CONFIRM] = False
) -> UndoneOut:
    """Restore the state before the last change, and go live. 409 if it is not the last one."""
    return done(await history.undo(panel.changes, replace(save_request, confirmed=confirm), change_id))


async def whole(session: SessionDep, change_id: int) -> OneChangeOut:
    change = await revisions.find(session, change_id)
    out = ChangeOut.of(change)
    rows = change.touched or ([out.row] if out.row else [])
    is_undoable = await history.undoable(session) == change_id
    return OneChangeOut(**out.model_dump(), rows=rows, output=change.output, is_undoable=is_undoable)


def key_of(row: str | None) -> Key | None:
    """Raises Invalid if it names no row: it must not mean all of them."""
    key = history.row_named(row or "")
    if row and key is None:
        raise Invalid.at("row", "Enter a row, for example virtual_host:17.")
    return key


def compared(comparison: Comparison | None) -> ComparisonOut:
    if comparison is None:
        raise NotFound("This state never went live or is no longer stored.")
    return ComparisonOut(
        differences=[
            RowDifferenceOut(**DifferenceOut.of(each).model_dump(), row=f"{each.noun}:{each.id}")
            for each in comparison.nouns
        ],
        more=comparison.more,
        haproxy=unified(comparison.haproxy),
        agent=unified(comparison.agent),
        rendered_again=comparison.rendered_anew,
    )


def done(saved: SaveResult[Key | None]) -> UndoneOut:
    row = f"{saved.value[0]}:{saved.value[1]}" if saved.value else None
    return UndoneOut(change_id=saved.change_id, row=row, deployment=DeploymentOut.of(saved))
