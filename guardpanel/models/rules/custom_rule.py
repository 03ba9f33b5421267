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

from guardpanel.models.meta import described
from guardpanel.models.noun import Noun
from guardpanel.models.refusing import refuse
from guardpanel.models.rules.custom_rule_checks import must_be_effective, read
from guardpanel.models.rules.custom_rule_choices import (
    CustomAction,
    Operator,
    RulePhase,
    RuleSeverity,
    known_argument,
)
from guardpanel.models.rules.custom_rule_reading import fields_from
from guardpanel.models.rules.custom_rule_text import BLOCKED, FIRST_ID, LAST_ID, STATUSES, is_tag
from guardpanel.models.rules.seclang import NotSecLang
from guardpanel.models.rules.seclang_names import TRANSFORMATIONS
from guardpanel.models.rules.seclang_targets import known_targets, target_lines
from guardpanel.models.types import Fields, Lines, Notes, plain_name, stored, visible
from guardpanel.models.versioned_row import VersionedRow

UNKNOWN = "?"
"In place of a SecLang text that is refused: then nothing is said of the builder's fields."


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


def known_seclang(text: str) -> str:
    text = visible(text.replace("\r\n", "\n").strip(), allow="\n\t").replace("\t", " ")
    try:
        must_be_effective(read(text))
    except NotSecLang as error:
        if text:
            raise refuse(f"Line {error.line}: {error.message}") from None
    return text


def known_status(status: int) -> int:
    if status not in STATUSES:
        raise refuse("Enter 403 or 400. HAProxy rejects with one of these.")
    return status


RuleId = Annotated[int, AfterValidator(own_id)]
Message = Annotated[str, StringConstraints(max_length=150), AfterValidator(plain_name)]
Targets = Annotated[list[str], BeforeValidator(target_lines), Field(max_length=100)]
Transformations = Annotated[Lines, AfterValidator(known_transformations), Field(max_length=15)]
Tags = Annotated[Lines, AfterValidator(known_tags), Field(max_length=20)]
Argument = Annotated[str, StringConstraints(max_length=5_000), AfterValidator(lambda text: visible(text.strip()))]
SecLang = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(known_seclang)]
Status = Annotated[int, AfterValidator(known_status)]


class CustomRuleColumns(Fields):
    """What form, JSON and table have in common. Of a rule in SecLang only `seclang` and what lists need are set."""

    seclang: SecLang = described(
        "SecLang",
        "",
        hint="One SecRule or SecAction, with its chain. If the builder can say the same, it takes the rule over.",
    )
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
        if info.data.get("seclang", UNKNOWN):
            return []
        phase = info.data.get("phase")
        return known_targets(variables, phase.number if phase else RulePhase.REQUEST_BODY.number)

    @field_validator("operator_argument")
    @classmethod
    def argument_fits_the_operator(cls, text: str, info: ValidationInfo) -> str:
        operator = None if info.data.get("seclang", UNKNOWN) else info.data.get("operator")
        return known_argument(operator, text) if operator is not None else text


class CustomRuleFields(CustomRuleColumns):
    """What an operator sets: the input of the form, of the JSON body and of the table."""

    @model_validator(mode="before")
    @classmethod
    def seclang_is_read(cls, data: Any) -> Any:
        """The value is asked for also where none is sent: what is left out would not be looked at."""
        if not isinstance(data, dict):
            return data
        text = data.get("seclang")
        written = fields_from(text, CustomRuleColumns) if isinstance(text, str) and text.strip() else {}
        return {"operator_argument": "", **data, **written}


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
    {
        "rule_id": 9_000_001,
        "name": "Old login",
        "variables": "REQUEST_FILENAME",
        "operator": "ends_with",
        "operator_argument": "/login.php",
        "action": "score",
        "points": 5,
    },
    references={"policy_id": "policy"},
    within="policy_id",
    beside_name=beside_name,
)
