"""After a fix is saved: what is live lets such a request pass, and blocks attacks beside it."""

from dataclasses import dataclass
from urllib.parse import urlencode

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines.waf.evaluation import Evaluation
from guardpanel.errors import EngineUnavailable
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.rules.rule_exclusion import Target
from guardpanel.rendering import DesiredState
from guardpanel.rendering.coraza import applications, effective
from guardpanel.services.fixes.attacks import carrier, families, payloads
from guardpanel.services.fixes.blame import fields_in
from guardpanel.services.fixes.cases import Case, ground_now
from guardpanel.services.fixes.ladder import Ladder
from guardpanel.services.saving.changes import Changes

PATIENCE_SECONDS = 15.0
"Seconds for one attack to be answered."


@dataclass(frozen=True)
class LiveProof:
    passes: bool
    "Whether the live application lets the event's request pass."
    tried: int
    blocked: int
    problem: str = ""
    is_partial: bool = False
    "The event does not have the whole request: what it lacks was not tried."

    @property
    def holds(self) -> bool:
        return self.passes and self.blocked == self.tried and not self.problem

    @property
    def sentence(self) -> str:
        """`This request passes, 12 of 12 attacks next to it are blocked`, or `Not verified: …`"""
        if self.problem:
            return f"Not verified: {self.problem.rstrip('.')}"
        subject = "what the event has of this request" if self.is_partial else "this request"
        request = f"{subject} passes" if self.passes else f"{subject} is still blocked"
        next_to_it = f", {self.blocked} of {self.tried} attacks next to it are blocked" if self.tried else ""
        return (
            f"{request[:1].upper()}{request[1:]}{next_to_it}" if self.holds else f"Not verified: {request}{next_to_it}"
        )


MODES = (EnforcementMode.BLOCK, EnforcementMode.DETECT_ONLY, EnforcementMode.OFF)
"A virtual host and its paths may have the policy in different modes: the strictest is looked at."


async def prove(changes: Changes, session: AsyncSession, case: Case, ladder: Ladder) -> LiveProof:
    """Raises nothing: the fix is live, whatever can be shown of it."""
    try:
        return await _prove(changes, session, case, ladder)
    except EngineUnavailable as error:
        return LiveProof(passes=False, tried=0, blocked=0, problem=error.message)


async def _prove(changes: Changes, session: AsyncSession, case: Case, ladder: Ladder) -> LiveProof:
    ground = await ground_now(changes, session, case.ground.policy_id, case.ground.virtual_host_id)
    state = DesiredState.from_rows(ground.rows, ground.facts)
    keys = [key for _, host, _ in state.bound if (key := effective(state, host)) and key[0] == case.ground.policy_id]
    key = min(keys, key=lambda each: MODES.index(each[1]), default=None)
    name = applications(state)[0].get(key, "") if key else ""
    if not key or not name:
        return LiveProof(True, 0, 0, f"{case.virtual_host.name} is disabled, or its WAF is off.")
    evaluation = await changes.engines.agent.evaluate_live(name, ladder.request.question())
    passes = evaluation.score < evaluation.threshold and evaluation.passes
    if key[1] is not EnforcementMode.BLOCK:  # what is only detected would reach the servers
        return LiveProof(passes, 0, 0, is_partial=bool(case.request.gaps))
    tried, blocked = await _attack(changes, name, case, ladder)
    return LiveProof(passes, tried, blocked, is_partial=bool(case.request.gaps))


async def _attack(changes: Changes, application: str, case: Case, ladder: Ladder) -> tuple[int, int]:
    """A dozen through the public listener, in a query argument that no fix is for, on the path that it is for."""
    verifier = changes.engines.verifier
    headers = {"host": case.hostname, "x-gp-test": verifier.secret, "user-agent": "guardpanel", "accept": "*/*"}
    field = carrier(fields_in(ladder.blames))
    name = f"{field.name}_x" if field.target is Target.ARGUMENT else "guardpanel_x"
    path = case.request.uri.partition("?")[0]
    family = families([each.rule.id for each in ladder.blames])[0]
    blocked = 0
    for payload in payloads()[family]:
        target = f"{path}?{urlencode({name: payload})}"
        if (await _verdict(changes, application, target, headers)).passes:
            continue  # not sent: it would reach a server
        answer = await verifier.ask(verifier.binds[0], target, headers, timeout=PATIENCE_SECONDS)
        blocked += answer.headers.get("x-gp-verdict") == "blocked"
    return len(payloads()[family]), blocked


async def _verdict(changes: Changes, application: str, target: str, headers: dict[str, str]) -> Evaluation:
    sent = [[name, value] for name, value in headers.items() if name != "x-gp-test"]
    return await changes.engines.agent.evaluate_live(application, {"method": "GET", "uri": target, "headers": sent})
