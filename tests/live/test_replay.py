"""Many requests through `POST /v1/replay` of the real agent, as the panel asks for them."""

from collections.abc import Iterator

import pytest

from guardpanel.engines.waf.replaying import ReplayVerdict, RuleSetChoice, replay
from guardpanel.errors import EngineUnavailable
from tests.live.judging import EvaluatedRequest, Judge, a_form, a_request
from tests.rows import rows

pytestmark = [pytest.mark.anyio, pytest.mark.one_haproxy]

ATTACK = "<script>alert(1)</script>"

RULES = rows(
    {"Strict": {"enforcement_mode": "block"}, "Watch": {}},
    {
        "blog.example": {"servers": [{"address": "192.0.2.1"}], "policy": "Strict"},
        "shop.example": {"servers": [{"address": "192.0.2.1"}], "policy": "Watch"},
    },
)


def both(judge: Judge) -> list[RuleSetChoice]:
    return [RuleSetChoice(application=judge.applications[number]) for number in (1, 2)]


async def test_each_request_gets_a_verdict_under_each_rule_set_in_order() -> None:
    requests = [a_request("GET", "/"), a_form("/posts", {"text": ATTACK})] * 20
    with Judge(RULES) as judge:
        answers = [answer async for answer in replay(judge.control, both(judge), requests)]
        evaluated = [judge.says(request) for request in requests[:2]]

    assert [[each.verdict for each in answer.verdicts] for answer in answers] == [
        ["pass", "pass"],
        ["blocked", "detected"],
    ] * 20
    for answer, evaluation in zip(answers[:2], evaluated, strict=True):
        assert answer.verdicts[0] == ReplayVerdict(
            evaluation["verdict"], evaluation.get("status", 0), evaluation["anomaly_score"],
            evaluation["scores"]["inbound"]["threshold"], tuple(int(each) for each in evaluation["rule_ids"]),
        )  # fmt: skip


async def test_bytes_of_an_event_that_are_no_text_arrive_as_they_were() -> None:
    odd = a_request("GET", "/", x_odd=b"caf\xe9 \xff".decode("utf-8", "surrogateescape"))
    draft = RuleSetChoice(
        directives='SecRuleEngine On\nSecRule REQUEST_HEADERS:x-odd "@rx ^caf\\xe9 \\xff$" "id:190001,phase:1,deny,msg:\'odd\'"\n'
    )
    with Judge(RULES) as judge:
        answers = [answer async for answer in replay(judge.control, [draft], [odd, a_request("GET", "/")])]

    assert [answer.verdicts[0].verdict for answer in answers] == ["blocked", "pass"]


async def test_a_request_that_cannot_be_judged_says_why_and_spoils_no_other() -> None:
    broken: EvaluatedRequest = {**a_request("GET", "/"), "client": "nobody"}
    with Judge(RULES) as judge:
        answers = [answer async for answer in replay(judge.control, both(judge), [broken, a_request("GET", "/")])]

    assert "client is not an IP address" in answers[0].error
    assert answers[0].verdicts == ()
    assert [each.verdict for each in answers[1].verdicts] == ["pass", "pass"]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (RuleSetChoice(application="p000000000000"), "application not found"),
        (RuleSetChoice(directives="SecNonsense On"), "secnonsense"),
        (RuleSetChoice(), "either application or directives is required"),
    ],
)
async def test_a_rule_set_that_cannot_be_had_is_said_before_any_request_is_sent(
    choice: RuleSetChoice, message: str
) -> None:
    sent = iter([a_request("GET", "/")])
    with Judge(RULES) as judge, pytest.raises(EngineUnavailable) as refused:
        [_ async for _ in replay(judge.control, [choice], sent)]

    assert message in refused.value.message
    assert len(list(sent)) == 1


async def test_an_agent_that_ends_is_no_end_of_the_replay() -> None:
    async def killed(judge: Judge) -> None:
        async for _ in replay(judge.control, both(judge), iter(lambda: a_request("GET", "/"), None)):
            judge.process.kill()

    with Judge(RULES) as judge, pytest.raises(EngineUnavailable):
        await killed(judge)


async def test_what_fails_while_requests_are_given_is_no_fault_of_the_agent() -> None:
    def requests() -> Iterator[EvaluatedRequest]:
        yield a_request("GET", "/")
        raise LookupError("no more")

    with Judge(RULES) as judge, pytest.raises(LookupError):
        [_ async for _ in replay(judge.control, both(judge), requests())]
