"""A fix before it is saved: fields of the policy and rows below it, as an operator could have typed them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel

from guardpanel.engines import RuleSet
from guardpanel.models import NOUNS
from guardpanel.models.policies.body_reading import BodyReadingFields
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.rules.custom_rule import NOUN as CUSTOM_RULE
from guardpanel.models.rules.custom_rule import CustomRuleFields
from guardpanel.models.rules.custom_rule_choices import CustomAction
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.models.rules.rule_override import RuleOverrideFields
from guardpanel.rendering import DesiredState, EngineFacts, Rows
from guardpanel.rendering.coraza import application
from guardpanel.rendering.custom_rules import CustomRuleState
from guardpanel.services.rules.own_rules import with_own

COUNTING = {CustomAction.SCORE, CustomAction.BLOCK}

FIRST_ID = 2**40
"The id of unsaved rows: higher than all others."


@dataclass(frozen=True)
class Draft:
    """`rows` by the key of their noun. One that is for the same as a row of the policy changes that row."""

    policy: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[tuple[str, BaseModel], ...] = ()

    @property
    def exclusions(self) -> list[RuleExclusionFields]:
        return [fields for _, fields in self.rows if isinstance(fields, RuleExclusionFields)]

    @property
    def readings(self) -> list[BodyReadingFields]:
        return [fields for _, fields in self.rows if isinstance(fields, BodyReadingFields)]

    @property
    def disabled(self) -> list[CustomRuleFields]:
        """Custom rules that it switches off."""
        return [fields for _, fields in self.rows if isinstance(fields, CustomRuleFields)]

    @property
    def rules(self) -> list[str]:
        """All that its rows name: ids and tags."""
        named = [rule for fields in self.exclusions for rule in fields.rules]
        named += [fields.rule for _, fields in self.rows if isinstance(fields, RuleOverrideFields)]
        return list(dict.fromkeys([*named, *(str(fields.rule_id) for fields in self.disabled)]))

    @property
    def is_empty(self) -> bool:
        return not self.policy and not self.rows

    def together(self, other: "Draft") -> "Draft":
        """Combine both. Exclusions that differ only in their rules are merged."""
        draft = replace(self, policy={**self.policy, **other.policy})
        for key, fields in other.rows:
            draft = draft._with(key, fields)
        return draft

    def _with(self, key: str, fields: BaseModel) -> "Draft":
        if (key, fields) in self.rows:
            return self
        if isinstance(fields, BodyReadingFields):  # the later one holds
            others = tuple(row for row in self.rows if row[0] != key or not is_for_the_same(dict(row[1]), fields))
            return replace(self, rows=(*others, (key, fields)))
        if not isinstance(fields, RuleExclusionFields):
            return replace(self, rows=(*self.rows, (key, fields)))
        for index, (_, row) in enumerate(self.rows):
            if isinstance(row, RuleExclusionFields) and _place(row) == _place(fields):
                rules = list(dict.fromkeys([*row.rules, *fields.rules]))
                merged = row.model_copy(update={"rules": rules})
                return replace(self, rows=(*self.rows[:index], (key, merged), *self.rows[index + 1 :]))
        return replace(self, rows=(*self.rows, (key, fields)))


def is_for_the_same(row: Mapping[str, Any], fields: BaseModel) -> bool:
    """Whether a row of the same noun is for what these fields are for, so that a policy can have only one of both: a body reading
    of the same requests, an override of the same rule, a custom rule with the same id."""
    match fields:
        case BodyReadingFields():
            return _requests(row) == _requests(dict(fields))
        case RuleOverrideFields():
            return bool(row["rule"] == fields.rule)
        case CustomRuleFields():
            return bool(row["rule_id"] == fields.rule_id)
    return False


def _requests(reading: Mapping[str, Any]) -> tuple[Any, ...]:
    lists = frozenset(reading["methods"]), frozenset(reading["content_types"])
    return reading["path_match"], reading["path"], *lists


def _place(fields: RuleExclusionFields) -> dict[str, Any]:
    return fields.model_dump(exclude={"rules"})


@dataclass(frozen=True)
class Ground:
    """A policy as it is, for one virtual host: what drafts are tried on."""

    rows: Rows
    facts: EngineFacts
    policy_id: int
    virtual_host_id: int

    def directives(self, draft: Draft) -> str:
        """The application's text with the draft, blocking regardless of the mode: whether a request *would* pass."""
        state = DesiredState.from_rows(self._with(draft), self.facts)
        tuning = state.tuning.of(self.policy_id, self.virtual_host_id)
        policy = state.policies[self.policy_id]
        return application(policy, EnforcementMode.BLOCK, tuning, foreign=self.facts.small_frames).directives

    @property
    def custom_rules(self) -> Mapping[int, Mapping[str, Any]]:
        """Those that add points or block, by their id."""
        rows = self.rows.get(CUSTOM_RULE.table_name, ())
        return {row["rule_id"]: row for row in rows if row["enabled"] and row["action"] in COUNTING}

    def with_own_rules(self, rule_set: RuleSet) -> RuleSet:
        rows = self.rows.get(CUSTOM_RULE.table_name, ())
        return with_own(rule_set, [CustomRuleState.from_row(row) for row in rows if row["enabled"]])

    def existing(self, key: str, fields: BaseModel) -> Mapping[str, Any] | None:
        """The row that such a row of a draft changes, instead of being added."""
        rows = self.rows.get(NOUNS[key].table_name, ())
        return next((row for row in rows if is_for_the_same(row, fields)), None)

    def _with(self, draft: Draft) -> Rows:
        policy = [{**row, **draft.policy} if row["id"] == self.policy_id else row for row in self.rows["policy"]]
        rows: dict[str, Sequence[Mapping[str, Any]]] = {**self.rows, "policy": policy}
        for index, (key, fields) in enumerate(draft.rows):
            table = NOUNS[key].table_name
            row = {**fields.model_dump(mode="json"), "id": FIRST_ID + index, "policy_id": self.policy_id}
            rows[table] = [*(other for other in rows.get(table, ()) if not is_for_the_same(other, fields)), row]
        return rows


def ground_of(rows: Rows, facts: EngineFacts, policy_id: int, virtual_host_id: int) -> Ground:
    """With the rows of this policy and virtual host only: there may be thousands of others."""
    kept: dict[str, Sequence[Mapping[str, Any]]] = {}
    for table, those in rows.items():
        kept[table] = [row for row in those if _belongs(table, row, policy_id, virtual_host_id)]
    return Ground(kept, facts, policy_id, virtual_host_id)


def _belongs(table: str, row: Mapping[str, Any], policy_id: int, virtual_host_id: int) -> bool:
    match table:
        case "policy":
            return bool(row["id"] == policy_id)
        case "virtualhost":
            return bool(row["id"] == virtual_host_id)
    if "virtual_host_id" in row and "policy_id" not in row:
        return bool(row["virtual_host_id"] == virtual_host_id)
    return bool(row.get("policy_id", policy_id) == policy_id)
