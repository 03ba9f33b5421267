"""Test requests: what a virtual host really does with a request that is sent through the public listener, like a visitor's.

It is marked with the installation's secret, so that the agent does not count it as an attack and HAProxy returns its verdict in
headers that only the panel gets.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from guardpanel.engines import http
from guardpanel.errors import EngineUnavailable
from guardpanel.events.crs import is_reporting
from guardpanel.models import Policy, VirtualHost
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.services.saving.changes import Changes

PROBE_RULES = range(190000, 190200)


REDIRECTS = (301, 302, 307, 308)
NO_SERVER = (None, "", "-", "<NOSRV>")


class Kind(StrEnum):
    CLEAN = "clean"
    ATTACK = "attack"


TARGETS = {Kind.CLEAN: "/", Kind.ATTACK: "/?id=1%27%20OR%20%271%27=%271"}
REQUEST_LINES = {Kind.CLEAN: "GET /", Kind.ATTACK: "GET /?id=1' OR '1'='1"}


@dataclass(frozen=True)
class Rule:
    id: int
    message: str


@dataclass(frozen=True)
class Trial:
    """A request and its response. `ok`: the outcome is what the policy prescribes."""

    kind: Kind
    ok: bool
    sentence: str
    request_line: str
    status: int | None
    milliseconds: int
    server: str
    score: int | None
    threshold: int | None
    rules: tuple[Rule, ...]
    application: str
    request_id: str
    at: datetime

    @property
    def title(self) -> str:
        """The result: `Test attack blocked`."""
        return self.sentence.partition(": ")[0]

    @property
    def outcome(self) -> str:
        """The details: `403 in 2 ms`."""
        return self.sentence.partition(": ")[2]


async def send(
    changes: Changes, virtual_host: VirtualHost, policy: Policy | None, kind: Kind, mode: EnforcementMode | None = None
) -> Trial:
    """Send it to the first public listener with the virtual host's name. `policy`, `mode`: of its home page. Raises nothing."""
    verifier = changes.engines.verifier
    name = next((row.name for row in virtual_host.hostnames if not row.name.startswith("*.")), None)
    name = name or virtual_host.hostnames[0].name.replace("*.", "www.", 1)
    try:
        headers = {"host": name, "x-gp-test": verifier.secret, "user-agent": "guardpanel", "accept": "*/*"}
        answer = await verifier.ask(verifier.binds[0], TARGETS[kind], headers, timeout=15.0)
    except EngineUnavailable as error:
        return _trial(kind, False, error.message, None, policy, (), None)
    rules = await _rules(changes, answer)
    ok, sentence = _judged(kind, answer, mode or virtual_host.mode_under(policy), policy)
    return _trial(kind, ok, sentence, answer, policy, rules, _number(answer, "x-gp-score"))


def _judged(kind: Kind, answer: http.Answer, mode: EnforcementMode, policy: Policy | None) -> tuple[bool, str]:
    """Whether the outcome is what the policy prescribes, and a sentence about it."""
    took = f"{answer.status} in {round(1000 * answer.seconds)} ms"
    header = answer.headers.get
    blocked = header("x-gp-verdict") == "blocked"
    name = "Clean request" if kind is Kind.CLEAN else "Test attack"
    if "x-gp-checksum" not in answer.headers:
        return False, f"{name}: {took}; the response did not come from guardpanel’s HAProxy"
    if header("x-gp-verdict") == "unjudged":
        return False, f"{name}: {took}; the WAF agent gave no verdict"
    if header("x-gp-verdict") == "maintenance":
        return True, f"{name}: {took}; maintenance page"
    if blocked:
        return kind is Kind.ATTACK and mode is EnforcementMode.BLOCK, f"{name} blocked: {took}"
    if answer.status in REDIRECTS and header("x-gp-server") in NO_SERVER:
        return True, f"{name} redirected: {took}"
    if header("x-gp-server") in NO_SERVER:
        return False, f"{name}: {took}; no server responded"
    if kind is Kind.CLEAN:
        return answer.status < 500, f"{name} passed: {took}"
    if mode is EnforcementMode.OFF:
        return True, f"{name} not inspected: {took}; the WAF is off"
    if mode is EnforcementMode.DETECT_ONLY:
        would = policy is not None and (_number(answer, "x-gp-score") or 0) >= policy.inbound_anomaly_threshold
        if would:
            return True, f"{name} detected, not blocked: {took}; Block would stop it"
        return False, f"{name} not detected: {took}; Block would not stop it"
    return False, f"{name} not blocked: {took}; its score is below the threshold"


async def _rules(changes: Changes, answer: http.Answer) -> tuple[Rule, ...]:
    """The rules that fired, with the agent's messages if available."""
    ids = [int(part) for part in answer.headers.get("x-gp-rules", "").split(",") if part.isdigit()]
    ids = [rule_id for rule_id in ids if not is_reporting(rule_id) and rule_id not in PROBE_RULES]
    words: dict[int, str] = {}
    if ids:
        try:
            words = await changes.engines.agent.rule_messages(answer.headers.get("x-gp-application", ""))
        except (EngineUnavailable, ValueError):
            words = {}
    return tuple(Rule(rule_id, words.get(rule_id, "")) for rule_id in dict.fromkeys(ids))


def _trial(
    kind: Kind, ok: bool, sentence: str, answer: http.Answer | None, policy: Policy | None, rules: tuple[Rule, ...],
    score: int | None,
) -> Trial:  # fmt: skip
    server = answer.headers.get("x-gp-server", "") if answer else ""
    return Trial(
        kind=kind,
        ok=ok,
        sentence=sentence,
        request_line=REQUEST_LINES[kind],
        status=answer.status if answer else None,
        milliseconds=round(1000 * answer.seconds) if answer else 0,
        server="" if server in {"-", "<NOSRV>"} else server,
        score=score,
        threshold=policy.inbound_anomaly_threshold if policy else None,
        rules=rules,
        application=answer.headers.get("x-gp-application", "") if answer else "",
        request_id=answer.headers.get("x-gp-request-id", "") if answer else "",
        at=datetime.now(UTC),
    )


def _number(answer: http.Answer, name: str) -> int | None:
    value = answer.headers.get(name, "")
    return int(value) if value.isdigit() else None
