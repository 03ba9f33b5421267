"""The filters of a rule search: one input type for the page's form, its URL and the JSON API."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Unpack

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from guardpanel.engines import Rule, RuleRole, RuleSet
from guardpanel.events.words import SEVERITIES, Severity
from guardpanel.models.meta import described
from guardpanel.models.refusing import refuse
from guardpanel.models.types import visible
from guardpanel.services.paging import Key, Page, Portion, cut
from guardpanel.services.rules.families import family
from guardpanel.services.rules.states import PolicyState, StateKind

LEVELS = range(1, 5)
PHASES: Mapping[int, str] = {
    1: "Request headers", 2: "Request body", 3: "Response headers", 4: "Response body", 5: "Logging",
}  # fmt: skip
"Coraza's phases."

KINDS: Mapping[str, str] = {"detect": "Detects", "steer": "Steers", "all": "All"}
"Whether a rule detects something itself."

STATES: Mapping[str, str] = {kind.value: kind.word for kind in (StateKind.SCORES, StateKind.DETECTS, StateKind.OFF)}
"What a policy does with a rule that detects something."

LONGEST_ID = 15


def _nothing(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _one_of(choices: Iterable[object], message: str) -> Callable[[object], str]:
    known = {str(choice) for choice in choices}

    def read(value: object) -> str:
        text = str(value).strip().lower()
        if text not in known:
            raise refuse(message)
        return text

    return read


def _number(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_ID):
        raise refuse("Choose a policy.")
    return text


def _text(text: str) -> str:
    return visible(text.strip())


Empty = BeforeValidator(_nothing)
Text = Annotated[str, StringConstraints(max_length=200), AfterValidator(_text)]
Kind = Annotated[str, BeforeValidator(_one_of(KINDS, "Choose Detects, Steers, or All."))]
Level = Annotated[str, BeforeValidator(_one_of(LEVELS, "Choose a paranoia level from 1 to 4."))]
Phase = Annotated[str, BeforeValidator(_one_of(PHASES, "Choose a phase from 1 to 5."))]
SeverityWord = Annotated[str, BeforeValidator(_one_of(Severity, "Choose a severity, for example critical."))]
PolicyId = Annotated[str, AfterValidator(_number)]
State = Annotated[str, BeforeValidator(_one_of(STATES, "Choose On, Detects only, or Off."))]


class RuleQuestion(BaseModel):
    """Conditions that must all hold. Empty ones are ignored."""

    q: Annotated[Text | None, Empty] = described("Search", None, hint="Rule ID, its beginning, or words.")
    kind: Annotated[Kind | None, Empty] = described("Kind", None, hint="Defaults to rules that detect.")
    family: Annotated[Text | None, Empty] = described("Family", None, hint="First 3 digits of the rule ID.")
    paranoia_level: Annotated[Level | None, Empty] = described("Paranoia level", None)
    severity: Annotated[SeverityWord | None, Empty] = described("Severity", None)
    phase: Annotated[Phase | None, Empty] = described("Phase", None)
    tag: Annotated[Text | None, Empty] = described("Tag", None, hint="For example, attack-sqli.")
    policy: Annotated[PolicyId | None, Empty] = described("Policy", None, hint="Its ID.")
    state: Annotated[State | None, Empty] = described("State", None, hint="What this policy does with the rule.")

    @model_validator(mode="before")
    @classmethod
    def policy_is_asked_for(cls, data: Any) -> Any:
        """Read before the state, and also where none is sent."""
        return {"policy": None, **data} if isinstance(data, dict) else data

    @field_validator("state")
    @classmethod
    def state_is_one_of_a_policy(cls, state: str | None, info: ValidationInfo) -> str | None:
        if state and "policy" in info.data and info.data["policy"] is None:
            raise refuse("Choose a policy, too: each does something else with a rule.")
        return state


ORDER = {severity.value: number for number, severity in SEVERITIES.items()}

SORTS: Mapping[str, Callable[[Rule], Key]] = {
    "id": lambda rule: (rule.id,),
    "message": lambda rule: (rule.message.lower(), rule.id),
    "level": lambda rule: (rule.paranoia_level or 0, rule.id),
    "points": lambda rule: (rule.points, rule.id),
}


def search(
    rules: RuleSet,
    question: RuleQuestion,
    state_of: Callable[[Rule], PolicyState] | None = None,
    *,
    sort: str = "id",
    descending: bool = False,
    **portion: Unpack[Portion],
) -> Page[Rule]:
    """A number finds rules of all kinds whose ID begins with it. Words find message, tags and family. `state_of`: what the policy
    of the question does with a rule."""
    matches = [rule for rule in rules.rules.values() if _matches(rule, question)]
    if state_of and question.state:
        matches = [rule for rule in matches if state_of(rule).kind == question.state]
    key = SORTS.get(sort, SORTS["id"])
    matches.sort(key=key, reverse=descending)
    return cut(matches, key, descending=descending, **portion)


def _matches(rule: Rule, question: RuleQuestion) -> bool:
    return (
        _is_kind(rule, question)
        and question.family in {None, str(rule.family)}
        and question.paranoia_level in {None, str(rule.paranoia_level)}
        and question.severity in {None, rule.severity}
        and question.phase in {None, str(rule.phase)}
        and (question.tag is None or question.tag.lower() in (tag.lower() for tag in rule.tags))
        and (question.q is None or _is_found(rule, question.q.lower()))
    )


def _is_kind(rule: Rule, question: RuleQuestion) -> bool:
    kind = question.kind or ("all" if _is_number(question.q or "") else "detect")
    return kind == "all" or (kind == "detect") == (rule.role is RuleRole.DETECT)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_found(rule: Rule, text: str) -> bool:
    if _is_number(text):
        return str(rule.id).startswith(text)
    searched = " ".join((rule.message, *rule.tags, family(rule.family).name, rule.file, str(rule.id))).lower()
    return all(word in searched for word in text.split())
