"""The meaning of CRS rule ids, and of what CRS's rules report."""

import re
from collections.abc import Iterable

REPORTING = frozenset({949, 959, 980})
"Rule families (id // 1000) that add up and report the scores of requests, of responses, and of both."

BLOCKING = 949_110
"Of these, the one that blocks a request, or only fires where a policy detects."

OUTBOUND = range(959_000, 960_000)
"Of these, the one that blocks a response."

RECOMMENDED = 200
"The family of Coraza's recommended rules."


HEADER_COPY = re.compile(r"header_name_[0-9]+_(.+)", re.IGNORECASE | re.DOTALL)
"920450 and 920451 match every header, copy its name to this variable of TX, and fire for the restricted ones."


def copied_header(variable: str, key: str) -> str:
    """The restricted header's name. Empty for all other matches."""
    copy = HEADER_COPY.fullmatch(key) if variable == "TX" else None
    return copy[1] if copy else ""


def fired_on(matches: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The variables with their keys for which a rule fired: what it matched, without headers that it only copied."""
    matches = list(matches)
    restricted = [header for variable, key in matches if (header := copied_header(variable, key))]
    return [("REQUEST_HEADERS_NAMES", header) for header in restricted] or matches


def is_reporting(rule_id: int) -> bool:
    """Whether the rule only reports a score and is never the reason itself."""
    return rule_id // 1_000 in REPORTING


def is_in_rule_set(rule_id: int) -> bool:
    """Whether it is a rule of CRS or Coraza's recommended ones: neither an operator's nor guardpanel's own."""
    return rule_id // 100_000 == 9 or rule_id // 1_000 == RECOMMENDED
