"""Whether all is well, part by part."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from guardpanel import __version__
from guardpanel.dependencies import PanelDep, Viewer
from guardpanel.services.truth import readiness

router = APIRouter(prefix="/api/v1/health", tags=["runtime"])


class PartOut(BaseModel):
    name: str = Field(description="`database`, `haproxy`, `agent`, `revision`, `background`, or `ingest`.")
    ok: bool
    problem: str = Field(description="Empty if it is ok.")


class TaskOut(BaseModel):
    name: str
    succeeded_at: datetime | None = Field(description="When it last succeeded.")
    failures: int = Field(description="In a row.")


class HealthOut(BaseModel):
    ready: bool = Field(description="Whether all parts are ok.")
    version: str = Field(description="Of guardpanel.")
    haproxy_version: str = Field(description="Empty while it is not responding.")
    agent_version: str
    crs_version: str = Field(description="Of OWASP CRS.")
    parts: list[PartOut]
    tasks: list[TaskOut] = Field(description="Background tasks.")


@router.get("", name="read_health")
async def read_health(panel: PanelDep, _user: Viewer) -> HealthOut:
    """As `/readyz`, which needs no login, with versions and background tasks. 200 also if something is wrong."""
    parts = await readiness.parts(panel.changes, starting=panel.starting, problem=panel.problem)
    engines = await panel.engines.status()
    return HealthOut(
        ready=all(state == readiness.OK for state in parts.values()), version=__version__,
        haproxy_version=engines.haproxy.version, agent_version=engines.agent.version,
        crs_version=engines.agent.crs_version,
        parts=[
            PartOut(name=name, ok=state == readiness.OK, problem="" if state == readiness.OK else state)
            for name, state in parts.items()
        ],
        tasks=[
            TaskOut(name=health.name, succeeded_at=health.succeeded, failures=health.failures)
            for health in panel.background.health
        ],
    )  # fmt: skip
