"""A rule, a family of rules or a tag switched off in a policy; or a rule that counts there although its level would not."""

import re
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator
from sqlmodel import Field

from guardpanel.models.meta import Choice, described
from guardpanel.models.noun import Noun
from guardpanel.models.rule_choices import must_be_free
from guardpanel.models.types import Fields, Notes, refuse, stored, visible

FAMILY = re.compile(r"9[1-9][0-9]")
"CRS numbers its families by thousands: 942."


class RuleAction(Choice):
    DISABLE = "disable", "Off", "It never runs in this policy."
    ENABLE = (
        "enable",
        "Counts above its level",
        "Its points count towards the threshold, although its paranoia level is above the blocking level.",
    )


def known_rule(text: str) -> str:
    text = visible(text.strip())
    if not FAMILY.fullmatch(text) and re.fullmatch(r"[0-9]{1,3}", text):
        raise refuse(f"{text} is not a family of rules. Families are 911 to 956.")
    if re.fullmatch(r"[0-9]+-[0-9]+", text):
        raise refuse("Enter one rule, family, or tag. Part of a family may hold the rules that skip paranoia levels.")
    must_be_free(f"{text}000-{text}999" if FAMILY.fullmatch(text) else text)
    return text


OneRule = Annotated[str, AfterValidator(known_rule)]


class RuleOverrideColumns(Fields):
    """What form, JSON and table have in common."""

    rule: OneRule = described(
        "Rule", hint="A rule ID (942100), family (942), or tag (attack-sqli).", placeholder="942100"
    )
    action: RuleAction = described("State", RuleAction.DISABLE, sa_type=stored(RuleAction))
    reason: Notes = described("Reason", "")


class RuleOverrideFields(RuleOverrideColumns):
    """What an operator sets: the input of the form, of the JSON body and of the table."""

    @property
    def name(self) -> str:
        """`942100 off`"""
        return f"{self.rule} {'off' if self.action is RuleAction.DISABLE else 'counts above its level'}"


class KnownOverride(RuleOverrideFields):
    """With what the rule set says of a rule that is to count."""

    level: int = 0
    points: int = 0
    is_outbound: bool = False


class RuleOverride(RuleOverrideColumns, table=True):
    """A row. What its rule adds, and to which level, is as the rule set said when it was saved: 0 where that does not matter."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    version: int = 1
    policy_id: int | None = Field(default=None, foreign_key="policy.id", ondelete="CASCADE", index=True, nullable=False)
    name: str = Field(default="", max_length=255)
    level: int = 0
    points: int = 0
    is_outbound: bool = False
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    def replace(self, fields: KnownOverride) -> Self:
        for name in (*RuleOverrideColumns.model_fields, "name", "level", "points", "is_outbound"):
            setattr(self, name, getattr(fields, name))
        return self

    def touch(self, version: int) -> None:
        """One more edit: a form that was opened before it is stale from now on."""
        self.version = version
        self.updated_at = datetime.now(UTC)


NOUN = Noun(
    "rule_override",
    "rule_overrides",
    "Rule override",
    "Rule overrides",
    RuleOverride,
    RuleOverrideFields,
    "/policies/{policy_id}/rules",
    "policies/{policy_id}/rules",
    "Rules switched off in a policy, or on above its paranoia level.",
    references={"policy_id": "policy"},
    within="policy_id",
)
