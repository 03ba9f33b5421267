"""What applying a profile adds and removes on a virtual host. Applied again after an update, that is the difference."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from guardpanel.engines import RuleSet
from guardpanel.models import RuleExclusion
from guardpanel.models.rules.rule_choices import ids
from guardpanel.models.rules.rule_exclusion import CheckedExclusion, RuleExclusionColumns, RuleExclusionFields
from guardpanel.services.profiles.catalogue import Profile, profiles
from guardpanel.services.profiles.judging_policies import JudgingPolicies

OPERATORS_OWN = {"reason", "owner", "ends_on", "enabled"}
"Fields of an exclusion that say nothing of what it does."


@dataclass(frozen=True)
class Source:
    """Where an exclusion came from, as its row has it: `wordpress 1 /blog`."""

    profile: str
    version: int
    prefix: str
    "Empty: the whole site."

    def __str__(self) -> str:
        return f"{self.profile} {self.version} {self.prefix}".rstrip()

    @classmethod
    def parse(cls, text: str) -> "Source | None":
        """None for an operator's own exclusion."""
        profile, _, rest = text.partition(" ")
        version, _, prefix = rest.partition(" ")
        return cls(profile, int(version), prefix) if version.isascii() and version.isdigit() else None

    @property
    def name(self) -> str:
        """`WordPress below /blog (version 1)`"""
        return f"{self.of_any_version}{self.version})"

    @property
    def of_any_version(self) -> str:
        """How its name begins: an update keeps exclusions of earlier versions."""
        profile = profiles().get(self.profile)
        name = profile.name if profile else self.profile
        return f"{name} below {self.prefix} (version " if self.prefix else f"{name} (version "


@dataclass(frozen=True)
class Plan:
    added: list[RuleExclusion]
    "Not stored yet."
    kept: list[RuleExclusion]
    removed: list[RuleExclusion]

    @property
    def is_change(self) -> bool:
        return bool(self.added or self.removed)


def plan(
    profile: Profile,
    prefix: str,
    host_id: int,
    rows: Sequence[RuleExclusion],
    policies: JudgingPolicies,
    rule_set: RuleSet | None,
) -> Plan:
    """`rows`: those that this profile made there before. `policies`: of the virtual host and its paths."""
    wanted = {
        _effect(row): row
        for policy in policies.by_id.values()
        for fields in _running(profile.below(prefix), policy.detection_paranoia_level, rule_set)
        if policy.id in policies.of(fields, prefix)
        for row in [_row(fields, policy.id, host_id)]
    }
    there = {_effect(row): row for row in rows}
    return Plan(
        [row for effect, row in wanted.items() if effect not in there],
        [row for effect, row in there.items() if effect in wanted],
        [row for row in rows if there[_effect(row)] is not row or _effect(row) not in wanted],
    )


def applied(rows: Iterable[RuleExclusion]) -> Mapping[tuple[str, str], list[RuleExclusion]]:
    """The exclusions of a virtual host that profiles made, by profile and prefix."""
    groups: dict[tuple[str, str], list[RuleExclusion]] = {}
    for row in rows:
        if source := Source.parse(row.source):
            groups.setdefault((source.profile, source.prefix), []).append(row)
    return groups


def _running(rows: Iterable[RuleExclusionFields], level: int, rule_set: RuleSet | None) -> list[RuleExclusionFields]:
    """Without rules above the policy's level: such an exclusion would do nothing."""
    if rule_set is None:
        return list(rows)
    fitting = [(fields, [rule for rule in fields.rules if _runs(rule, level, rule_set)]) for fields in rows]
    return [fields.model_copy(update={"rules": rules}) for fields, rules in fitting if rules]


def _runs(choice: str, level: int, rule_set: RuleSet) -> bool:
    numbers = ids(choice)
    if numbers is None or len(numbers) > 1:
        return True
    rule = rule_set.rules.get(numbers.start)
    return rule is not None and (rule.paranoia_level or 0) <= level


def _row(fields: RuleExclusionFields, policy_id: int, host_id: int) -> RuleExclusion:
    given = {**fields.model_dump(), "virtual_host_id": host_id}
    return RuleExclusion(policy_id=policy_id).replace(CheckedExclusion.model_validate(given))


def _effect(row: RuleExclusion) -> str:
    """What it does, and in which policy."""
    values = {name: getattr(row, name) for name in RuleExclusionColumns.model_fields if name not in OPERATORS_OWN}
    return repr((row.policy_id, sorted(values.items())))
