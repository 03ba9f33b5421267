"""Jobs: what became of requests that were answered before they were carried out (`Prefer: respond-async`)."""

import json
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from guardpanel.api.problems import ProblemDocument
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.services.saving.once import Answered, Job

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

State = Literal["running", "succeeded", "failed", "lost"]


class JobOut(BaseModel):
    id: int
    state: State = Field(
        description="`failed`: see `problem`. `lost`: it was carried out, and its result is not stored."
    )
    request: str = Field(description="Its method and path: `POST /api/v1/configuration/apply`.")
    created_at: datetime
    change_id: int | None = Field(description="The change that it made or tried to make.")
    status: int | None = Field(description="What the request would have been answered with.")
    result: dict[str, Any] | None = Field(description="The body of that answer, if it succeeded.")
    problem: ProblemDocument | None = Field(description="The body of that answer, if it failed.")

    @classmethod
    def of(cls, job: Job) -> "JobOut":
        answered = job.answered or _untold(job)
        has_failed = answered is not None and answered.status >= 400
        body = json.loads(answered.body) if answered else None
        return cls(
            id=job.number,
            state=_state(job, answered),
            request=job.request,
            created_at=job.created_at,
            change_id=job.change_id,
            status=answered.status if answered else None,
            result=None if has_failed else body,
            problem=ProblemDocument.model_validate(body) if has_failed else None,
        )


@router.get("/{job_id}", name="read_job")
async def read_job(job_id: RowId, response: Response, panel: PanelDep, session: SessionDep, user: Viewer) -> JobOut:
    """One of your own jobs, for 24 hours."""
    job = await panel.changes.once.job(session, job_id, user.email)
    if job.is_running:
        response.headers["retry-after"] = "1"
    return JobOut.of(job)


def _state(job: Job, answered: Answered | None) -> State:
    if job.is_running:
        return "running"
    if answered is None:
        return "lost"
    return "failed" if answered.status >= 400 else "succeeded"


def _untold(job: Job) -> Answered | None:
    """The problem of one that failed without a stored answer."""
    if job.is_interrupted:
        status, code, title = 503, "interrupted", "Interrupted"
        words = "guardpanel was stopped before this ended. Nothing was saved. Send the request again."
    elif job.status is not None and job.status >= 400:
        status, code, title = job.status, "answer_lost", "Failed"
        words = "This failed, and the reason is no longer stored. Nothing was saved."
    else:
        return None
    document = ProblemDocument(
        type="about:blank",
        title=title,
        status=status,
        detail=words,
        instance=job.request.partition(" ")[2],
        code=code,
        errors=[],
    )
    return Answered(status, {}, document.model_dump_json(exclude_none=True).encode())
