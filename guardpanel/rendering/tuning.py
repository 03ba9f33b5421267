"""What an operator changes of the rule set in one policy, for one virtual host or for any."""

from typing import Any, NamedTuple

from guardpanel.rendering.custom_rules import CustomRuleState, after_rule_set, before_rule_set
from guardpanel.rendering.exclusions import ExclusionState, chains
from guardpanel.rendering.overrides import OverrideState, moved, removed
from guardpanel.rendering.rows import Row, Rows


class Tuning(NamedTuple):
    exclusions: tuple[ExclusionState, ...] = ()
    overrides: tuple[OverrideState, ...] = ()
    custom_rules: tuple[CustomRuleState, ...] = ()

    @classmethod
    def from_rows(cls, rows: Rows) -> "Tuning":
        """Of all policies: what is enabled, as it was added."""
        exclusions = (row for row in sorted(rows.get("ruleexclusion", ()), key=_number) if row["enabled"])
        overrides = sorted(rows.get("ruleoverride", ()), key=_number)
        own = (row for row in sorted(rows.get("customrule", ()), key=_number) if row["enabled"])
        return cls(
            tuple(map(ExclusionState.from_row, exclusions)),
            tuple(map(OverrideState.from_row, overrides)),
            tuple(map(CustomRuleState.from_row, own)),
        )

    def of(self, policy_id: int, virtual_host_id: int = 0) -> "Tuning":
        """What holds for a virtual host with this policy; 0: for one that has nothing of its own."""
        return Tuning(
            tuple(
                one
                for one in self.exclusions
                if one.policy_id == policy_id and one.virtual_host_id in {None, virtual_host_id}
            ),
            tuple(one for one in self.overrides if one.policy_id == policy_id),
            tuple(rule for rule in self.custom_rules if rule.policy_id == policy_id),
        )

    def rendered(self, blocking_level: int) -> dict[str, Any]:
        """As the config template takes it."""
        return {
            "exclusions": chains(self.exclusions),
            "moved": moved(self.overrides, blocking_level),
            "removed": removed(self.overrides),
            "rules_before": before_rule_set(self.custom_rules),
            "rules_after": after_rule_set(self.custom_rules),
        }


UNTUNED = Tuning()


def _number(row: Row) -> int:
    return int(row["id"])
