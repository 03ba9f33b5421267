"""Whether a rule exclusion covers another, which is then redundant."""

import re
from collections.abc import Callable, Collection

from guardpanel.models.path_condition import PathMatch
from guardpanel.models.rule_exclusion import RuleExclusion, Target

RulesOf = Callable[[RuleExclusion], Collection[int]]


def is_covered(row: RuleExclusion, other: RuleExclusion, rules_of: RulesOf) -> bool:
    """For two enabled exclusions of one policy. False if it cannot be determined, as with two patterns."""
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
    if wide.name_is_pattern and not narrow.name_is_pattern:
        return re.fullmatch(wide.target_name, narrow.target_name, re.IGNORECASE) is not None
    same_kind = wide.name_is_pattern == narrow.name_is_pattern
    return same_kind and wide.target_name.lower() == narrow.target_name.lower()


def _has_path(wide: RuleExclusion, narrow: RuleExclusion) -> bool:
    if wide.path_match is PathMatch.ANY:
        return True
    match wide.path_match, narrow.path_match:
        case PathMatch.BELOW, PathMatch.EXACT | PathMatch.BELOW:
            base = wide.path.rstrip("/")
            return narrow.path == wide.path or narrow.path.startswith(f"{base}/")
        case PathMatch.PATTERN, PathMatch.EXACT:
            return re.fullmatch(wide.path, narrow.path) is not None
        case _:
            return (wide.path_match, wide.path) == (narrow.path_match, narrow.path)
