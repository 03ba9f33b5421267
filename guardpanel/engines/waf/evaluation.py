"""The WAF agent's response to `POST /v1/evaluate` (spoa/README.md): the verdict on a request, and why."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardpanel.engines import http
from guardpanel.errors import EngineUnavailable

PATIENCE_SECONDS = 30.0
"Seconds: the agent gives up after 10 of the processor, for which it waits while visitors want it."

AT_ONCE = 2
"Concurrent evaluations that the agent accepts (spoa/evaluate.go). A third would wait there anyway."

BUSY = 429
TRIES, BETWEEN = 200, 0.03
"How often, and after how many seconds, to retry while the agent evaluates for others."


@dataclass(frozen=True)
class Match:
    """A variable that a link of a rule matched."""

    variable: str
    key: str
    value: str
    chain: int


@dataclass(frozen=True)
class EvaluatedRule:
    """A fired rule that is reported: it detected something, or decided."""

    id: int
    phase: int
    paranoia_level: int | None
    message: str
    data: str
    tags: tuple[str, ...]
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class Evaluation:
    verdict: str
    "`pass`, `detected` or `blocked`."
    status: int
    "The status of the response to a blocked request, else 0."
    rule: int
    "The rule that blocked it, else 0."
    score: int
    threshold: int
    rules: tuple[EvaluatedRule, ...]

    @property
    def passes(self) -> bool:
        return self.verdict != "blocked"


async def evaluate(control: Path, directives: str, request: Mapping[str, Any]) -> Evaluation:
    """The verdict under these directives, which are compiled for it. Raises EngineUnavailable."""
    return parse(await _answer(control, {"directives": directives, "request": request}))


async def evaluate_live(control: Path, application: str, request: Mapping[str, Any]) -> Evaluation:
    """The verdict of a loaded application. Raises EngineUnavailable."""
    return parse(await _answer(control, {"application": application, "request": request}))


async def _answer(control: Path, question: Mapping[str, Any]) -> bytes:
    headers = {"host": "agent", "content-type": "application/json"}
    body = json.dumps(question).encode()
    for _ in range(TRIES):
        answer = await http.ask(control, "POST", "/v1/evaluate", headers=headers, body=body, timeout=PATIENCE_SECONDS)
        if answer.status != BUSY:
            break
        await asyncio.sleep(BETWEEN)
    if answer.status != 200:
        raise EngineUnavailable(f"The WAF agent could not evaluate the request: {_reason(answer)}.")
    return answer.body


def _reason(answer: http.Answer) -> str:
    try:
        facts = json.loads(answer.body)
        return str(facts.get("error") or facts["errors"][0]["message"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return f"it returned {answer.status}"


def parse(body: bytes) -> Evaluation:
    """Raises EngineUnavailable for anything but an evaluation."""
    try:
        facts = json.loads(body)
        inbound = facts["scores"]["inbound"]
        return Evaluation(
            verdict=str(facts["verdict"]),
            status=int(facts.get("status") or 0),
            rule=int((facts.get("interruption") or {}).get("rule_id") or 0),
            score=int(inbound["blocking"]),
            threshold=int(inbound["threshold"]),
            rules=tuple(_rule(each) for each in facts["rules"] if each["counted"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineUnavailable("The WAF agent returned an unexpected response.") from error


def _rule(fields: Mapping[str, Any]) -> EvaluatedRule:
    level = str(fields.get("paranoia_level") or "")
    return EvaluatedRule(
        id=int(fields["id"]),
        phase=int(fields["phase"]),
        paranoia_level=int(level) if level.isdigit() else None,
        message=str(fields["message"]),
        data=str(fields["data"]),
        tags=tuple(fields["tags"]),
        matches=tuple(
            Match(str(match["variable"]), str(match.get("key", "")), str(match["value"]), int(match["chain"]))
            for match in fields["matches"]
        ),
    )
