"""A custom rule that is written in SecLang: what it may say. What Coraza makes of the rest, the agent's own check says.

No text of an operator reaches a file: the rule is rendered from the links that were read here (rendering/custom_rules.py).
"""

import re
from collections.abc import Callable, Mapping, Sequence

from pydantic_core import PydanticCustomError

from guardpanel.models.policies.content_types import ReadAs
from guardpanel.models.rules.custom_rule_choices import CHECKS, OPERATORS, Operator
from guardpanel.models.rules.custom_rule_text import DISRUPTIVE, FIRST_ID, LAST_ID, STATUSES
from guardpanel.models.rules.rule_choices import must_be_free
from guardpanel.models.rules.seclang import Action, Link, NotSecLang, can_be_quoted, parse
from guardpanel.models.rules.seclang_names import OF_RULES, OTHER_OPERATORS, RESPONSE, TRANSFORMATIONS, VARIABLES
from guardpanel.models.rules.seclang_targets import known_targets

RESPONSE_PHASES = {3, 4}
LOGGING = 5
PHASES = {"1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "request": 2, "response": 4, "logging": 5}

WORDS = {
    "msg",
    "logdata",
    "severity",
    "tag",
    "ver",
    "rev",
    "maturity",
    "accuracy",
    "log",
    "nolog",
    "auditlog",
    "noauditlog",
}
OF_FIRST = {"id", "phase", "status", *DISRUPTIVE}
ALLOWED = {*WORDS, *OF_FIRST, "t", "capture", "multimatch", "chain", "setvar", "ctl"}

KNOWN = {*VARIABLES, *RESPONSE, *OF_RULES}
MACRO = re.compile(r"%\{([^}.]*)[^}]*\}?")

ADDED = re.compile(r"(?P<direction>in|out)bound_anomaly_score_pl[1-4]|(?!.*anomaly)[a-z]+(?:_[a-z]+)?_score")
"Points, and counters of kinds of attacks. What a severity is worth (`critical_anomaly_score`) is a setting."

OF_RULE_SET = re.compile(
    r".*(?:anomaly_score|_threshold|paranoia_level).*|(?:allow(?:ed)?|restricted|forbidden|enforce|crs|guardpanel|sampling|multipart|"
    r"max|total|combined|arg|content|header|rfi_parameter|do_reput|early|reporting|enable|ua|paramcounter)_.*|extension|original_target|[0-9]"
)
"What OWASP CRS and guardpanel keep in TX: settings and counters on which blocking depends."

PROCESSORS = {"URLENCODED" if how is ReadAs.FORM else how.upper() for how in ReadAs}
"Of the agent. With any other name Coraza reads nothing of a body, and blocks nothing in it."

WITHOUT_MACRO = {operator: check for operator, check in CHECKS.items() if operator is not Operator.RX}
"Operators that take whatever they are given: of what they cannot read, Coraza makes 0, or no address at all."


def read(text: str) -> list[Link]:
    """The links of a rule that may be saved. Raises NotSecLang."""
    links = parse(text)
    if links[0].has("block") and not any(link.has("setvar") for link in links):
        raise NotSecLang("block does nothing without points: it means pass here. Use deny.", links[0].line)
    for at, link in enumerate(links):
        try:
            _check(link, phase_of(links), is_first=at == 0)
        except PydanticCustomError as error:
            raise NotSecLang(error.message(), link.line) from None
    return links


def must_be_effective(links: Sequence[Link]) -> None:
    """Raises NotSecLang for what loads, and does nothing: of a chain, rules are switched off by the first link's tags alone."""
    if late := next((link for link in links[1:] if link.has("tag")), None):
        raise NotSecLang("Move tag to the first link of the chain.", late.line)


def phase_of(links: Sequence[Link]) -> int:
    (written,) = links[0].values("phase") or ["2"]
    if written.lower() not in PHASES:
        raise NotSecLang(f"There is no phase {written[:20]}. Phases are 1 to 5.", links[0].line)
    return PHASES[written.lower()]


def _check(link: Link, phase: int, *, is_first: bool) -> None:
    names = [action.name for action in link.actions]
    for name in names:
        if name not in ALLOWED:
            raise NotSecLang(f"A custom rule can’t use {name[:40]}.", link.line)
        if not is_first and name in OF_FIRST:
            raise NotSecLang(f"Move {name} to the first link of the chain.", link.line)
    if is_first:
        _check_first(link, names)
        _check_decision(names, phase, link.line)
    if link.operator:
        _check_operator(link, phase)
    for action in link.actions:
        ACTIONS.get(action.name, _any_action)(action, link.line, phase)


def _check_first(link: Link, names: Sequence[str]) -> None:
    for name in ("id", "phase", "status"):
        if names.count(name) > 1:
            raise NotSecLang(f"Name {name} once.", link.line)
    number = "".join(link.values("id"))
    if not re.fullmatch(r"[0-9]{1,9}", number) or not FIRST_ID <= int(number) <= LAST_ID:
        raise NotSecLang(f"Give the rule an id from {FIRST_ID} to {LAST_ID}.", link.line)
    disruptive = [name for name in names if name in DISRUPTIVE]
    if len(disruptive) > 1:
        raise NotSecLang(f"Name one of {' and '.join(disruptive)}.", link.line)
    if any(status not in map(str, STATUSES) for status in link.values("status")):
        raise NotSecLang("HAProxy rejects with status 403 or 400.", link.line)


def _check_decision(names: Sequence[str], phase: int, line: int) -> None:
    """In phase 5 all is decided and sent."""
    late = next((name for name in names if name in {"deny", "allow"}), None) if phase == LOGGING else None
    if late:
        raise NotSecLang(f"{late} does nothing in phase 5. Choose an earlier phase.", line)


def _check_operator(link: Link, phase: int) -> None:
    if link.operator.lower() not in {*OPERATORS, *(name.lower() for name in OTHER_OPERATORS)}:
        raise NotSecLang(f"A custom rule can’t use @{link.operator[:40]}.", link.line)
    if not can_be_quoted(link.argument):
        raise NotSecLang("SecLang can’t hold a backslash before a double quote or at the end.", link.line)
    known_targets(link.targets, min(phase, 4), in_text=True)
    if link.operator.lower() not in {"rx", "pm"}:
        _check_macros(link.argument, link.line)
    operator = OPERATORS.get(link.operator.lower())
    if operator in WITHOUT_MACRO and "%{" not in link.argument:
        WITHOUT_MACRO[operator](link.argument)


def _check_macros(text: str, line: int) -> None:
    for name in MACRO.findall(text):
        if name.upper() not in KNOWN:
            raise NotSecLang(f"There is no variable {name[:40]} for %{{…}}.", line)


def _any_action(action: Action, line: int, _phase: int) -> None:
    _check_macros(action.value, line)


def _check_transformation(action: Action, line: int, _phase: int) -> None:
    if action.value.lower() not in {"none", "normalisepath", "normalisepathwin", *map(str.lower, TRANSFORMATIONS)}:
        raise NotSecLang(f"There is no transformation {action.value[:40]}.", line)


def _check_setvar(action: Action, line: int, phase: int) -> None:
    """Points may be added; settings and counters of the rule set stay as they are."""
    name, _, value = action.value.partition("=")
    name = name.removeprefix("!").lower()
    _check_macros(action.value, line)
    if not re.fullmatch(r"tx\.[a-z0-9_.-]{1,100}", name):
        raise NotSecLang("setvar takes a variable of TX: setvar:'tx.mine=1'.", line)
    name = name.removeprefix("tx.")
    if points := ADDED.fullmatch(name):
        _must_count(points["direction"], phase, line)
        adds = re.fullmatch(
            r"\+(?:[0-9]{1,3}|%\{tx\.(?:critical|error|warning|notice)_anomaly_score\})", value, re.IGNORECASE
        )
        if not adds or action.value.startswith("!"):
            raise NotSecLang(f"A custom rule can only add to tx.{name}, for example =+5.", line)
    elif OF_RULE_SET.fullmatch(name):
        raise NotSecLang(f"tx.{name} belongs to the rule set. Choose another name.", line)
    if not value:  # Coraza panics: a.value is nil in its internal/actions/setvar.go
        raise NotSecLang(f"Give tx.{name} a value: setvar:'tx.{name}=1'.", line)


def _must_count(direction: str | None, phase: int, line: int) -> None:
    """Scores are added up in phases 2 and 4."""
    if direction and phase > {"in": 2, "out": 4}[direction]:
        raise NotSecLang(f"Points of {direction}bound scores do nothing in phase {phase}. Choose an earlier one.", line)


def _check_ctl(action: Action, line: int, phase: int) -> None:
    name, _, value = action.value.partition("=")
    kind = name.strip().lower()
    if kind == "requestbodyprocessor":
        _check_processor(value, phase, line)
        return
    if kind not in {"ruleremovebyid", "ruleremovebytag", "ruleremovetargetbyid", "ruleremovetargetbytag"}:
        raise NotSecLang(f"A custom rule can’t use ctl:{name[:40]}.", line)
    rules, _, target = value.partition(";")
    must_be_free(rules.strip().strip('"'))
    if kind.startswith("ruleremovetarget") and target.partition(":")[0].strip().upper() not in KNOWN:
        raise NotSecLang(f"Name what {name} leaves out, for example {rules};ARGS:q.", line)


def _check_processor(name: str, phase: int, line: int) -> None:
    if name.upper() not in PROCESSORS:
        raise NotSecLang(
            f"Bodies can be read as {', '.join(sorted(PROCESSORS))}, not as {name[:20] or 'nothing'}.", line
        )
    if phase > 1:
        raise NotSecLang("ctl:requestBodyProcessor does nothing after phase 1.", line)


ACTIONS: Mapping[str, Callable[[Action, int, int], None]] = {
    "t": _check_transformation, "setvar": _check_setvar, "ctl": _check_ctl,
}  # fmt: skip
