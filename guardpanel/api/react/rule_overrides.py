"""Rule overrides as the React panel reads and writes them."""

from typing import Any, ClassVar

from pydantic import BaseModel, Field

from guardpanel.api.react.keys import keys
from guardpanel.api.saves import Body
from guardpanel.api.shapes import Dialect, Row
from guardpanel.errors import Invalid
from guardpanel.models import RuleOverride
from guardpanel.models.rules.rule_override import RuleAction

FIRST_RULE = 1_000

MEANINGS = {"rule_id": ("rule",), "comment": ("reason",)}


class ReactOverrideIn(Body):
    NULLABLE = frozenset({"comment"})

    rule_id: int | None = Field(default=None, description="`rule` where that is one rule, not a family.")
    comment: str | None = None


class ReactOverrideOut(Row):
    rule_id: int = Field(description="0 for a tag.")
    action: RuleAction
    comment: str | None


def _rule(number: int) -> str:
    """One rule: in text, 942 would be its whole family."""
    if number < FIRST_RULE:
        words = f"{number} is not the ID of a rule, such as 942100. Send rule for a family."
        raise Invalid.at("rule_id", words)
    return str(number)


class OverrideDialect(Dialect):
    body: ClassVar[type[Body]] = ReactOverrideIn
    answer: ClassVar[type[BaseModel]] = ReactOverrideOut
    bare: ClassVar[bool] = True

    def take(
        self, body: BaseModel, row: RuleOverride | None, now: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        sent = keys(body, now, self.out(row) if row else {}, MEANINGS)
        ours = {"rule": _rule(sent.new["rule_id"])} if "rule_id" in sent.new else {}
        if "comment" in sent.new:
            ours["reason"] = sent.new["comment"] or ""
        return {**now, **ours, **sent.ours}, sent.names

    def out(self, row: RuleOverride) -> dict[str, Any]:
        number = int(row.rule) if row.rule.isdigit() else 0
        return {"rule_id": number, "action": row.action, "comment": row.reason or None}
