"""An event with all details of its request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from guardpanel.events.lines import parsed
from guardpanel.events.texts import legible
from guardpanel.events.words import Severity
from guardpanel.services.events.items import EventItem

BREAKS = "\n\r\t"
"Control characters that bodies keep."


@dataclass(frozen=True)
class RuleMatch:
    """A value that a rule inspected. `bytes` is the length of the whole value."""

    variable: str
    key: str
    value: str
    value_cut: bool
    chain: int
    bytes: int


@dataclass(frozen=True)
class FiredRule:
    id: int
    phase: int
    severity: Severity | None
    paranoia_level: int | None
    message: str
    data: str
    tags: tuple[str, ...]
    disrupts: bool
    matches: tuple[RuleMatch, ...]
    matches_cut: int
    "How many more there were."


@dataclass(frozen=True)
class ProxyWords:
    """What HAProxy's log contains about the request."""

    verdict: str
    status: int | None
    bytes: int | None
    milliseconds: int | None
    server: str
    "Empty: no server was chosen."
    peer: str
    "Who connected, or whom the PROXY protocol named: a proxy, if the client is someone else."
    country: str
    "Of the client, as HAProxy's data has it, or `--`. Empty: no policy asked."
    network: str
    user: str
    "Who logged in, if a login is required there."
    client_certificate: str
    "The subject, if the virtual host asks for client certificates and the visitor had one."
    scheme: str
    "The scheme that the visitor used."
    server_milliseconds: int | None
    ended: str
    "HAProxy's termination state, such as `PR--`."
    waf_error: str
    waf_milliseconds: str
    score: str
    rules: tuple[int, ...]
    partial: str
    "`request` or `response` if only the beginning of its body was inspected, `streamed` if none of the request's was."
    limit: str
    "`rate`, `at_once`, `errors` or `bytes`: the limit of the policy that the client exceeded."
    limit_key: str
    "What HAProxy's table counted it by."


@dataclass(frozen=True)
class EventDetail:
    """`item`, plus everything that the agent and HAProxy wrote. Without the agent's line, its fields are empty."""

    item: EventItem
    scores: Mapping[str, int]
    "CRS variables by name: `blocking_inbound_anomaly_score`, `inbound_anomaly_score_threshold`, …"
    rules: tuple[FiredRule, ...]
    "In the order in which they fired."
    rules_cut: int
    uri: str
    "Including the query."
    uri_cut: bool
    version: str
    headers: tuple[tuple[str, str], ...]
    headers_cut: bool
    body: str
    body_bytes: int
    "Of the whole body."
    body_cut: bool
    body_unread: bool
    "No rule inspected it, because of its content type."
    phase: str
    "`request`, or `response` if the response was inspected, too."
    crs_version: str
    "Of the rules that are named; empty in events of an agent before it."
    action: str
    deciding_rule: int | None
    response_status: int | None
    client_port: int | None
    proxy: ProxyWords | None
    agent_line: bytes | None
    "As the agent wrote it, for download."
    proxy_line: bytes | None

    @property
    def lines(self) -> bytes:
        """Those that there are, for download."""
        return b"".join(line.rstrip(b"\n") + b"\n" for line in (self.agent_line, self.proxy_line) if line)


def detail(item: EventItem, agent_line: bytes | None, proxy_line: bytes | None) -> EventDetail:
    """Parse both lines. They were validated when they were stored."""
    event = json.loads(agent_line) if agent_line else {}
    return EventDetail(
        item=item,
        scores=event.get("scores", {}),
        rules=tuple(_rule(rule) for rule in event.get("rules", ())),
        rules_cut=event.get("rules_cut", 0),
        uri=legible(event.get("uri", item.path)),
        uri_cut="uri_cut" in event,
        version=legible(event.get("version", "")),
        headers=tuple((legible(name), legible(value)) for name, value in event.get("headers", ())),
        headers_cut="headers_cut" in event,
        body=legible(event.get("body", ""), BREAKS),
        body_bytes=event.get("body_bytes", 0),
        body_cut="body_cut" in event,
        body_unread="body_unread" in event,
        phase=legible(event.get("phase", "")),
        crs_version=legible(event.get("crs", "")),
        action=legible(event.get("action", "")),
        deciding_rule=event.get("rule"),
        response_status=event.get("response_status"),
        client_port=event.get("client_port"),
        proxy=_proxy(json.loads(proxy_line)) if proxy_line else None,
        agent_line=agent_line,
        proxy_line=proxy_line,
    )


def _rule(rule: Mapping[str, Any]) -> FiredRule:
    level = rule.get("paranoia_level", "")
    return FiredRule(
        id=rule["id"],
        phase=rule.get("phase", 0),
        severity=Severity(rule["severity"]) if rule.get("severity") in set(Severity) else None,
        paranoia_level=int(level) if level.isdigit() else None,
        message=legible(rule.get("message", "")),
        data=legible(rule.get("data", "")),
        tags=tuple(legible(tag) for tag in rule.get("tags", ())),
        disrupts=bool(rule.get("disrupts")),
        matches=tuple(_match(match) for match in rule.get("matches", ())),
        matches_cut=rule.get("matches_cut", 0),
    )


def _match(match: Mapping[str, Any]) -> RuleMatch:
    return RuleMatch(
        variable=legible(match.get("variable", "")),
        key=legible(match.get("key", "")),
        value=legible(match.get("value", "")),
        value_cut="value_cut" in match,
        chain=match.get("chain", 0),
        bytes=match.get("bytes", 0),
    )


def _proxy(entry: Mapping[str, Any]) -> ProxyWords:
    server = entry.get("server", "")
    return ProxyWords(
        verdict=_word(entry, "verdict"),
        status=entry.get("status"),
        bytes=entry.get("bytes"),
        milliseconds=entry.get("milliseconds"),
        server="" if server.startswith("<") else legible(server),
        peer=_word(entry, "peer"),
        country=_word(entry, "country"),
        network=_word(entry, "network"),
        user=_word(entry, "user"),
        client_certificate=_word(entry, "client_certificate"),
        scheme=_word(entry, "scheme"),
        server_milliseconds=entry.get("server_milliseconds"),
        ended=_word(entry, "ended"),
        waf_error=_word(entry, "waf_error"),
        waf_milliseconds=_word(entry, "waf_milliseconds"),
        score=_word(entry, "score"),
        rules=rule_ids(entry.get("rules", "")),
        partial=_word(entry, "partial"),
        limit=_word(entry, "limit"),
        limit_key=_word(entry, "limit_key"),
    )


class _RuleMessage(msgspec.Struct):
    id: int
    message: str = ""


class _Rules(msgspec.Struct):
    rules: list[_RuleMessage] = []


RULES = msgspec.json.Decoder(_Rules)


def words_of(rule: int, agent_line: bytes | None) -> str:
    """The message of this rule in this event. It may differ between events, for example after the rule was edited."""
    if agent_line is None:
        return ""
    fired = parsed(agent_line, RULES).rules
    return next((legible(fired_rule.message) for fired_rule in fired if fired_rule.id == rule), "")


def _word(entry: Mapping[str, Any], name: str) -> str:
    """HAProxy writes `-` for an unset value."""
    text = legible(entry.get(name, ""))
    return "" if text == "-" else text


def rule_ids(text: str) -> tuple[int, ...]:
    """`942100,949110`, as the agent passes them to HAProxy."""
    return tuple(int(word) for word in text.replace(",", " ").split() if word.isascii() and word.isdigit())
