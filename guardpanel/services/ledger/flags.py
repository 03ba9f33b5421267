"""What needs review about an exclusion or an override, in words."""

from collections import ChainMap, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property

from guardpanel.engines import Rule, RuleRole, RuleSet
from guardpanel.models import Policy, RuleExclusion, RuleOverride
from guardpanel.models.meta import Choice
from guardpanel.models.rules.rule_override import FAMILY, RuleAction
from guardpanel.services.events.excluded import Attacks
from guardpanel.services.events.uses import DAYS, Use, Uses
from guardpanel.services.exclusion_ends import ANNOUNCED
from guardpanel.services.ledger.covering import is_covered
from guardpanel.services.rules.exclusion_checks import chosen, is_meant, is_of_custom_rules, looks_at
from guardpanel.services.rules.exclusion_words import kind

MOST_NAMED = 4
"Rules that a sentence names."


class FlagKind(Choice):
    NEVER_USED = "never_used", "Not used"
    REDUNDANT = "redundant", "Redundant"
    ATTACK_SEEN = "attack_seen", "Attack seen"
    ENDS_SOON = "ends_soon", "Ends soon"
    ENDED = "ended", "Ended"
    DISABLED = "disabled", "Disabled"


@dataclass(frozen=True)
class Flag:
    kind: FlagKind
    message: str
    "One sentence."


@dataclass(frozen=True)
class Known:
    """What flags are derived from. `rule_set` None: the agent's rules are unknown, and nothing is called redundant."""

    policies: Mapping[int, Policy]
    exclusions: Sequence[RuleExclusion]
    overrides: Sequence[RuleOverride]
    rule_set: RuleSet | None
    attacks: Mapping[int, Attacks]
    "By the id of the exclusion."
    uses: Uses
    today: date
    counting: Mapping[int, Use] = field(default_factory=dict)
    "By the id of the override: uses of rules that count above their level."
    custom: Mapping[int, Mapping[int, Rule]] = field(default_factory=dict)
    "By policy, its custom rules that exclusions may mean."
    disabled: Mapping[int, Collection[int]] = field(default_factory=dict)
    "By policy, the ids of those that are disabled."

    @cached_property
    def by_policy(self) -> Mapping[int, list[RuleExclusion]]:
        """Enabled exclusions."""
        rows: dict[int, list[RuleExclusion]] = defaultdict(list)
        for row in self.exclusions:
            if row.enabled:
                rows[row.policy_id or 0].append(row)
        return rows

    @cached_property
    def switched_off(self) -> Mapping[int, list[RuleOverride]]:
        """By policy, the overrides that switch rules off."""
        rows: dict[int, list[RuleOverride]] = defaultdict(list)
        for row in self.overrides:
            if row.action is RuleAction.DISABLE:
                rows[row.policy_id or 0].append(row)
        return rows

    @cached_property
    def rules(self) -> Mapping[str, Collection[int]]:
        """The IDs of the detecting rules that an exclusion or override names."""
        names = {choice for row in self.exclusions for choice in row.rules} | {row.rule for row in self.overrides}
        return {name: self._detecting(name) for name in names}

    def _detecting(self, name: str) -> frozenset[int]:
        if self.rule_set is None:
            return frozenset()
        choice = f"{name}000-{name}999" if FAMILY.fullmatch(name) else name
        return frozenset(rule.id for rule in chosen(choice, self.rule_set) if rule.role is RuleRole.DETECT)

    def rules_of(self, row: RuleExclusion) -> frozenset[int]:
        own = self.custom.get(row.policy_id or 0, {})
        return frozenset().union(
            *(self.rules[choice] for choice in row.rules),
            (number for number, rule in own.items() if any(is_meant(rule, choice) for choice in row.rules)),
        )

    def catalogue(self, policy_id: int) -> Mapping[int, Rule]:
        return ChainMap(dict(self.custom.get(policy_id, {})), dict(self.rule_set.rules if self.rule_set else {}))


def of_exclusion(row: RuleExclusion, known: Known) -> list[Flag]:
    flags = list(_ends(row, known.today))
    if not row.enabled:
        return flags
    if message := _without_effect(row, known):
        flags.append(Flag(FlagKind.REDUNDANT, message))
    if _is_unused(row, known):
        last = known.uses.of(row.id or 0).last
        message = f"No request has met its conditions in {DAYS} days."
        flags.append(Flag(FlagKind.NEVER_USED, f"{message} The last was on {last:%Y-%m-%d}." if last else message))
    if (attacks := known.attacks.get(row.id or 0)) and attacks.requests:
        flags.append(Flag(FlagKind.ATTACK_SEEN, _attack(attacks)))
    return flags


def of_override(row: RuleOverride, known: Known) -> list[Flag]:
    is_off = row.action is RuleAction.DISABLE
    message = _without_effect_off(row, known) if is_off else _without_effect_on(row, known)
    return [Flag(FlagKind.REDUNDANT, message)] if message else []


def _is_unused(row: RuleExclusion, known: Known) -> bool:
    """Only of one that is as old as that, and was counted all that time."""
    since, first = known.uses.since, known.today - timedelta(days=DAYS)
    if since is None or since.date() > first or row.created_at.date() > first:
        return False
    return known.uses.of(row.id or 0).requests == 0


def _ends(row: RuleExclusion, today: date) -> Iterator[Flag]:
    if row.enabled:
        if row.ends_on and row.ends_on <= today + ANNOUNCED:
            yield Flag(FlagKind.ENDS_SOON, f"Disabled after {row.ends_on}.")
    elif row.ends_on and row.ends_on < today:
        yield Flag(FlagKind.ENDED, f"Ended after its last day, {row.ends_on}.")
    else:
        yield Flag(FlagKind.DISABLED, "It is disabled, so its rules inspect the field again.")


def _without_effect(row: RuleExclusion, known: Known) -> str:
    """Why it has no effect. Empty if it has one, or if that cannot be determined."""
    policy, rules = known.policies.get(row.policy_id or 0), known.rules_of(row)
    if known.rule_set is None or policy is None:
        return ""
    if not rules:
        return _gone(row)
    overrides = known.switched_off.get(policy.id or 0, [])
    if message := _off_anyway(rules, policy, overrides, known) or _looks_elsewhere(row, rules, known):
        return message
    return next(
        (
            f"Covered by another exclusion, {other.name}."
            for other in known.by_policy[policy.id or 0]
            if other.id != row.id
            and is_covered(row, other, known.rules_of)
            and not (is_covered(other, row, known.rules_of) and (other.id or 0) > (row.id or 0))
        ),
        "",
    )


def _gone(row: RuleExclusion) -> str:
    """Of custom rules alone. What is not in the agent's rule set now may be in a later one."""
    if not all(is_of_custom_rules(choice) for choice in row.rules):
        return ""
    is_single = len(row.rules) == 1 and "-" not in row.rules[0]
    return f"Its custom {'rule is' if is_single else 'rules are'} no longer in this policy: {', '.join(row.rules[:MOST_NAMED])}."


def _looks_elsewhere(row: RuleExclusion, rules: Collection[int], known: Known) -> str:
    """Custom rules can be changed after it was saved."""
    own = known.custom.get(row.policy_id or 0, {})
    if not own or not all(number in own for number in rules) or any(looks_at(own[number], row) for number in rules):
        return ""
    return f"Its custom {'rule does' if len(rules) == 1 else 'rules do'} not inspect {kind(row)} anymore."


def _without_effect_off(row: RuleOverride, known: Known) -> str:
    policy, rules = known.policies.get(row.policy_id or 0), frozenset(known.rules[row.rule])
    if known.rule_set is None or policy is None or not rules:
        return ""
    others = [
        other
        for other in known.switched_off[policy.id or 0]
        if other.id != row.id and not (known.rules[other.rule] == rules and (other.id or 0) > (row.id or 0))
    ]
    return _off_anyway(rules, policy, others, known)


def _without_effect_on(row: RuleOverride, known: Known) -> str:
    """Its rule is off, or counts by itself since the policy's blocking level was raised."""
    policy, rules = known.policies.get(row.policy_id or 0), known.rules[row.rule]
    if known.rule_set is None or policy is None or not rules:
        return ""
    if row.level and row.level <= policy.blocking_paranoia_level:
        return f"Its rule counts anyway: the blocking paranoia level is {policy.blocking_paranoia_level}."
    return _off_anyway(rules, policy, known.switched_off.get(policy.id or 0, []), known)


def _off_anyway(rules: Collection[int], policy: Policy, overrides: Iterable[RuleOverride], known: Known) -> str:
    """Why none of these rules runs in the policy. Empty if one does."""
    by = {number: row for row in overrides for number in known.rules[row.rule]}
    disabled = set(known.disabled.get(policy.id or 0, ()))
    catalogue = known.catalogue(policy.id or 0)
    if any(not (number in by or number in disabled or _is_away(catalogue[number], policy)) for number in rules):
        return ""
    subject = "Its rule is" if len(rules) == 1 else "Its rules are"
    if all(number in by for number in rules):
        return f"{subject} off in this policy: {', '.join(sorted({by[number].rule for number in rules})[:MOST_NAMED])}."
    if off := sorted(disabled.intersection(rules)):
        return f"{subject} off in this policy: custom rule {', '.join(map(str, off[:MOST_NAMED]))} is disabled."
    if all(_is_of_responses(catalogue[number], policy) for number in rules):
        return f"{subject} for responses, which this policy does not inspect."
    return f"{subject} off in this policy: the detection paranoia level is {policy.detection_paranoia_level}."


def _is_away(rule: Rule, policy: Policy) -> bool:
    return (rule.paranoia_level or 0) > policy.detection_paranoia_level or _is_of_responses(rule, policy)


def _is_of_responses(rule: Rule, policy: Policy) -> bool:
    return rule.phase in {3, 4} and not policy.response_inspection


def _attack(attacks: Attacks) -> str:
    names = [str(rule) for rule in attacks.rules[:MOST_NAMED]]
    more = len(attacks.rules) - len(names)
    listed = ", ".join(names) + (f" and {more} more" if more else "")
    requests = f"{attacks.requests:,} request{'' if attacks.requests == 1 else 's'}"
    return f"Other rules fired on what is excluded, in {requests} of the last 30 days: {listed}."
