"""What to look for in events on behalf of a rule exclusion."""

import re
from collections.abc import Collection

from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.rules.rule_exclusion import RuleExclusion, Target
from guardpanel.rendering.exclusions import variables
from guardpanel.services.events.excluded import Watched

META = re.compile(r"[\\.^$*+?{}\[\]|()]")


def watched(row: RuleExclusion, rules: Collection[int]) -> Watched:
    name, path = row.target_name, row.path
    if row.name_is_pattern:
        name = fixed_beginning(name)
    elif row.target is Target.JSON and name:
        name = f"json.{name.removeprefix('json.')}"
    if row.path_match is PathMatch.PATTERN:
        path = fixed_beginning(path)
    return Watched(
        row.id or 0,
        row.policy_id or 0,
        row.virtual_host_id,
        frozenset(rules),
        tuple(dict.fromkeys(variable for choice in row.rules for variable in variables(row.target, choice))),
        name,
        row.name_is_pattern,
        path,
        row.path_match in {PathMatch.BELOW, PathMatch.PATTERN},
        tuple(row.methods),
    )


def fixed_beginning(pattern: str) -> str:
    """The prefix of every text that the pattern matches. Empty if there is none, or if it is hard to determine."""
    if "|" in pattern:
        return ""
    text = META.split(pattern.removeprefix("^"), maxsplit=1)[0]
    rest = pattern.removeprefix("^")[len(text) :]
    return text[:-1] if rest[:1] in {"*", "?", "+", "{"} else text
