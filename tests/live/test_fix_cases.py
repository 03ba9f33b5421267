"""The ladder for what ordinary applications send: the narrowest rung that works frees the request, and nothing beside it."""

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.engines.waf.evaluation import Evaluation, evaluate
from guardpanel.services.fixes.attacks import payloads
from guardpanel.services.fixes.drafts import Draft, Ground, ground_of
from guardpanel.services.fixes.ladder import Climb, Ladder
from guardpanel.services.fixes.requests import Request
from tests.live.fixing import IS_LONG
from tests.live.judging import EvaluatedRequest, Judge, a_form
from tests.live.test_false_positives import CASES, Case, evaluated
from tests.rows import FACTS, rows
from tests.rule_set import rule_set

HOST = {"blog.example": {"policy": "Blocks", "servers": [{"address": "127.0.0.1:80"}]}}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(rows({"Any": {}}, {})) as running:
        yield running


def a_request(sent: EvaluatedRequest) -> Request:
    headers = tuple((name, value) for name, value in sent["headers"])
    body = base64.b64decode(sent["body"])
    return Request(sent["client"], sent["method"], sent["uri"], sent["version"], headers, body)


class Trial:
    """A case before its ladder."""

    def __init__(self, judge: Judge, case: Case) -> None:
        policy = {"enforcement_mode": "block", **case["policy"]}
        self.judge, self.request = judge, a_request(evaluated(case["request"], {}))
        readings = [{"policy": "Blocks", **reading} for reading in case.get("readings", ())]
        self.ground: Ground = ground_of(rows({"Blocks": policy}, HOST, readings=readings), FACTS, 1, 1)

    async def under(self, draft: Draft, request: dict[str, Any] | None = None) -> Evaluation:
        directives = self.ground.directives(draft)
        return await evaluate(self.judge.control, directives, request or self.request.question())

    async def ladder(self) -> Ladder:
        turn = asyncio.Lock()

        async def judged(draft: Draft) -> Evaluation:
            async with turn:
                return await self.under(draft)

        before = await judged(Draft())
        readings = self.ground.rows.get("bodyreading", ())
        climb = Climb(self.request, self.ground.rows["policy"][0], None, judged, rule_set(), before, readings)
        return climb.ladder(await climb.rungs())


@pytest.mark.parametrize(
    "case", CASES if IS_LONG else CASES[::2], ids=lambda case: f"{case['application']}: {case['name']}"
)
def test_the_narrowest_rung_passes_only_its_request(judge: Judge, case: Case) -> None:
    async def tried() -> tuple[Ladder, list[str]]:
        trial = Trial(judge, case)
        ladder = await trial.ladder()
        assert ladder.chosen is not None
        draft = ladder.chosen.draft
        verdicts = [
            await trial.under(draft, evaluated(case["request"], neighbor["change"])) for neighbor in case["neighbours"]
        ]
        return ladder, [each.verdict for each in verdicts]

    ladder, neighbours = asyncio.run(tried())

    assert ladder.before.verdict == "blocked"
    assert ladder.chosen is not None and ladder.chosen.evaluation is not None and ladder.chosen.evaluation.passes
    assert neighbours == [neighbor["expect"] for neighbor in case["neighbours"]]


@pytest.mark.parametrize("family", payloads())
def test_each_attack_is_blocked_by_a_rule_of_its_family(judge: Judge, family: str) -> None:
    async def judged() -> list[Evaluation]:
        ground = ground_of(rows({"Blocks": {"enforcement_mode": "block"}}, HOST), FACTS, 1, 1)
        questions = [a_request(a_form("/x", {"q": payload})).question() for payload in payloads()[family]]
        return [await evaluate(judge.control, ground.directives(Draft()), question) for question in questions]

    answers = dict(zip(payloads()[family], asyncio.run(judged()), strict=True))

    assert [text for text, answer in answers.items() if answer.verdict != "blocked"] == []
    fired = {text: {str(rule.id)[:3] for rule in answer.rules} for text, answer in answers.items()}
    assert [text for text, families in fired.items() if family not in families] == []


UNSAYABLE = [
    ("P'X|Y", "application/json"), ("P" * 120, "application/json"), ("get", "application/json"),
    ("POST", "application/x\"'y"), ("POST", "application/%{tx.x}"), ("POST", "foo"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "kind"), UNSAYABLE)
def test_what_a_policy_cannot_allow_is_no_setting_of_the_ladder(judge: Judge, method: str, kind: str) -> None:
    headers = {"host": "blog.example", "user-agent": "Mozilla/5.0", "accept": "*/*", "content-type": kind}

    async def tried() -> Ladder:
        trial = Trial(judge, CASES[0])
        trial.request = Request("203.0.113.7", method, "/a", "1.1", (*headers.items(), ("content-length", "2")), b"{}")
        return await trial.ladder()

    ladder = asyncio.run(tried())

    assert ladder.before.verdict == "blocked"
    assert [dict(rung.draft.policy) for rung in ladder.rungs if rung.draft.policy] == []
    assert ladder.chosen is not None
