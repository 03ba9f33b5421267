"""What an event does not tell of the fields on which its rules fired: values are masked, and some of many matches are missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from guardpanel.engines.waf.evaluation import EvaluatedRule, Match
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.services.events import FiredRule
from guardpanel.services.fixes.folding import name_pattern
from guardpanel.services.fixes.requests import MASKED, STANDS_IN, Request


@dataclass(frozen=True)
class Hidden:
    masked: Mapping[int, tuple[Match, ...]] = field(default_factory=dict)
    "By rule: its matches on masked values. It does not fire on what stands in for them."
    is_cut: bool = False
    "Whether there were more matches than the event and what is left of its request tell."

    def added_to(self, rules: Iterable[EvaluatedRule]) -> list[EvaluatedRule]:
        return [replace(rule, matches=(*rule.matches, *self.masked.get(rule.id, ()))) for rule in rules]

    def problem(self, exclusions: Iterable[RuleExclusionFields]) -> str:
        """Why they may not suffice: fields are numbered, and the numbers of some are not known."""
        if self.is_cut and any(_is_numbered(fields) for fields in exclusions):
            return "The event has only some of the numbered fields on which these rules fired."
        return ""


NOTHING_HIDDEN = Hidden()


def hidden(rules: Iterable[FiredRule], request: Request) -> Hidden:
    """Of what fired in an event."""
    rules = list(rules)
    masked = {rule.id: matches for rule in rules if (matches := _masked(rule))}
    return Hidden(masked, bool(request.gaps) and any(rule.matches_cut for rule in rules))


def _masked(rule: FiredRule) -> tuple[Match, ...]:
    matches = [match for match in rule.matches if MASKED in match.value and MASKED not in match.key]
    return tuple(Match(match.variable, match.key, STANDS_IN, match.chain) for match in matches)


def _is_numbered(fields: RuleExclusionFields) -> bool:
    return fields.target.has_names and not fields.name_is_pattern and bool(name_pattern(fields.target_name))
