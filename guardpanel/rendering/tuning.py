"""An operator's changes to the rule set in a policy, for one virtual host or all."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from guardpanel.models.policies.content_types import ReadAs
from guardpanel.rendering import body_readings
from guardpanel.rendering.body_readings import BodyReadingState
from guardpanel.rendering.custom_rules import CustomRuleState, after_rule_set, before_rule_set
from guardpanel.rendering.exclusions import ExclusionState, chains
from guardpanel.rendering.overrides import OverrideState, moved, removed
from guardpanel.rendering.rows import Row, Rows


class Tuning(NamedTuple):
    exclusions: tuple[ExclusionState, ...] = ()
    overrides: tuple[OverrideState, ...] = ()
    custom_rules: tuple[CustomRuleState, ...] = ()
    readings: tuple[BodyReadingState, ...] = ()

    @classmethod
    def from_rows(cls, rows: Rows) -> "Tuning":
        """The enabled ones of all policies, in the order in which they were added."""
        exclusions = (row for row in sorted(rows.get("ruleexclusion", ()), key=_number) if row["enabled"])
        overrides = sorted(rows.get("ruleoverride", ()), key=_number)
        own = (row for row in sorted(rows.get("customrule", ()), key=_number) if row["enabled"])
        readings = sorted(rows.get("bodyreading", ()), key=_number)
        return cls(
            tuple(map(ExclusionState.from_row, exclusions)),
            tuple(map(OverrideState.from_row, overrides)),
            tuple(map(CustomRuleState.from_row, own)),
            tuple(map(BodyReadingState.from_row, readings)),
        )

    def of(self, policy_id: int, virtual_host_id: int = 0) -> "Tuning":
        """What applies to a virtual host with this policy. 0: a virtual host without exclusions of its own."""
        return Tuning(
            tuple(
                exclusion
                for exclusion in self.exclusions
                if exclusion.policy_id == policy_id and exclusion.virtual_host_id in {None, virtual_host_id}
            ),
            tuple(override for override in self.overrides if override.policy_id == policy_id),
            tuple(rule for rule in self.custom_rules if rule.policy_id == policy_id),
            tuple(reading for reading in self.readings if reading.policy_id == policy_id),
        )

    def rendered(self, blocking_level: int, processors: Mapping[ReadAs, str]) -> dict[str, Any]:
        """As the config template takes it. `processors`: how the agent calls each way to read a body."""
        return {
            "exclusions": chains(self.exclusions),
            "moved": moved(self.overrides, blocking_level),
            "removed": removed(self.overrides),
            "rules_before": before_rule_set(self.custom_rules),
            "rules_after": after_rule_set(self.custom_rules),
            "body_readings": body_readings.chains(self.readings, processors),
        }


UNTUNED = Tuning()


def _number(row: Row) -> int:
    return int(row["id"])
