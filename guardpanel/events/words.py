"""The vocabulary of events, and the numbers that represent it in the database. A number is never reused."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """What happened to the request."""

    BLOCKED = "blocked"
    "Blocked by the WAF."
    DETECTED = "detected"
    "Rules fired, and it passed."
    UNKNOWN_HOST = "unknown_host"
    "421: no enabled virtual host has this name."
    TOO_LARGE = "too_large"
    "413: its body exceeded the policy's limit."
    TOO_LARGE_PASSED = "too_large_passed"
    "Its body exceeded the policy's limit, and it passed uninspected, as the policy says."
    AGENT_ERROR = "agent_error"
    "503: the WAF gave no verdict, and the policy fails closed."
    FAIL_OPEN = "fail_open"
    "The WAF gave no verdict, and the request passed as the policy says."
    TOO_SLOW = "too_slow"
    "408: its body did not arrive in the policy's time."
    TOO_SLOW_PASSED = "too_slow_passed"
    "Its body did not arrive in the policy's time. It passed, and at most what had arrived was inspected."
    TRAILERS = "trailers"
    "400: fields followed its body, which rules on headers would not see."
    NO_LENGTH = "no_length"
    "411: its body would pass in parts, and this HAProxy cannot see fields after it. Over HTTP/2, they can follow any body."
    CROWDED = "crowded"
    "503: visitors used all connections available to them."
    GREEDY = "greedy"
    "429: its client had too many requests in progress."
    TOO_MANY_BODIES = "too_many_bodies"
    "503: too many large bodies were being inspected and the policy fails closed, or too many large responses were in transit."
    BANNED = "banned"
    "403: its client was banned."
    ON_DENY_LIST = "on_deny_list"
    "403: its client is on a deny list."
    NOT_ON_LIST = "not_on_list"
    "403: its client is not on a list that allows only some."
    LIMITED = "limited"
    "429: its client was over a limit of the policy."
    LIMITED_PASSED = "limited_passed"
    "Its client was over a limit of the policy, which only detects."
    COUNTRY = "country"
    "403: its client is from a country that the policy keeps out."
    NETWORK = "network"
    "403: its client is from a network that the policy keeps out."
    GEO_PASSED = "geo_passed"
    "Its client is from where the policy keeps clients out, but it only detects."
    LOGIN_FAILED = "login_failed"
    "401: its user name or password was wrong."
    UNDELIVERED = "undelivered"
    "HAProxy could not deliver it, for a `Reason`, and there is nothing else to report."


class Outcome(StrEnum):
    """What a verdict means for the visitor."""

    DENIED = "denied"
    WATCHED = "watched"
    PASSED = "passed"


class VerdictWords(NamedTuple):
    """Everything about a verdict. To add one: a line in VERDICT_TABLE, and HAProxy's word for it in ingest/proxy_line.py."""

    code: int
    "In the database. Never reused."
    outcome: Outcome
    label: str
    "For filters and chips."
    line: str
    "For lists, if no rule has a message."
    sentence: str
    "For the event's page. Empty if it depends on the event."
    icon: str
    tone: str


VERDICT_TABLE: Mapping[Verdict, VerdictWords] = {
    Verdict.BLOCKED: VerdictWords(1, Outcome.DENIED, "Blocked", "Blocked by the WAF", "", "ban", "tone-accent"),
    Verdict.DETECTED: VerdictWords(2, Outcome.WATCHED, "Detected", "Detected by the WAF", "", "eye", "tone-warn"),
    Verdict.UNKNOWN_HOST: VerdictWords(
        3, Outcome.DENIED, "Unknown host", "No virtual host matches this hostname",
        "Rejected. No enabled virtual host matches this hostname.", "globe", "tone-quiet"),
    Verdict.TOO_LARGE: VerdictWords(
        4, Outcome.DENIED, "Too large, rejected", "The body exceeds the policy’s limit",
        "Rejected. The body exceeds the policy’s limit.", "ban", "tone-accent"),
    Verdict.TOO_LARGE_PASSED: VerdictWords(
        5, Outcome.PASSED, "Too large, passed", "The body exceeded the limit and was not inspected",
        "Passed. The body exceeded the limit and was not inspected.", "triangle-alert", "tone-warn"),
    Verdict.AGENT_ERROR: VerdictWords(
        6, Outcome.DENIED, "No verdict, rejected", "The WAF gave no verdict, and the request was rejected",
        "Rejected. The WAF gave no verdict.", "circle-x", "tone-bad"),
    Verdict.FAIL_OPEN: VerdictWords(
        7, Outcome.PASSED, "No verdict, passed", "The WAF gave no verdict, and the request passed",
        "Passed. The WAF gave no verdict.", "triangle-alert", "tone-warn"),
    Verdict.TOO_SLOW: VerdictWords(
        20, Outcome.DENIED, "Too slow, rejected", "The body arrived too slowly",
        "Rejected. The body did not arrive within the policy’s time.", "ban", "tone-accent"),
    Verdict.TOO_SLOW_PASSED: VerdictWords(
        21, Outcome.PASSED, "Too slow, passed", "The body arrived too slowly and was not fully inspected",
        "Passed. The body did not arrive within the policy’s time and was not fully inspected.", "triangle-alert", "tone-warn"),
    Verdict.TRAILERS: VerdictWords(
        22, Outcome.DENIED, "Trailers, rejected", "Header fields after the body (trailers)",
        "Rejected. Header fields after the body (trailers) can’t be inspected.", "ban", "tone-accent"),
    Verdict.NO_LENGTH: VerdictWords(
        23, Outcome.DENIED, "Unchecked end, rejected", "The body would pass in parts and can’t be checked for trailers",
        "Rejected. The body would pass in parts, and this HAProxy can’t check it for trailers.", "ban", "tone-accent"),
    Verdict.CROWDED: VerdictWords(
        30, Outcome.DENIED, "Too many connections", "The connection limit was reached",
        "Rejected. The connection limit was reached.", "circle-x", "tone-bad"),
    Verdict.GREEDY: VerdictWords(
        31, Outcome.DENIED, "Too many requests", "The client had too many requests in progress",
        "Rejected. The client had too many requests in progress.", "ban", "tone-accent"),
    Verdict.TOO_MANY_BODIES: VerdictWords(
        32, Outcome.DENIED, "Too many bodies", "Too many large bodies at a time",
        "Rejected. Too many large bodies were in progress.", "circle-x", "tone-bad"),
    Verdict.BANNED: VerdictWords(
        40, Outcome.DENIED, "Banned", "The client was banned", "Rejected. The client was banned.", "ban", "tone-accent"),
    Verdict.ON_DENY_LIST: VerdictWords(
        41, Outcome.DENIED, "On a deny list", "The client is on a deny list", "Rejected. The client is on a deny list.",
        "ban", "tone-accent"),
    Verdict.NOT_ON_LIST: VerdictWords(48, Outcome.DENIED, "Not on the list", "The client is not on a list that allows only some",
        "Rejected. A list allows only some clients, and not this one.", "ban", "tone-accent"),
    Verdict.LIMITED: VerdictWords(
        42, Outcome.DENIED, "Over the limit, rejected", "The client exceeded the policy’s client limits",
        "Rejected. The client exceeded the policy’s client limits.", "ban", "tone-accent"),
    Verdict.LIMITED_PASSED: VerdictWords(
        43, Outcome.PASSED, "Over the limit, passed", "The client exceeded the policy’s client limits",
        "Passed. The client exceeded the policy’s client limits, and the policy only detects.", "triangle-alert", "tone-warn"),
    Verdict.COUNTRY: VerdictWords(
        44, Outcome.DENIED, "Country, rejected", "The policy rejects clients from this country",
        "Rejected. The policy rejects clients from this country.", "ban", "tone-accent"),
    Verdict.NETWORK: VerdictWords(
        45, Outcome.DENIED, "Network, rejected", "The policy rejects clients from this network",
        "Rejected. The policy rejects clients from this network.", "ban", "tone-accent"),
    Verdict.GEO_PASSED: VerdictWords(
        46, Outcome.PASSED, "Country or network, passed", "The policy would reject clients from this country or network",
        "Passed. The policy rejects clients from this country or network only in mode Block.", "triangle-alert", "tone-warn"),
    Verdict.LOGIN_FAILED: VerdictWords(
        47, Outcome.DENIED, "Login failed", "Wrong user name or password", "Rejected. The user name or password was wrong.",
        "ban", "tone-accent"),
    Verdict.UNDELIVERED: VerdictWords(
        10, Outcome.DENIED, "Not delivered", "HAProxy could not deliver it", "", "circle-arrow-down", "tone-quiet"),
}  # fmt: skip

VERDICT_CODES = {verdict: words.code for verdict, words in VERDICT_TABLE.items()}
VERDICTS = {code: verdict for verdict, code in VERDICT_CODES.items()}


class Kind(StrEnum):
    """What an event is about."""

    SECURITY = "security"
    "A rule fired, or HAProxy rejected or passed the request because of its content."
    DELIVERY = "delivery"
    "HAProxy could not deliver it, whatever else happened."


class Reason(StrEnum):
    """Why HAProxy itself ended a request before the server had responded (events/reasons.py)."""

    NO_SERVER = "no_server"
    SERVER_REFUSED = "server_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    QUEUE_FULL = "queue_full"
    SERVER_CLOSED = "server_closed"
    BAD_RESPONSE = "bad_response"
    SERVER_TIMEOUT = "server_timeout"
    CLIENT_ABORTED = "client_aborted"
    CLIENT_TIMEOUT = "client_timeout"
    MALFORMED = "malformed"
    TOO_LONG = "too_long"
    NO_RESOURCES = "no_resources"
    ENDED = "ended"
    MAINTENANCE = "maintenance"
    REFUSED = "refused"
    NO_PROXY_HEADER = "no_proxy_header"
    NO_CLIENT_CERTIFICATE = "no_client_certificate"
    AMBIGUOUS_PATH = "ambiguous_path"
    MISDIRECTED = "misdirected"


class ReasonWords(NamedTuple):
    code: int
    "In the database. Never reused."
    line: str
    "For lists and filters."
    sentence: str

    @property
    def chip(self) -> str:
        """`Rejected` or `Not delivered`: the first words of the sentence."""
        return self.sentence.partition(".")[0]


REASON_TABLE: Mapping[Reason, ReasonWords] = {
    Reason.NO_SERVER: ReasonWords(1, "No server up", "Not delivered. No server was up."),
    Reason.SERVER_REFUSED: ReasonWords(2, "Server refused the connection", "Not delivered. The server refused the connection."),
    Reason.CONNECT_TIMEOUT: ReasonWords(3, "Server did not accept in time", "Not delivered. The server did not accept in time."),
    Reason.QUEUE_FULL: ReasonWords(4, "Waited too long for a server", "Not delivered. No server was free in time."),
    Reason.SERVER_CLOSED: ReasonWords(5, "Server closed without response", "Not delivered. The server sent no response."),
    Reason.BAD_RESPONSE: ReasonWords(6, "Server’s response is not HTTP", "Not delivered. The server’s response is not HTTP."),
    Reason.SERVER_TIMEOUT: ReasonWords(7, "Server timed out", "Not delivered. The server did not respond in time."),
    Reason.CLIENT_ABORTED: ReasonWords(8, "Client disconnected", "Not delivered. The client disconnected before the response."),
    Reason.CLIENT_TIMEOUT: ReasonWords(9, "Request did not arrive in time", "Rejected. The request did not arrive in time."),
    Reason.MALFORMED: ReasonWords(10, "Malformed request", "Rejected. HAProxy can’t process this request."),
    Reason.TOO_LONG: ReasonWords(11, "URL or headers too long", "Rejected. The URL or the headers are too long."),
    Reason.NO_RESOURCES: ReasonWords(12, "HAProxy was out of resources", "Not delivered. HAProxy was out of resources."),
    Reason.ENDED: ReasonWords(13, "HAProxy ended the connection", "Not delivered. HAProxy ended the connection."),
    Reason.MAINTENANCE: ReasonWords(14, "Maintenance page", "Not delivered. The virtual host was in maintenance."),
    Reason.REFUSED: ReasonWords(15, "Rejected by HAProxy", "Rejected. HAProxy does not accept this request."),
    Reason.NO_PROXY_HEADER: ReasonWords(
        16, "No PROXY header", "Rejected. The listener requires the PROXY protocol, and this connection did not use it."),
    Reason.NO_CLIENT_CERTIFICATE: ReasonWords(
        17, "No client certificate", "Rejected. The virtual host requires a client certificate, and this connection had none."),
    Reason.AMBIGUOUS_PATH: ReasonWords(
        18, "Ambiguous path", "Rejected. The virtual host has path bindings, and servers read this path in different ways."),
    Reason.MISDIRECTED: ReasonWords(
        19, "Not served on this connection",
        "Rejected. HTTPS is off for this hostname, or the connection’s TLS handshake was for another one with other conditions."),
}  # fmt: skip

REASON_CODES = {reason: words.code for reason, words in REASON_TABLE.items()}
REASONS = {code: reason for reason, code in REASON_CODES.items()}


class Severity(StrEnum):
    """A rule's severity, as CRS names it. An event's is that of its worst rule."""

    EMERGENCY = "emergency"
    ALERT = "alert"
    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"
    INFO = "info"
    DEBUG = "debug"


SEVERITIES = dict(enumerate(Severity))
"Syslog numbers: the smaller, the worse."

SEVERITY_CODES = {severity: code for code, severity in SEVERITIES.items()}
