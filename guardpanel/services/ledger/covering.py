"""Whether a rule exclusion covers another, which is then redundant."""

from collections.abc import Callable, Collection

from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.rules.rule_exclusion import RuleExclusion, Target

RulesOf = Callable[[RuleExclusion], Collection[int]]


def is_covered(row: RuleExclusion, other: RuleExclusion, rules_of: RulesOf) -> bool:
    """Of two in one policy, both enabled. False where nobody can tell: a pattern is compared only with the same pattern, since
    Python may take for ever to match one that the engine matches at once."""
    return (
        set(rules_of(row)) <= set(rules_of(other))
        and _has_field(other, row)
        and _has_path(other, row)
        and (not other.methods or (bool(row.methods) and set(row.methods) <= set(other.methods)))
        and set(other.only_if) <= set(row.only_if)
        and other.virtual_host_id in {None, row.virtual_host_id}
        and (other.ends_on is None or (row.ends_on is not None and row.ends_on <= other.ends_on))
    )


def _has_field(wide: RuleExclusion, narrow: RuleExclusion) -> bool:
    if wide.target is Target.REQUEST:
        return True
    if wide.target is not narrow.target:
        return False
    if not wide.target_name:
        return True
    same_kind = wide.name_is_pattern == narrow.name_is_pattern
    return same_kind and wide.target_name.lower() == narrow.target_name.lower()


def _has_path(wide: RuleExclusion, narrow: RuleExclusion) -> bool:
    if wide.path_match is PathMatch.ANY:
        return True
    match wide.path_match, narrow.path_match:
        case PathMatch.BELOW, PathMatch.EXACT | PathMatch.BELOW:
            base = wide.path.rstrip("/")
            return narrow.path == wide.path or narrow.path.startswith(f"{base}/")
        case _:
            return (wide.path_match, wide.path) == (narrow.path_match, narrow.path)
