"""Metrics of saves: their outcomes, and the duration of each step."""

from datetime import UTC, datetime

from prometheus_client import Counter, Histogram
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import Deployment
from guardpanel.models.revision import Outcome

DEPLOYMENTS = Counter("guardpanel_deployments", "Deployment attempts since the panel started.", ["outcome"])
STEPS = Histogram(
    "guardpanel_deployment_step_seconds",
    "Duration of each deployment step in seconds.",
    ["step"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

for _outcome in Outcome:
    if _outcome is not Outcome.DEPLOYING:
        DEPLOYMENTS.labels(_outcome.value)


class Figures:
    """Counts each deployment once, when it has ended. They are read from the database, which does not slow down saves."""

    def __init__(self) -> None:
        self._counted: int | None = None
        self._began = datetime.now(UTC)

    async def start(self, session: AsyncSession) -> None:
        """Existing ones belong to an earlier start."""
        self._counted = (await session.exec(select(func.max(col(Deployment.id))))).one() or 0

    async def count(self, session: AsyncSession) -> None:
        """Add what ended since the last call."""
        rows = await session.exec(
            select(Deployment).where(col(Deployment.id) > (self._counted or 0)).order_by(col(Deployment.id))
        )
        for deployment in rows.all():
            if deployment.outcome is Outcome.DEPLOYING:
                break
            if (deployment.id or 0) <= (self._counted or 0):
                continue  # A concurrent call was faster.
            self._counted = deployment.id
            if deployment.started_at < self._began:
                continue  # From another machine, restored from a backup.
            DEPLOYMENTS.labels(deployment.outcome.value).inc()
            for step in deployment.steps:
                STEPS.labels(str(step["name"])).observe(float(step["seconds"] or 0))
