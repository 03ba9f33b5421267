"""A rule in sentences: what each of its links inspects, and what it matches."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from guardpanel.engines import Link, Rule, RuleRole
from guardpanel.events.texts import legible
from guardpanel.services.rules.targets import FLAGS, changes, joined, left_out, looked_at, place

MOST_PHRASES = 8
LONGEST = 200
"Characters of an argument in a sentence. The SecLang has all of it."

SETTINGS: Mapping[str, str] = {
    "allowed_methods": "the policy’s allowed methods",
    "allowed_request_content_type": "the policy’s allowed content types",
    "allowed_request_content_type_charset": "the allowed character sets",
    "allowed_http_versions": "the allowed HTTP versions",
    "arg_length": "the maximum length of a parameter",
    "arg_name_length": "the maximum length of a parameter name",
    "blocking_paranoia_level": "the blocking paranoia level",
    "combined_file_sizes": "the maximum size of all uploads",
    "inbound_anomaly_score_threshold": "the inbound anomaly threshold",
    "max_file_size": "the maximum size of an upload",
    "max_num_args": "the maximum number of parameters",
    "outbound_anomaly_score_threshold": "the outbound anomaly threshold",
    "restricted_extensions": "the protected file extensions",
    "restricted_headers_basic": "the restricted headers",
    "restricted_headers_extended": "the restricted headers of paranoia level 2",
    "sampling_percentage": "the sampling percentage",
    "total_arg_length": "the maximum total length of parameters",
}
"What the CRS variables contain that rules compare with."

ROLES: Mapping[RuleRole, str] = {
    RuleRole.DETECT: "",
    RuleRole.EVALUATE: "This rule finds nothing itself. It adds up scores, and blocks when they reach the threshold.",
    RuleRole.REPORT: "This rule finds nothing itself. It logs the scores of a request.",
    RuleRole.SKIP: "This rule finds nothing itself. It skips rules that do not apply, such as those above the paranoia level.",
    RuleRole.PREPARE: "This rule finds nothing itself. It sets or reads what other rules need.",
}


NAMES: Mapping[RuleRole, str] = {
    RuleRole.DETECT: "Detects",
    RuleRole.EVALUATE: "Adds up scores",
    RuleRole.REPORT: "Logs scores",
    RuleRole.SKIP: "Skips rules",
    RuleRole.PREPARE: "Prepares other rules",
}
"For a rule without a message."


@dataclass(frozen=True)
class LinkWords:
    sentence: str
    changes: list[str]
    "The transformations of a value before the link inspects it, in order."
    left_out: list[str]
    "Targets that the rule set excludes from it."
    phrases: list[str]
    "Of the list that it compares with. Long lists are cut."
    phrase_count: int


def title(rule: Rule) -> str:
    """Its message, with `…` for what depends on the request."""
    return re.sub(r"%\{[^}]*\}", "…", rule.message) or NAMES[rule.role]


def explain(rule: Rule) -> list[LinkWords]:
    """All links in order: all must match. Texts from the rule are safe to show (`guardpanel.events.texts`)."""
    return [
        LinkWords(
            sentence(link), changes(link.transformations), left_out(link.targets), [legible(phrase) for phrase in link.phrases],
            link.phrase_count,
        )
        for link in rule.links
    ]  # fmt: skip


def sentence(link: Link) -> str:
    if not link.operator:
        return "Runs for every request."
    if link.operator in ALWAYS:
        return "Always matches."
    where, argument = legible(joined(looked_at(link.targets))), _argument(link.argument)
    if link.operator in COMPARISONS:
        return _compared(link, where, argument)
    what = OPERATORS.get(link.operator)
    if what is None:
        return f"Checks {where} with the operator {link.operator}."
    return f"Looks at {where}, and matches {what[link.negated](argument)}."


def _compared(link: Link, where: str, argument: str) -> str:
    if link.targets[0] in FLAGS:
        return f"Matches if {where}."
    words, opposite = COMPARISONS[link.operator]
    than = f"{opposite if link.negated else words} {argument}"
    if all(target.startswith(("&", "!")) for target in link.targets):
        if (link.operator, link.negated, argument) == ("eq", False, "0"):
            return f"Matches if there is nothing in {where}."
        if (link.operator, link.negated, argument) in NON_EMPTY:
            return f"Matches if there is anything in {where}."
        return f"Counts {where}, and matches if the number is {than}."
    if "length" in link.transformations:
        return f"Measures {where}, and matches if the length in bytes is {than}."
    return f"Compares {where}, and matches if the number is {than}."


NON_EMPTY = {("gt", False, "0"), ("ge", False, "1"), ("eq", True, "0")}

ALWAYS = {"unconditionalMatch"}

COMPARISONS: Mapping[str, tuple[str, str]] = {
    "eq": ("exactly", "not"),
    "ge": ("at least", "less than"),
    "gt": ("greater than", "at most"),
    "le": ("at most", "greater than"),
    "lt": ("less than", "at least"),
}

Words = Callable[[str], str]

OPERATORS: Mapping[str, tuple[Words, Words]] = {
    "rx": (
        lambda _: "text that fits the rule’s pattern",
        lambda _: "values that do not fit the rule’s pattern",
    ),
    "pm": (
        lambda phrases: f"text with {_phrases(phrases)}",
        lambda phrases: f"values without {_phrases(phrases)}",
    ),
    "pmFromFile": (
        lambda name: f"text with any phrase of the list {name}",
        lambda name: f"values without any phrase of the list {name}",
    ),
    "detectSQLi": (
        lambda _: "text that libinjection parses as SQL injection",
        lambda _: "text that libinjection does not parse as SQL injection",
    ),
    "detectXSS": (
        lambda _: "text that libinjection parses as HTML or script",
        lambda _: "text that libinjection does not parse as HTML or script",
    ),
    "validateByteRange": (
        lambda ranges: f"values with a byte outside of {_ranges(ranges)}",
        lambda ranges: f"values whose bytes are all within {_ranges(ranges)}",
    ),
    "validateUrlEncoding": (
        lambda _: "broken percent-encoding",
        lambda _: "valid percent-encoding",
    ),
    "validateUtf8Encoding": (
        lambda _: "bytes that are not valid UTF-8",
        lambda _: "valid UTF-8",
    ),
    "within": (
        lambda values: f"values that are among {values}",
        lambda values: f"values that are not among {values}",
    ),
    "streq": (lambda text: f"exactly {_quoted(text)}", lambda text: f"anything but {_quoted(text)}"),
    "contains": (
        lambda text: f"text that contains {_quoted(text)}",
        lambda text: f"values that do not contain {_quoted(text)}",
    ),
    "beginsWith": (
        lambda text: f"text that begins with {_quoted(text)}",
        lambda text: f"values that do not begin with {_quoted(text)}",
    ),
    "endsWith": (
        lambda text: f"text that ends with {_quoted(text)}",
        lambda text: f"values that do not end with {_quoted(text)}",
    ),
    "ipMatch": (lambda nets: f"an address of {nets}", lambda nets: f"an address outside of {nets}"),
}
"What an operator matches, and what it matches with a `!`, by argument."


def _quoted(argument: str) -> str:
    """A text. Values of the request are in braces, without quotes."""
    whole = argument.startswith("{") and argument.endswith("}")
    return argument[1:-1] if whole else f"“{argument}”"


def _ranges(argument: str) -> str:
    return ", ".join(part.strip().replace("-", "–") for part in argument.split(","))


def _phrases(argument: str) -> str:
    phrases = argument.split()
    shortened = phrases[:MOST_PHRASES]
    more = f" and {len(phrases) - MOST_PHRASES} more" if len(phrases) > MOST_PHRASES else ""
    return f"any of: {', '.join(shortened)}{more}" if len(phrases) > 1 else f"“{argument}”"


MACRO = re.compile(r"%\{([a-z_]+)\.([^}]+)\}", re.IGNORECASE)


def _macro(match: re.Match[str]) -> str:
    """The description of a request's value within an argument."""
    collection, key = match[1].lower(), match[2].lower()
    if collection == "tx" and key in SETTINGS:
        return SETTINGS[key]
    return f"{{{place(f'{collection.upper()}:{key}')}}}"


def _argument(argument: str) -> str:
    """The beginning of an argument, with values of the request described."""
    text = legible(MACRO.sub(_macro, argument))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
