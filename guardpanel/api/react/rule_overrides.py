"""Rule overrides as the React panel reads and writes them."""

from typing import Any, ClassVar

from pydantic import BaseModel, Field

from guardpanel.api.react.keys import keys
from guardpanel.api.saves import Body
from guardpanel.api.shapes import Dialect, Row
from guardpanel.models import RuleOverride
from guardpanel.models.rules.rule_override import RuleAction

MEANINGS = {"rule_id": ("rule",), "comment": ("reason",)}


class ReactOverrideIn(Body):
    NULLABLE = frozenset({"comment"})

    rule_id: int | None = Field(default=None, description="`rule` where that is one.")
    comment: str | None = None


class ReactOverrideOut(Row):
    rule_id: int = Field(description="0 for a tag.")
    action: RuleAction
    comment: str | None


class OverrideDialect(Dialect):
    body: ClassVar[type[Body]] = ReactOverrideIn
    answer: ClassVar[type[BaseModel]] = ReactOverrideOut
    bare: ClassVar[bool] = True

    def take(
        self, body: BaseModel, row: RuleOverride | None, now: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        sent = keys(body, now, self.out(row) if row else {}, MEANINGS)
        ours = {"rule": str(sent.new["rule_id"])} if "rule_id" in sent.new else {}
        if "comment" in sent.new:
            ours["reason"] = sent.new["comment"] or ""
        return {**now, **ours, **sent.ours}, sent.names

    def out(self, row: RuleOverride) -> dict[str, Any]:
        number = int(row.rule) if row.rule.isdigit() else 0
        return {"rule_id": number, "action": row.action, "comment": row.reason or None}
