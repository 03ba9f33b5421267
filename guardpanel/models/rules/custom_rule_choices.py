"""What a custom rule can do and compare, and which arguments its operators take."""

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv6Network, ip_network

from guardpanel.field_codes import FieldCode
from guardpanel.models.meta import Choice
from guardpanel.models.patterns import pattern
from guardpanel.models.refusing import refuse
from guardpanel.models.rules.seclang import can_be_quoted

LONGEST_ARGUMENT = 2_000


class RulePhase(Choice):
    REQUEST_HEADERS = "request_headers", "Request headers", "Before the body: ARGS holds query arguments only."
    REQUEST_BODY = "request_body", "Request body", "After the body: everything of the request."

    @property
    def number(self) -> int:
        return 1 if self is RulePhase.REQUEST_HEADERS else 2


class CustomAction(Choice):
    SCORE = "score", "Add points", "Blocks together with other rules, from the policy’s threshold on."
    BLOCK = "block", "Block", "Blocks at once while the policy blocks."
    ALLOW = "allow", "Allow", "No later rule inspects the request. While the policy only detects, they still do."
    LOG = "log", "Log only", "Shows the request in events."


class RuleSeverity(Choice):
    CRITICAL = "critical", "Critical"
    ERROR = "error", "Error"
    WARNING = "warning", "Warning"
    NOTICE = "notice", "Notice"


class Operator(Choice):
    """With Coraza's name for it."""

    RX = "rx", "Matches the pattern", "A regular expression. It matches anywhere: begin with ^ for the start."
    STREQ = "streq", "Is exactly"
    CONTAINS = "contains", "Contains"
    BEGINS_WITH = "begins_with", "Begins with"
    ENDS_WITH = "ends_with", "Ends with"
    WITHIN = "within", "Is part of", "The value occurs somewhere in this text."
    PM = "pm", "Contains one of the words", "Separated by spaces. Case is ignored."
    EQ = "eq", "Equals the number"
    GE = "ge", "Is at least"
    GT = "gt", "Is more than"
    LE = "le", "Is at most"
    LT = "lt", "Is less than"
    IP_MATCH = "ip_match", "Is an address in", "IP addresses and networks, separated by commas."
    DETECT_SQLI = "detect_sqli", "Looks like SQL injection"
    DETECT_XSS = "detect_xss", "Looks like XSS"
    ALWAYS = "always", "Is there", "Matches each value, whatever it is."

    @property
    def written(self) -> str:
        """Its name in SecLang."""
        return WRITTEN[self]


WRITTEN: Mapping[Operator, str] = {operator: operator.value for operator in Operator} | {
    Operator.BEGINS_WITH: "beginsWith", Operator.ENDS_WITH: "endsWith", Operator.IP_MATCH: "ipMatch",
    Operator.DETECT_SQLI: "detectSQLi", Operator.DETECT_XSS: "detectXSS", Operator.ALWAYS: "unconditionalMatch",
}  # fmt: skip

OPERATORS: Mapping[str, Operator] = {written.lower(): operator for operator, written in WRITTEN.items()}
"By their names in SecLang, which Coraza takes in any case."

WITHOUT_ARGUMENT = {Operator.DETECT_SQLI, Operator.DETECT_XSS, Operator.ALWAYS}
NUMERIC = {Operator.EQ, Operator.GE, Operator.GT, Operator.LE, Operator.LT}


def known_argument(operator: Operator, text: str) -> str:
    """The argument in the form in which it is stored. Refuses what Coraza would read otherwise, or not at all."""
    if operator in WITHOUT_ARGUMENT:
        return ""
    if not text:
        raise refuse("Enter what to compare with.")
    if len(text) > LONGEST_ARGUMENT:
        raise refuse(f"At most {LONGEST_ARGUMENT:,} characters; this has {len(text):,}.", FieldCode.TOO_LONG)
    text = CHECKS.get(operator, _text)(text)
    if not can_be_quoted(text):
        raise refuse("SecLang can’t hold a backslash before a double quote or at the end. Use a pattern: \\x5c.")
    return text


def _text(text: str) -> str:
    if "%{" in text:
        raise refuse("SecLang would put a variable in place of %{…}. Use a pattern: %\\{.")
    return text


def _pattern(text: str) -> str:
    pattern(text, LONGEST_ARGUMENT)
    if re.search(r"\\x[89A-Fa-f][0-9A-Fa-f]", re.sub(r"\\\\", "", text)):
        raise refuse("Coraza reads \\x80 and above as single bytes. Type the character itself.")
    return re.sub(r'(?<!\\)((?:\\\\)*)\\"', r'\1"', text)


def _words(text: str) -> str:
    if capital := next((sign for sign in text if not sign.isascii() and sign != sign.lower()), None):
        raise refuse(f"Coraza ignores the case of ASCII letters only: {capital} would never match. Use a pattern.")
    return " ".join(text.split())


def _number(text: str) -> str:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise refuse("Enter a whole number.", FieldCode.WRONG_TYPE)
    return str(int(text))


def _networks(text: str) -> str:
    return ",".join(_network(part.strip()) for part in text.split(","))


def _network(text: str) -> str:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise refuse(f"{text[:60] or 'An empty entry'} is not an IP address or network.") from None
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
        raise refuse(f"Enter the IPv4 address instead of {text[:60]}.")
    return str(network) if network.num_addresses > 1 else str(network.network_address)


CHECKS: Mapping[Operator, Callable[[str], str]] = {
    Operator.RX: _pattern, Operator.PM: _words, Operator.IP_MATCH: _networks, **dict.fromkeys(NUMERIC, _number),
}  # fmt: skip
