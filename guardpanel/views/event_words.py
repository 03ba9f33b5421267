"""An event in sentences: what became of the request, and on what the rules fired."""

import re
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from guardpanel.events.words import Verdict
from guardpanel.services.events import EventDetail, FiredRule, scores

VERDICT_LINES = {
    Verdict.BLOCKED: "Blocked by the WAF",
    Verdict.DETECTED: "Detected by the WAF",
    Verdict.UNKNOWN_HOST: "No virtual host has this name",
    Verdict.TOO_LARGE: "The body is over the policy’s limit",
    Verdict.TOO_LARGE_PASSED: "The body is over the policy’s limit and was not looked at",
    Verdict.AGENT_ERROR: "The WAF gave no verdict, and nothing passed",
    Verdict.FAIL_OPEN: "The WAF gave no verdict, and the request passed",
    Verdict.TOO_SLOW: "The body came too slowly",
    Verdict.TOO_SLOW_PASSED: "The body came too slowly and was not looked at whole",
    Verdict.TRAILERS: "Header fields after the body",
}
"For a list, where no rule says what was found."

GLYPHS = {
    Verdict.BLOCKED: ("ban", "tone-accent"), Verdict.DETECTED: ("eye", "tone-warn"),
    Verdict.UNKNOWN_HOST: ("globe", "tone-quiet"), Verdict.TOO_LARGE: ("ban", "tone-accent"),
    Verdict.TOO_LARGE_PASSED: ("triangle-alert", "tone-warn"),
    Verdict.TOO_SLOW: ("ban", "tone-accent"), Verdict.TOO_SLOW_PASSED: ("triangle-alert", "tone-warn"),
    Verdict.TRAILERS: ("ban", "tone-accent"),
    Verdict.AGENT_ERROR: ("circle-x", "tone-bad"), Verdict.FAIL_OPEN: ("triangle-alert", "tone-warn"),
}  # fmt: skip

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
"What CRS's variables are to a reader. Others (TX, MATCHED_VAR) are no place in a request."

NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


@dataclass(frozen=True)
class Place:
    """`the parameter`, and which."""

    words: str
    key: str


@dataclass(frozen=True)
class Told:
    event: EventDetail

    @property
    def glyph(self) -> tuple[str, str]:
        return GLYPHS[self.event.item.verdict]

    @property
    def sentence(self) -> str:
        """The worst thing first, and why."""
        match self.event.item.verdict:
            case Verdict.BLOCKED:
                return self._blocked()
            case Verdict.DETECTED:
                return self._detected()
            case Verdict.UNKNOWN_HOST:
                return "Refused: no virtual host has this name."
            case Verdict.TOO_LARGE:
                return "Refused: the body is over the policy’s limit."
            case Verdict.TOO_LARGE_PASSED:
                return "Passed without being looked at: the body is over the policy’s limit."
            case Verdict.AGENT_ERROR:
                return "Refused: the WAF gave no verdict."
            case Verdict.FAIL_OPEN:
                return "Passed without a verdict of the WAF."
            case Verdict.TOO_SLOW:
                return "Refused: the body did not come within the policy’s time."
            case Verdict.TOO_SLOW_PASSED:
                return "Passed, not looked at whole: the body did not come within the policy’s time."
            case Verdict.TRAILERS:
                return "Refused: header fields came after the body, where no rule would see them."

    @property
    def count(self) -> str:
        """How many rules found something: `Three rules`."""
        found = len(scores.causes(self.event)) + self.event.rules_cut
        word = NUMBERS[found] if found < len(NUMBERS) else f"{found:,}"
        return f"{word} rule{'' if found == 1 else 's'}"

    @property
    def places(self) -> list[Place]:
        """Where in the request, without repetition."""
        found = {
            Place(PLACES[match.variable], match.key): None
            for rule in scores.causes(self.event)
            for match in rule.matches
            if match.variable in PLACES
        }
        return list(found)

    def _blocked(self) -> str:
        rule, sum_in, sum_out = self.event.deciding_rule, scores.inbound(self.event), scores.outbound(self.event)
        if sum_out and sum_out.reached and rule is not None and 959000 <= rule < 960000:
            return f"Blocked. The response’s score {sum_out.score} reached the threshold of {sum_out.threshold}."
        if sum_in and sum_in.reached and (rule is None or scores.is_reporting(rule)):
            return f"Blocked. Score {sum_in.score} reached the threshold of {sum_in.threshold}."
        return f"Blocked by rule {rule}, whatever the score." if rule else "Blocked."

    def _detected(self) -> str:
        sum_in, sum_out = scores.inbound(self.event), scores.outbound(self.event)
        if sum_in and sum_in.reached:
            return f"Detected, and passed. Score {sum_in.score} reached the threshold of {sum_in.threshold}."
        if sum_out and sum_out.reached:
            return f"Detected, and passed. The response’s score {sum_out.score} reached the threshold of {sum_out.threshold}."
        if sum_in and sum_in.threshold:
            return f"Passed. Score {sum_in.score} is below the threshold of {sum_in.threshold}."
        return "Detected, and passed."


FOUND = re.compile(r"Matched Data: (.+?) found within ", re.DOTALL)

LONGEST_HIT = 512


def hits(event: EventDetail) -> list[str]:
    """What the rules found, as it may stand in the request: also as a browser writes it in an address or a form."""
    found: set[str] = set()
    for rule in scores.causes(event):
        found.update(found_by(rule))
    return sorted({form for text in found for form in (text, quote(text), quote_plus(text))})


def found_by(rule: FiredRule) -> list[str]:
    """The part that CRS names, if it is one (libinjection's is a fingerprint), else the values that matched."""
    values = [match.value for match in rule.matches if match.variable in PLACES and len(match.value) < LONGEST_HIT]
    named = FOUND.match(rule.data)
    if named and any(named[1] in value for value in values):
        return [named[1]]
    return [value for value in values if "[masked]" not in value]
