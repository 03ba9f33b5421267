"""A rule, rule family or tag that is switched off in a policy, or a rule that counts there despite its paranoia level."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator
from sqlmodel import Field

from guardpanel.models.meta import Choice, described
from guardpanel.models.noun import Noun
from guardpanel.models.refusing import refuse
from guardpanel.models.rules.ownership import owner_field
from guardpanel.models.rules.rule_choices import must_be_free
from guardpanel.models.types import Fields, Notes, Owner, stored, visible
from guardpanel.models.versioned_row import VersionedRow

FAMILY = re.compile(r"9[1-9][0-9]")
"CRS rule families are thousands: 942."


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
    """The fields that form, JSON and table share."""

    rule: OneRule = described(
        "Rule", hint="A rule ID (942100), family (942), or tag (attack-sqli).", placeholder="942100"
    )
    action: RuleAction = described("State", RuleAction.DISABLE, sa_type=stored(RuleAction))
    reason: Notes = described("Reason", "")
    owner: Owner = owner_field()


class RuleOverrideFields(RuleOverrideColumns):
    """What an operator sets: the input of the form and the JSON body, and the columns of the table."""

    @property
    def name(self) -> str:
        """`942100 off`"""
        return f"{self.rule} {'off' if self.action is RuleAction.DISABLE else 'counts above its level'}"


class KnownOverride(RuleOverrideFields):
    """With what the rule set reports about a rule that is to count."""

    level: int = 0
    points: int = 0
    is_outbound: bool = False


class RuleOverride(RuleOverrideColumns, VersionedRow, table=True):
    """A row. Points and level are those of the rule set when it was saved, or 0 if they do not matter."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    policy_id: int | None = Field(default=None, foreign_key="policy.id", ondelete="CASCADE", index=True, nullable=False)
    name: str = Field(default="", max_length=255)
    level: int = 0
    points: int = 0
    is_outbound: bool = False

    def replace(self, fields: KnownOverride) -> Self:
        for name in (*RuleOverrideColumns.model_fields, "name", "level", "points", "is_outbound"):
            setattr(self, name, getattr(fields, name))
        return self


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
    {"rule": "942100", "action": "disable", "reason": "The search takes SQL."},
    references={"policy_id": "policy"},
    within="policy_id",
)
