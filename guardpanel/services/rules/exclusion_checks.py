"""Checks rule exclusions against the agent's rule set: rejects those that would have no effect, or more than they state. The
engine accepts all of them silently (docs/exclusions.md), so the messages are ours."""

import re
from collections.abc import Collection, Iterator, Sequence

from guardpanel.engines import Rule, RuleRole, RuleSet
from guardpanel.errors import FieldError, Invalid
from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.rules.custom_rule_text import FIRST_ID as FIRST_CUSTOM_ID
from guardpanel.models.rules.custom_rule_text import LAST_ID as LAST_CUSTOM_ID
from guardpanel.models.rules.rule_choices import ids
from guardpanel.models.rules.rule_exclusion import RuleExclusionColumns, RuleExclusionFields, Target
from guardpanel.rendering.exclusions import variables
from guardpanel.services.rules.exclusion_words import kind
from guardpanel.services.rules.targets import joined, looked_at

NO_SLASH = re.compile(r"\^?[A-Za-z0-9_~-](?![*?{])")
"Pattern beginnings that no path has."

STEP_UP = re.compile(r"(?:/|\\\\|%2f|%5c)(?:\\\.|\[\.\]){2}(?:/|\\\\|%2f|%5c|;|\$?\Z)", re.IGNORECASE)
"In a pattern. What is compared with one has no such step (rendering/conditions.py)."

MOST_PLACES = 6
MOST_RULES = 5

STEERS = {
    RuleRole.EVALUATE: "adds up scores and blocks",
    RuleRole.REPORT: "only logs scores",
    RuleRole.SKIP: "decides which paranoia levels run",
    RuleRole.PREPARE: "prepares other rules",
}


def must_have_effect(fields: RuleExclusionFields, known: RuleSet) -> None:
    """Raises Invalid with the problem at each field."""
    errors: dict[str, FieldError] = {}
    for choice in fields.rules:
        for field, words in _wrong(choice, fields, known):
            errors.setdefault(field, FieldError(words))
    if words := never_matches(fields.path_match, fields.path):
        errors["path"] = FieldError(words)
    if errors:
        raise Invalid.of(errors)


def never_matches(path_match: PathMatch, path: str) -> str:
    """Why no request has such a path. Empty if one may."""
    if path_match is not PathMatch.PATTERN or "|" in path:
        return ""
    if NO_SLASH.match(path):
        return f"This never matches: a path begins with /. Enter /{path.removeprefix('^')}."
    if STEP_UP.search(path):
        return "This never matches: paths with .. fit no pattern. Choose Exactly as sent for one of them."
    return ""


def too_early(fields: RuleExclusionFields, known: RuleSet) -> str:
    """A sentence about rules for which it does nothing, if it affects others. Empty for none."""
    if not fields.only_if:
        return ""
    rules = {rule.id: rule for choice in fields.rules for rule in chosen(choice, known) if rule.role is RuleRole.DETECT}
    early = [str(number) for number, rule in sorted(rules.items()) if _comes_early(rule) and looks_at(rule, fields)]
    if not early:
        return ""
    more = [f"{len(early) - MOST_RULES} more"] if len(early) > MOST_RULES else []
    which = f"Rule {early[0]} runs" if len(early) == 1 else f"Rules {joined([*early[:MOST_RULES], *more])} run"
    return f"{which} before arguments in the body are known: {'it inspects' if len(early) == 1 else 'they inspect'} as before."


def chosen(choice: str, known: RuleSet) -> list[Rule]:
    """The rules that an id, a range or a tag selects."""
    numbers = ids(choice)
    if numbers is not None and len(numbers) == 1:
        return [rule for rule in [known.rules.get(numbers.start)] if rule]
    return [rule for rule in known.rules.values() if is_meant(rule, choice)]


def most_of(choice: str, rules: Sequence[Rule], known: RuleSet) -> str:
    """A suggestion, if it selects more than half of all detecting rules."""
    every = sum(rule.role is RuleRole.DETECT for rule in known.rules.values())
    selected = sum(rule.role is RuleRole.DETECT for rule in rules)
    return (
        f"{choice} is {selected} of {every} rules. To block nothing, set the enforcement mode."
        if 2 * selected > every
        else ""
    )


def is_meant(rule: Rule, choice: str) -> bool:
    numbers = ids(choice)
    return choice in rule.tags if numbers is None else rule.id in numbers


def _wrong(choice: str, fields: RuleExclusionFields, known: RuleSet) -> Iterator[tuple[str, str]]:
    rules = chosen(choice, known)
    detecting = [rule for rule in rules if rule.role is RuleRole.DETECT]
    steering = next((rule for rule in rules if rule.role is not RuleRole.DETECT), None)
    if not rules:
        yield "rules", _missing(choice, known)
    elif _is_everywhere(fields) and (words := most_of(choice, rules, known)):
        yield "rules", words
    elif steering and (fields.target is Target.REQUEST or not detecting):
        yield "rules", _must_stay(choice, steering, detecting)
    elif fields.only_if and all(_comes_early(rule) for rule in detecting):
        yield "only_if", f"{choice} runs before arguments in the body are known. Remove the conditions, or that rule."
    elif not any(looks_at(rule, fields) for rule in detecting):
        yield _at(fields), _looks_elsewhere(choice, detecting, fields)


def _missing(choice: str, known: RuleSet) -> str:
    numbers = ids(choice)
    if numbers is None:
        return f"No rule is tagged {choice} in OWASP CRS {known.crs_version}, and no custom rule of this policy."
    several = "-" in choice
    if is_of_custom_rules(choice):
        return f"This policy has no custom {'rules' if several else 'rule'} {choice}."
    return f"There {'are no rules' if several else 'is no rule'} {choice} in OWASP CRS {known.crs_version}."


def is_of_custom_rules(choice: str) -> bool:
    """Whether it is an id of one, or a range of nothing else."""
    numbers = ids(choice)
    return numbers is not None and numbers.start >= FIRST_CUSTOM_ID and numbers.stop <= LAST_CUSTOM_ID + 1


def _must_stay(choice: str, steering: Rule, detecting: Sequence[Rule]) -> str:
    which = f"Rule {choice}" if choice == str(steering.id) else f"{choice} includes {steering.id}, which"
    later = next((rule.id for rule in detecting if rule.id > steering.id), None)
    return f"{which} {STEERS[steering.role]}." + (f" Begin at {later}." if later and "-" in choice else "")


def _is_everywhere(fields: RuleExclusionFields) -> bool:
    return fields.target is Target.REQUEST and fields.path_match is PathMatch.ANY and not fields.only_if


def _comes_early(rule: Rule) -> bool:
    return rule.phase == 1


def _at(fields: RuleExclusionFields) -> str:
    return "target_name" if fields.target_name else "target"


def _looks_elsewhere(choice: str, rules: Sequence[Rule], fields: RuleExclusionFields) -> str:
    places = looked_at([target for rule in rules for link in rule.links for target in link.targets])[:MOST_PLACES]
    subject = f"Rule {choice} doesn’t" if "-" not in choice and ids(choice) else f"The rules of {choice} don’t"
    verb = "It inspects" if subject.startswith("Rule") else "They inspect"
    return f"{subject} inspect {kind(fields)}. {verb} {joined(places)}."


def looks_at(rule: Rule, fields: RuleExclusionColumns) -> bool:
    """Whether the excluded field is among the targets of one of its links."""
    return looks_for(rule, fields.target, fields.target_name, is_pattern=fields.name_is_pattern)


def looks_for(rule: Rule, target: Target, name: str, *, is_pattern: bool = False) -> bool:
    """The same of a field that nobody excluded yet."""
    if target is Target.REQUEST:
        return True
    places = variables(target, str(rule.id))
    name = f"json.{name.removeprefix('json.')}" if target is Target.JSON and name else name
    targets = [each for link in rule.links for each in link.targets]
    return any(_covers(each, places, name, is_pattern) for each in targets) and not any(
        each.startswith("!") and not is_pattern and _names(each[1:], places, name) for each in targets
    )


def _covers(looked_at: str, places: Collection[str], name: str, is_pattern: bool) -> bool:
    if looked_at in places:  # Also XML:/*.
        return True
    variable, _, key = looked_at.partition(":")
    if variable not in places or not key:
        return False
    is_for_many = len(key) > 1 and key.startswith("/") and key.endswith("/")
    return is_for_many or is_pattern or not name or _names(looked_at, places, name)


def _names(looked_at: str, places: Collection[str], name: str) -> bool:
    """Whether the target is a single named field, and exactly that is meant. A typed pattern is never run here: Python could
    take years for it, unlike the engine."""
    variable, _, key = looked_at.partition(":")
    if variable not in places or not (key and name):
        return False
    return name.lower() == key.lower()
