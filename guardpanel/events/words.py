"""The words of an event, and the numbers that stand for them in the file. A number is never given to another word."""

from enum import StrEnum


class Verdict(StrEnum):
    """What became of the request."""

    BLOCKED = "blocked"
    "The WAF stopped it."
    DETECTED = "detected"
    "Rules fired, and it passed."
    UNKNOWN_HOST = "unknown_host"
    "421: no virtual host has this name."
    TOO_LARGE = "too_large"
    "413: its body was over the policy's limit."
    TOO_LARGE_PASSED = "too_large_passed"
    "Its body was over the policy's limit and passed without being looked at, as the policy says."
    AGENT_ERROR = "agent_error"
    "503: the WAF gave no verdict, and the policy fails closed."
    FAIL_OPEN = "fail_open"
    "The WAF gave no verdict, and the request passed as the policy says."
    TOO_SLOW = "too_slow"
    "408: its body did not come in the policy's time."
    TOO_SLOW_PASSED = "too_slow_passed"
    "Its body did not come in the policy's time; it passed, and at most what had come was looked at."
    TRAILERS = "trailers"
    "400: fields came after its body, which no rule on headers would see."


VERDICTS = {
    1: Verdict.BLOCKED,
    2: Verdict.DETECTED,
    3: Verdict.UNKNOWN_HOST,
    4: Verdict.TOO_LARGE,
    5: Verdict.TOO_LARGE_PASSED,
    6: Verdict.AGENT_ERROR,
    7: Verdict.FAIL_OPEN,
    20: Verdict.TOO_SLOW,
    21: Verdict.TOO_SLOW_PASSED,
    22: Verdict.TRAILERS,
}

VERDICT_CODES = {verdict: code for code, verdict in VERDICTS.items()}


class Severity(StrEnum):
    """Of a rule, as CRS names it; of an event, the worst of its rules'."""

    EMERGENCY = "emergency"
    ALERT = "alert"
    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"
    INFO = "info"
    DEBUG = "debug"


SEVERITIES = dict(enumerate(Severity))
"By syslog's numbers: the smaller, the worse."

SEVERITY_CODES = {severity: code for code, severity in SEVERITIES.items()}
