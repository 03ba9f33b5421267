"""How many of a policy's visitors would have met a client limit, as JSON."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from guardpanel.api.documented import also
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.models.policies.policy import NOUN
from guardpanel.models.policies.policy_limits import LONGEST_PERIOD_SECONDS
from guardpanel.services import policies

router = APIRouter(tags=[NOUN.tag], responses=also(507))


class LimitQuery(BaseModel):
    requests: int = Field(ge=1, le=1_000_000, description="As `rate_limit_requests`.")
    seconds: int = Field(ge=1, le=LONGEST_PERIOD_SECONDS, description="As `rate_limit_window_seconds`.")


class VisitorRatesOut(BaseModel):
    """Of the last 24 hours. A visitor is an IPv4 address or an IPv6 /64."""

    visitors: int = Field(description="Of whom requests were counted.")
    visitors_in_all: int = Field(description="About. If it is more than `visitors`, these are a random sample.")
    over_at_least: int = Field(description="Visitors who sent more than `requests` within `seconds`.")
    over_at_most: int


@router.get(f"/api/v1/{NOUN.api}/{{policy_id}}/visitor-rates")
async def read_visitor_rates(
    policy_id: RowId, panel: PanelDep, session: SessionDep, query: Annotated[LimitQuery, Query()], _user: Viewer
) -> VisitorRatesOut:
    """How many visitors would have met a limit on requests, whether or not the policy has one."""
    await policies.ROWS.find(session, policy_id)
    rates = await panel.events.visitor_rates(policy_id, datetime.now(UTC))
    met = rates.over(query.requests, query.seconds)
    return VisitorRatesOut(
        visitors=len(rates.visitors), visitors_in_all=rates.total, over_at_least=met.least, over_at_most=met.most
    )
