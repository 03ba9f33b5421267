"""Two policies compared as JSON."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from guardpanel.dependencies import RowId, SessionDep, Viewer
from guardpanel.services import policy_comparison
from guardpanel.services.policy_comparison import Side
from guardpanel.services.saving.differences import Difference

router = APIRouter(prefix="/api/v1/policies/{policy_id}/compare", tags=["policies"])

LONGEST_ID = 2**53


class FieldOut(BaseModel):
    name: str
    label: str
    before: str | None = Field(description="A line for each item of a list. Null: it is not there.")
    after: str | None


class DifferenceOut(BaseModel):
    noun: str = Field(description="`policy`, or what is within one: `rule_exclusion`, `rule_override`, …")
    name: str
    kind: Literal["added", "changed", "removed"]
    fields: list[FieldOut]

    @classmethod
    def of(cls, difference: Difference) -> "DifferenceOut":
        return cls(
            noun=difference.noun,
            name=difference.name,
            kind=difference.kind,
            fields=[
                FieldOut(name=field.name, label=field.label, before=field.before, after=field.after)
                for field in difference.fields
            ],
        )


class PolicyComparisonOut(BaseModel):
    before: str = Field(description="What it is compared with.")
    after: str
    differences: list[DifferenceOut] = Field(description="Of two policies, names and descriptions are none.")


class CompareQuery(BaseModel):
    policy: int | None = Field(default=None, ge=1, le=LONGEST_ID, description="Defaults to the policy itself.")
    revision: int | None = Field(default=None, ge=1, le=LONGEST_ID, description="Defaults to the current state.")


@router.get("")
async def compare_policy(
    policy_id: RowId, session: SessionDep, _user: Viewer, query: Annotated[CompareQuery, Query()]
) -> PolicyComparisonOut:
    """What this policy does otherwise than another one, or than at a revision."""
    other = Side(query.policy or policy_id, query.revision)
    comparison = await policy_comparison.compare(session, other, Side(policy_id))
    return PolicyComparisonOut(
        before=comparison.before,
        after=comparison.after,
        differences=[DifferenceOut.of(difference) for difference in comparison.differences],
    )
