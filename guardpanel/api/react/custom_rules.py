"""Custom rules as the React panel reads and writes them: variables and actions as SecLang has them."""

from typing import Any, ClassVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from guardpanel.api.react.keys import keys
from guardpanel.api.saves import Body
from guardpanel.api.shapes import Dialect, Row
from guardpanel.errors import Invalid
from guardpanel.models import CustomRule
from guardpanel.models.custom_rule import FIRST_ID, CustomRuleFields, Message
from guardpanel.models.custom_rule_choices import Operator, RulePhase, RuleSeverity
from guardpanel.models.custom_rule_text import built, link_of
from guardpanel.models.seclang import Action, Link, NotSecLang, parse_actions, written_actions

OF_ACTIONS = ("name", "action", "points", "severity", "tags", "status", "transformations")

SAYS = {
    "variables": ("variables",),
    "operator_argument": ("operator_argument",),
    "actions": OF_ACTIONS,
    "comment": ("comment",),
    "is_active": ("enabled",),
}
"What each of its keys says of our fields."


class ReactCustomRuleIn(Body):
    NULLABLE = frozenset({"comment", "operator_argument"})

    variables: str | None = Field(default=None, description="As SecLang has them: `ARGS:q|!ARGS:x`.")
    operator_argument: str | None = None
    actions: str | None = Field(
        default=None,
        description="`deny,status:403,msg:'…'`: action, status, points, message, severity, tags, transformations.",
    )
    comment: str | None = None
    is_active: bool | None = Field(default=None, description="`enabled` under the React panel's name.")


class ReactCustomRuleOut(Row):
    rule_id: int
    phase: RulePhase
    variables: str = Field(description="As SecLang has them: `ARGS:q|!ARGS:x`.")
    operator: Operator
    operator_argument: str
    actions: str = Field(description="As SecLang has them, without `id` and `phase`.")
    comment: str | None
    is_active: bool


class CustomRuleDialect(Dialect):
    body: ClassVar[type[Body]] = ReactCustomRuleIn
    answer: ClassVar[type[BaseModel]] = ReactCustomRuleOut
    renamed: ClassVar[dict[str, str]] = {"is_active": "enabled"}

    def take(
        self, body: BaseModel, row: CustomRule | None, now: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        found = keys(body, now, self.out(row) if row else {}, SAYS)
        new = found.new
        said: dict[str, Any] = {
            name: new[name] or "" for name in ("variables", "operator_argument", "comment") if name in new
        }
        if "is_active" in new:
            said["enabled"] = new["is_active"]
        if "actions" in new:
            said |= _said(new["actions"] or "", now, {**now, **said, **found.ours})
        return {**now, **said, **found.ours}, found.names

    def out(self, row: CustomRule) -> dict[str, Any]:
        link = link_of(row)
        actions = [action for action in link.actions if action.name not in {"id", "phase"}]
        return {
            "rule_id": row.rule_id,
            "phase": row.phase,
            "variables": "|".join(row.variables),
            "operator": row.operator,
            "operator_argument": row.operator_argument,
            "actions": written_actions(actions),
            "comment": row.comment or None,
            "is_active": row.enabled,
        }


def _said(text: str, now: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """Our fields from a list of actions. What it leaves out takes its default, but for the message."""
    try:
        given = parse_actions(text)
    except NotSecLang as error:
        raise Invalid.at("actions", error.message) from None
    names = {action.name for action in given}
    if double := names & {"id", "phase"}:
        raise Invalid.at("actions", f"Send {'rule_id' if 'id' in double else 'phase'} as a key of its own.")
    actions = [Action("deny") if action == Action("block") and "setvar" not in names else action for action in given]
    if not names & {"deny", "pass", "allow", "block"}:
        raise Invalid.at("actions", "Name what happens: deny, pass, or allow.")
    actions += [Action("id", str(FIRST_ID)), Action("phase", "2")]
    if "severity" not in names:
        actions.append(Action("severity", RuleSeverity.CRITICAL.value))
    if "msg" not in names:
        actions.append(Action("msg", now.get("name") or _name(whole)))
    fields = built([Link(("ARGS",), "rx", ".", negated=False, actions=tuple(actions))])
    if fields is None:
        raise Invalid.at(
            "actions", "guardpanel takes deny, pass, allow, status, log, msg, severity, tag, t, and setvar of points."
        )
    return {**_defaults(), **{name: value for name, value in fields.items() if name in OF_ACTIONS}}


def _defaults() -> dict[str, Any]:
    infos = {name: CustomRuleFields.model_fields[name] for name in OF_ACTIONS if name != "name"}
    return {name: info.get_default(call_default_factory=True) for name, info in infos.items()}


def _name(whole: dict[str, Any]) -> str:
    """Of a rule without a message: its comment's first line, where that can be one."""
    line = str(whole.get("comment") or "").strip().partition("\n")[0]
    try:
        return TypeAdapter(Message).validate_python(line)
    except ValidationError:
        return f"Rule {whole.get('rule_id', '')}".strip()
