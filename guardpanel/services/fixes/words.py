"""A rung in words: what it is, what it does, and what it costs."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from guardpanel.engines.waf.evaluation import Evaluation
from guardpanel.events.crs import is_reporting
from guardpanel.models import Policy
from guardpanel.models.policies.body_reading import NOUN as BODY_READING
from guardpanel.models.policies.body_reading import BodyReadingFields
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.rules.rule_exclusion import Target
from guardpanel.models.rules.rule_override import RuleOverrideFields
from guardpanel.rendering import exclusions
from guardpanel.rendering.body_readings import BodyReadingState
from guardpanel.rendering.body_readings import directives as reading_directives
from guardpanel.rendering.exclusions import ExclusionState
from guardpanel.services import body_readings, policies
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.drafts import FIRST_ID, Draft
from guardpanel.services.fixes.ladder import Rung
from guardpanel.services.fixes.widths import Width
from guardpanel.services.input import validated
from guardpanel.services.rules import exclusion_words
from guardpanel.services.saving.differences import in_words


def title(rung: Rung, case: Case) -> str:
    """`This field, this path, POST only`"""
    method, several = case.request.method, _fields(rung.draft)
    match rung.width:
        case Width.SETTING | Width.RESTRICTIONS:
            return ", ".join(filter(None, [changes(rung.draft, case.policy), *_readings(rung)])) or rung.width.word
        case Width.CONDITION:
            return f"{several}, this path, {method}, only if {rung.draft.exclusions[0].only_if[0]}"
        case Width.FIELD:
            return f"{several}, this path, {method} only"
        case Width.FIELD_PATTERN:
            return f"Fields numbered like this one, this path, {method} only"
        case Width.PATH_PATTERN:
            return f"{several}, paths like this one, {method} only"
        case Width.PATTERNS:
            return f"Fields and paths like these, {method} only"
        case Width.BELOW:
            return f"{several}, every path below {rung.draft.exclusions[0].path}, {method} only"
        case Width.FAMILY:
            return f"Whole families of rules on this field, path, and {method}"
        case Width.REQUEST:
            return f"Every field of {method} to this path"
        case Width.EVERYWHERE:
            return f"{several} on every path"
    return f"Rules off in policy {case.policy.name}"


def subject(case: Case) -> str:
    """What was tried: an event may not have its whole request."""
    return "what the event has of this request" if case.request.gaps else "this request"


def verdict(before: Evaluation) -> str:
    """`Score 20 of 5`, or the rule that blocks it whatever its score is."""
    rule = before.rule
    if not before.passes and rule and not is_reporting(rule):
        return f"Blocked by rule {rule}, regardless of score,"
    return f"Score {before.score} of {before.threshold}"


def scores(before: Evaluation, after: Evaluation | None) -> str:
    """`score 20 → 0`; empty where there was none before."""
    return f"score {before.score} → {after.score if after else 0}" if before.threshold else ""


def scope(draft: Draft) -> str:
    """How much it touches: `5 rules`, `1 setting and 6 rules`. The rules that have a tag are a family, however many they are."""
    ids = sum(rule.isdigit() for rule in draft.rules)
    counts = [
        (len(draft.policy), "setting", "settings"),
        (len(draft.readings), "body reading", "body readings"),
        (len(draft.rules) - ids, "family of rules", "families of rules"),
        (ids, "rule", "rules"),
    ]
    return " and ".join(f"{count} {single if count == 1 else several}" for count, single, several in counts if count)


def _readings(rung: Rung) -> list[str]:
    return [f"This path’s bodies {body_readings.read(fields.read_as)}" for fields in rung.draft.readings]


def _fields(draft: Draft) -> str:
    """`This field`; where no rule can be limited to one, `These rules`."""
    fields = {(fields.target, fields.target_name) for fields in draft.exclusions}
    if {target for target, _ in fields} == {Target.REQUEST}:
        return "These rules"
    return "These fields" if len(fields) > 1 else "This field"


def effects(draft: Draft, case: Case) -> list[str]:
    """What it does, in sentences."""
    host = case.virtual_host.name
    sentences = [exclusion_words.reach(fields, host) for fields in draft.exclusions]
    sentences += [_reading(fields, case) for fields in draft.readings]
    if changed := changes(draft, case.policy):
        sentences.insert(0, f"{changed} in policy {case.policy.name}.")
    off = [fields.rule for _, fields in draft.rows if isinstance(fields, RuleOverrideFields)]
    if off:
        word = f"Rule {off[0]} never runs" if len(off) == 1 else f"Rules {', '.join(off)} never run"
        sentences.append(f"{word} in policy {case.policy.name}.")
    sentences += [f"Custom rule {each.rule_id}, {each.name}, is disabled." for each in draft.disabled]
    return sentences


def _reading(fields: BodyReadingFields, case: Case) -> str:
    """One for the same requests is changed: it says so."""
    existing = case.ground.existing(BODY_READING.key, fields)
    return f"{body_readings.reach(fields)}{' This changes the existing body reading.' if existing else ''}"


def prices(rung: Rung, case: Case) -> list[str]:
    """What else it lets pass. Empty for narrow ones."""
    words = list(dict.fromkeys(price for fields in rung.draft.exclusions for price in exclusion_words.prices(fields)))
    words += [price for fields in rung.draft.readings for price in body_readings.prices(fields)]
    words += _price_of_paths(rung)
    is_off = rung.draft.disabled or any(isinstance(fields, RuleOverrideFields) for _, fields in rung.draft.rows)
    is_wide = rung.draft.policy or is_off
    if is_wide:
        others = f", {case.others} more" if case.others else ""
        words.append(
            f"This holds for every virtual host that uses {case.policy.name}: {case.virtual_host.name}{others}."
        )
    if is_off:
        words.append("Attacks that only these rules find pass everywhere.")
    return words


def _price_of_paths(rung: Rung) -> Iterator[str]:
    if rung.width in {Width.PATH_PATTERN, Width.PATTERNS}:
        yield f"This holds for every path that matches {rung.draft.exclusions[0].path}."
    if rung.width is Width.BELOW:
        yield f"This holds for every path below {rung.draft.exclusions[0].path}, whatever the application does there."


def changes(draft: Draft, policy: Policy) -> str:
    """The policy's own fields: `allowed method PROPFIND added`."""
    if not draft.policy:
        return ""
    before = policies.fields_of(policy)
    words = in_words(before, validated(PolicyFields, {**before.model_dump(), **draft.policy}))
    return words[:1].upper() + words[1:]


def seclang(draft: Draft, policy_id: int) -> str:
    """The exclusions and body readings as the agent would get them."""
    readings = [BodyReadingState.from_row(_row(at, fields, policy_id)) for at, fields in enumerate(draft.readings)]
    excluded = [ExclusionState.from_row(_row(at, fields, policy_id)) for at, fields in enumerate(draft.exclusions)]
    texts = [*map(reading_directives, readings), *map(exclusions.directives, excluded)]
    return "\n".join(text.strip() for text in texts)


def _row(at: int, fields: BaseModel, policy_id: int) -> dict[str, Any]:
    return {**fields.model_dump(mode="json"), "id": FIRST_ID + at, "policy_id": policy_id}
