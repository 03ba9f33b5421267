"""A rule of the operator's own, in a policy: built of fields, or written in SecLang."""

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from sqlalchemy import JSON
from sqlmodel import Field

from guardpanel.models.custom_rule_choices import (
    CustomAction,
    Operator,
    RulePhase,
    RuleSeverity,
    known_argument,
)
from guardpanel.models.custom_rule_text import BLOCKED, is_tag
from guardpanel.models.meta import described
from guardpanel.models.noun import Noun
from guardpanel.models.seclang_names import TRANSFORMATIONS
from guardpanel.models.seclang_targets import known_targets, target_lines
from guardpanel.models.types import Fields, Lines, Notes, plain_name, refuse, stored, visible
from guardpanel.models.versioned_row import VersionedRow

FIRST_ID, LAST_ID = 9_000_000, 9_099_999
"The agent counts rules with these ids as detections (spoa/inspect.go, `counts`)."

STATUSES = {400, BLOCKED}
"With which HAProxy ends a request that the agent denies (config_templates/haproxy/_frontend.cfg.j2)."


def own_id(number: int) -> int:
    if not FIRST_ID <= number <= LAST_ID:
        raise refuse(f"Enter an ID from {FIRST_ID} to {LAST_ID}.")
    return number


def known_transformations(names: list[str]) -> list[str]:
    by_name = {name.lower(): name for name in TRANSFORMATIONS} | {
        "normalisepath": "normalizePath", "normalisepathwin": "normalizePathWin",
    }  # fmt: skip
    for name in names:
        if visible(name).lower() not in by_name:
            raise refuse(f"There is no transformation {name[:60]}. For example, lowercase or urlDecodeUni.")
    return [by_name[name.lower()] for name in names]


def known_tags(tags: list[str]) -> list[str]:
    for tag in tags:
        if not is_tag(visible(tag)):
            raise refuse(f"{tag[:60]} is not a tag. Use letters, digits, and _ . / : -, for example attack-sqli.")
    return list(dict.fromkeys(tags))


def known_status(status: int) -> int:
    if status not in STATUSES:
        raise refuse("HAProxy rejects with 403 or 400.")
    return status


RuleId = Annotated[int, AfterValidator(own_id)]
Message = Annotated[str, StringConstraints(max_length=150), AfterValidator(plain_name)]
Targets = Annotated[list[str], BeforeValidator(target_lines), Field(max_length=100)]
Transformations = Annotated[Lines, AfterValidator(known_transformations), Field(max_length=15)]
Tags = Annotated[Lines, AfterValidator(known_tags), Field(max_length=20)]
Argument = Annotated[str, StringConstraints(max_length=5_000), AfterValidator(lambda text: visible(text.strip()))]
Status = Annotated[int, AfterValidator(known_status)]


class CustomRuleColumns(Fields):
    """What form, JSON and table have in common."""

    rule_id: RuleId = described("Rule ID", hint=f"{FIRST_ID}–{LAST_ID}. Unique in the policy.")
    name: Message = described("Message", hint="Shown in events. For example, Old login page.")
    phase: RulePhase = described("Phase", RulePhase.REQUEST_BODY, sa_type=stored(RulePhase))
    variables: Targets = described(
        "Variables",
        sa_type=JSON,
        placeholder="ARGS:q",
        hint="One per line. ARGS:q is one field, ARGS:/^x_/ is a pattern of names, !ARGS:q leaves out, &ARGS:q counts.",
    )
    transformations: Transformations = described(
        "Transformations",
        default_factory=list,
        sa_type=JSON,
        unset="none",
        hint="Applied in this order before comparing, one per line. For example, urlDecodeUni or lowercase.",
    )
    operator: Operator = described("Comparison", Operator.RX, sa_type=stored(Operator))
    negated: bool = described("Not", False, hint="Matches each value for which the comparison does not hold.")
    operator_argument: Argument = described("Value", "")
    action: CustomAction = described("Action", CustomAction.SCORE, sa_type=stored(CustomAction))
    points: int = described(
        "Points", 5, ge=1, le=100, hint="1–100, for each value that matches. Only for the action Add points."
    )
    severity: RuleSeverity = described("Severity", RuleSeverity.CRITICAL, sa_type=stored(RuleSeverity))
    tags: Tags = described(
        "Tags", default_factory=list, sa_type=JSON, unset="none", hint="One per line. For example, attack-sqli."
    )
    status: Status = described("Status", BLOCKED, hint="403 or 400. Only for the action Block.")
    enabled: bool = described("Enabled", True)
    comment: Notes = described("Comment", "")

    @field_validator("variables")
    @classmethod
    def variables_are_known(cls, variables: list[str], info: ValidationInfo) -> list[str]:
        phase = info.data.get("phase")
        return known_targets(variables, phase.number if phase else RulePhase.REQUEST_BODY.number)

    @field_validator("operator_argument")
    @classmethod
    def argument_fits_the_operator(cls, text: str, info: ValidationInfo) -> str:
        operator = info.data.get("operator")
        return known_argument(operator, text) if operator is not None else text


class CustomRuleFields(CustomRuleColumns):
    """What an operator sets: the input of the form, of the JSON body and of the table."""

    @model_validator(mode="before")
    @classmethod
    def argument_is_asked_for(cls, data: Any) -> Any:
        """Also where none is sent: what is left out would not be looked at."""
        return {"operator_argument": "", **data} if isinstance(data, dict) else data


class CustomRule(CustomRuleColumns, VersionedRow, table=True):
    """A row."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    policy_id: int | None = Field(default=None, foreign_key="policy.id", ondelete="CASCADE", index=True, nullable=False)

    def replace(self, fields: CustomRuleFields) -> Self:
        for name in CustomRuleColumns.model_fields:
            setattr(self, name, getattr(fields, name))
        return self


def beside_name(row: Any) -> str:
    return str(row.rule_id)


NOUN = Noun(
    "custom_rule",
    "custom_rules",
    "Custom rule",
    "Custom rules",
    CustomRule,
    CustomRuleFields,
    "/policies/{policy_id}/custom-rules",
    "policies/{policy_id}/custom-rules",
    "Rules of your own that add points, block, allow, or log.",
    references={"policy_id": "policy"},
    within="policy_id",
    beside_name=beside_name,
)
