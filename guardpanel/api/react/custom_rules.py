"""Custom rules as the React panel reads and writes them: variables and actions as SecLang has them."""

from dataclasses import replace
from typing import Any, ClassVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from guardpanel.api.react.keys import keys
from guardpanel.api.saves import Body
from guardpanel.api.shapes import Dialect, Row
from guardpanel.errors import Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models import CustomRule
from guardpanel.models.rules.custom_rule import CustomRuleFields, Message
from guardpanel.models.rules.custom_rule_checks import phase_of
from guardpanel.models.rules.custom_rule_choices import OPERATORS, WRITTEN, Operator, RulePhase, RuleSeverity
from guardpanel.models.rules.custom_rule_text import FIRST_ID, built
from guardpanel.models.rules.seclang import (
    Action,
    Link,
    NotSecLang,
    parse_actions,
    split_targets,
    written,
    written_actions,
)
from guardpanel.services import custom_rules

OF_ACTIONS = ("name", "action", "points", "severity", "tags", "status", "transformations")

MEANINGS = {
    "variables": ("variables",),
    "operator": ("operator",),
    "operator_argument": ("operator_argument",),
    "actions": OF_ACTIONS,
    "comment": ("comment",),
    "is_active": ("enabled",),
}
"What each of its keys says of our fields."

BESIDE_TEXT = {"comment", "is_active"}
"What a rule in SecLang does not say itself."


class ReactCustomRuleIn(Body):
    NULLABLE = frozenset({"comment", "operator_argument"})

    variables: str | None = Field(default=None, description="As SecLang has them: `ARGS:q|!ARGS:x`.")
    operator: str | None = Field(default=None, description="`rx`, `streq`, `contains` … as guardpanel names them.")
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
    operator: str
    operator_argument: str
    actions: str = Field(
        description="As SecLang has them, without `id` and `phase`. Of a chain those of its first link."
    )
    comment: str | None
    is_active: bool


class CustomRuleDialect(Dialect):
    body: ClassVar[type[Body]] = ReactCustomRuleIn
    answer: ClassVar[type[BaseModel]] = ReactCustomRuleOut
    renamed: ClassVar[dict[str, str]] = {"is_active": "enabled"}

    def take(
        self, body: BaseModel, row: CustomRule | None, now: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        read = self.out(row) if row else {}
        read_keys = keys(body, now, read, MEANINGS)
        new = read_keys.new
        columns: dict[str, Any] = {
            name: new[name] or "" for name in ("variables", "operator", "operator_argument", "comment") if name in new
        }
        if "operator" in new and new["operator"] not in set(Operator):
            raise Invalid.at("operator", f"Choose one of {', '.join(Operator)}.", FieldCode.NOT_A_CHOICE)
        if "is_active" in new:
            columns["enabled"] = new["is_active"]
        if row and row.seclang and "seclang" not in read_keys.ours:
            changed = {**new, **read_keys.ours}
            return {**now, **columns, **read_keys.ours, **_text(row, read, changed)}, {
                **read_keys.names,
                "seclang": _first(changed),
            }
        if "actions" not in new:
            return {**now, **columns, **read_keys.ours}, read_keys.names
        of_actions = _said(new["actions"] or "", now, {**read, **now, **columns, **read_keys.ours})
        names = read_keys.names | ({"seclang": "actions"} if "seclang" in of_actions else {})
        return {**now, **columns, **of_actions, **read_keys.ours}, names

    def out(self, row: CustomRule) -> dict[str, Any]:
        link = custom_rules.links_of(row)[0]
        actions = [action for action in link.actions if action.name not in {"id", "phase"}]
        operator = OPERATORS.get(link.operator.lower())
        return {
            "rule_id": row.rule_id,
            "phase": row.phase,
            "variables": "|".join(link.targets),
            "operator": operator.value if operator else link.operator,
            "operator_argument": link.argument,
            "actions": written_actions(actions),
            "comment": row.comment or None,
            "is_active": row.enabled,
        }


def _first(changed: dict[str, Any]) -> str:
    return next((name for name in changed if name not in BESIDE_TEXT), "seclang")


def _text(row: CustomRule, read: dict[str, Any], changed: dict[str, Any]) -> dict[str, str]:
    """A rule in SecLang with the keys that changed. Invalid where these are not all that it says: a chain."""
    if not set(changed) - BESIDE_TEXT:
        return {}
    links = custom_rules.links_of(row)
    if len(links) > 1 or not links[0].operator or set(changed) - BESIDE_TEXT - set(read):
        raise Invalid.at(_first(changed), "This rule is written in SecLang. Change seclang, or send it empty.")
    whole = {**read, "negated": links[0].negated, **changed}
    actions = [action for action in parse_actions(str(whole["actions"])) if action.name not in {"id", "phase"}]
    link = _link(whole, actions)
    if "phase" not in changed:  # it has more phases than the builder
        link = replace(link, actions=(link.actions[0], Action("phase", str(phase_of(links))), *actions))
    return {"seclang": written(link)}


def _said(text: str, now: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """Our fields from a list of actions: `seclang` where they are more than the builder can say. What the list leaves out takes
    its default, but for the message."""
    try:
        given = parse_actions(text)
    except NotSecLang as error:
        raise Invalid.at("actions", error.message) from None
    names = {action.name for action in given}
    if double := names & {"id", "phase"}:
        name, key = ("id", "rule_id") if "id" in double else ("phase", "phase")
        raise Invalid.at("actions", f"Leave {name} out of the actions: {key} says it.")
    if not names & {"deny", "pass", "allow", "block"}:
        raise Invalid.at("actions", "Name what happens: deny, pass, or allow.", FieldCode.REQUIRED)
    actions = [Action("deny") if action == Action("block") and "setvar" not in names else action for action in given]
    if "severity" not in names:
        actions.append(Action("severity", RuleSeverity.CRITICAL.value.upper()))
    if "msg" not in names:
        actions.append(Action("msg", now.get("name") or _name(whole)))
    link = _link(whole, actions)
    fields = built([link])
    if fields is None:
        return {"seclang": written(link)}
    return {**_defaults(), **{name: value for name, value in fields.items() if name in OF_ACTIONS}}


def _link(whole: dict[str, Any], actions: list[Action]) -> Link:
    phase = "1" if whole.get("phase") == RulePhase.REQUEST_HEADERS else "2"
    name = str(whole.get("operator") or Operator.RX.value)
    operator = WRITTEN[Operator(name)] if name in set(Operator) else name
    named = (Action("id", str(whole.get("rule_id", FIRST_ID))), Action("phase", phase), *actions)
    variables = whole.get("variables") or ""
    targets = variables if isinstance(variables, list) else split_targets(variables)
    return Link(tuple(targets), operator, str(whole.get("operator_argument") or ""), bool(whole.get("negated")), named)


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
