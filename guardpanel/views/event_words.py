"""An event in sentences: what happened to the request, and what the rules matched."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from guardpanel.events import crs
from guardpanel.events.words import REASON_TABLE, VERDICT_TABLE, Verdict
from guardpanel.services.events import EventDetail, EventItem, FiredRule, scores
from guardpanel.views.formats import counted

PLACES = {
    "ARGS": "the parameter", "ARGS_GET": "the parameter", "ARGS_POST": "the form field",
    "ARGS_NAMES": "the name of the parameter", "ARGS_GET_NAMES": "the name of the parameter",
    "ARGS_POST_NAMES": "the name of the form field",
    "REQUEST_HEADERS": "the header", "REQUEST_HEADERS_NAMES": "the name of the header", "REQUEST_COOKIES": "the cookie",
    "REQUEST_COOKIES_NAMES": "the name of the cookie", "REQUEST_URI": "the address", "REQUEST_URI_RAW": "the address",
    "REQUEST_FILENAME": "the path", "REQUEST_BASENAME": "the path", "REQUEST_LINE": "the first line", "QUERY_STRING": "the query",
    "REQUEST_BODY": "the body", "REQUEST_METHOD": "the method", "REQUEST_PROTOCOL": "the protocol", "FILES": "the file",
    "FILES_NAMES": "the name of the file", "XML": "the XML body", "RESPONSE_BODY": "the response",
    "RESPONSE_STATUS": "the response", "RESPONSE_HEADERS": "the response’s header",
}  # fmt: skip
"Names of CRS variables for readers. Others (TX, MATCHED_VAR) are not part of a request."

SETTINGS: Mapping[Verdict, str] = {
    Verdict.TOO_LARGE: "body_limit_kib",
    Verdict.TOO_LARGE_PASSED: "body_limit_kib",
    Verdict.TOO_SLOW: "upload_seconds",
    Verdict.TOO_SLOW_PASSED: "upload_seconds",
}
"The field of the policy that decided about a body."


@dataclass(frozen=True)
class Place:
    """`the parameter`, and its name."""

    words: str
    key: str


BY_CLIENT = {
    Verdict.BANNED, Verdict.ON_DENY_LIST, Verdict.NOT_ON_LIST, Verdict.COUNTRY, Verdict.NETWORK, Verdict.GEO_PASSED,
    Verdict.LIMITED, Verdict.LIMITED_PASSED,
}  # fmt: skip
"Verdicts that *Why?* explains."


@dataclass(frozen=True)
class EventSentences:
    event: EventDetail

    @property
    def is_by_client(self) -> bool:
        """Whether the client IP decided, rather than what it sent."""
        return self.event.item.verdict in BY_CLIENT

    @property
    def glyph(self) -> tuple[str, str]:
        words = VERDICT_TABLE[self.event.item.verdict]
        return words.icon, words.tone

    @property
    def setting(self) -> str:
        """The field of its policy by which it was decided. Empty where something else decided."""
        return SETTINGS.get(self.event.item.verdict, "")

    @property
    def sentence(self) -> str:
        """The most severe finding, and why."""
        item = self.event.item
        why = REASON_TABLE[item.reason].sentence if item.reason else ""
        match item.verdict:
            case Verdict.UNDELIVERED:
                return why
            case Verdict.BLOCKED:
                return self._blocked()
            case Verdict.DETECTED:
                return f"{self._detected()} {why}".strip()
        return f"{VERDICT_TABLE[item.verdict].sentence} {why}".strip()

    @property
    def count(self) -> str:
        """The number of rules that matched: `3 rules`."""
        total = len(scores.causes(self.event)) + self.event.rules_cut
        return counted(total, "rule") if total else "No rule"

    @property
    def places(self) -> list[Place]:
        """Where in the request, without duplicates."""
        places = {
            Place(PLACES[variable], key): None
            for rule in scores.causes(self.event)
            for variable, key in _fired_on(rule)
            if variable in PLACES
        }
        return list(places)

    def _blocked(self) -> str:
        rule, sum_in, sum_out = self.event.deciding_rule, scores.inbound(self.event), scores.outbound(self.event)
        if sum_out and sum_out.reached and rule is not None and rule in crs.OUTBOUND:
            return f"Blocked. The response’s score {sum_out.score} reached the threshold of {sum_out.threshold}."
        if sum_in and sum_in.reached and (rule is None or crs.is_reporting(rule)):
            return f"Blocked. Score {sum_in.score} reached the threshold of {sum_in.threshold}."
        return f"Blocked by rule {rule}, regardless of score." if rule else "Blocked."

    def _detected(self) -> str:
        sum_in, sum_out = scores.inbound(self.event), scores.outbound(self.event)
        if sum_in and sum_in.reached:
            return f"Detected, not blocked. Score {sum_in.score} reached the threshold of {sum_in.threshold}."
        if sum_out and sum_out.reached:
            return f"Detected, not blocked. The response’s score {sum_out.score} reached the threshold of {sum_out.threshold}."
        if sum_in and sum_in.threshold:
            return f"Passed. Score {sum_in.score} is below the threshold of {sum_in.threshold}."
        return "Detected, not blocked."


def line(item: EventItem) -> str:
    """For lists: the message of the most severe rule, or what happened to the request."""
    if item.message:
        return item.message
    if item.verdict is Verdict.UNDELIVERED and item.reason:
        return REASON_TABLE[item.reason].line
    return VERDICT_TABLE[item.verdict].line


MATCHED_DATA = re.compile(r"Matched Data: (.+?) found within ", re.DOTALL)

LONGEST_HIT = 512


def hits(event: EventDetail) -> list[str]:
    """What the rules matched, as it may appear in the request, including URL and form encoding."""
    hits: set[str] = set()
    for rule in scores.causes(event):
        hits.update(found_by(rule))
    return sorted({form for text in hits for form in (text, quote(text), quote_plus(text))})


def found_by(rule: FiredRule) -> list[str]:
    """The part that CRS quotes, if it is one (libinjection quotes a fingerprint), or the matched values."""
    fired_on = {place for place in _fired_on(rule) if place[0] in PLACES}
    matches = [match for match in rule.matches if (match.variable, match.key) in fired_on]
    values = [match.value for match in matches if len(match.value) < LONGEST_HIT]
    named = MATCHED_DATA.match(rule.data)
    if named and any(named[1] in value for value in values):
        return [named[1]]
    return [value for value in values if "[masked]" not in value]


def _fired_on(rule: FiredRule) -> list[tuple[str, str]]:
    return crs.fired_on((match.variable, match.key) for match in rule.matches)
