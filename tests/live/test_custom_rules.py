"""What custom rules do to requests, judged by the real agent, and by visitors through HAProxy."""

import asyncio
import subprocess
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from pydantic import ValidationError

from guardpanel.engines.waf.agent_refusals import rejected
from guardpanel.engines.waf.evaluation import evaluate
from guardpanel.models.rules.custom_rule import CustomRuleFields
from guardpanel.rendering import DesiredState, render
from guardpanel.services.custom_rules import copy_of
from guardpanel.services.fixes.drafts import Draft, ground_of
from guardpanel.services.trials.pasted_requests import read_request
from tests.corpus import CORPUS
from tests.live.judging import EvaluatedRequest, Judge, a_form, a_json, a_request
from tests.live.origins import Origin
from tests.live.stack import Stack, agent_binary
from tests.rows import FACTS, rows
from tests.rule_set import rule_set

BLOCKING: dict[str, dict[str, Any]] = {"Strict": {"enforcement_mode": "block", "inbound_anomaly_threshold": 5}}

NUMBERS = iter(range(9_000_001, 9_099_999))


def rule(variables: str, operator: str, argument: str = "", **others: Any) -> dict[str, Any]:
    return {"policy": "Strict", "rule_id": next(NUMBERS), "name": "Mine", "variables": variables, "operator": operator,
            "operator_argument": argument, "action": "log", **others}  # fmt: skip


Tried = tuple[Any, list[EvaluatedRequest], list[EvaluatedRequest]]
"A rule, requests that it matches, and others."


def get(query: str, **headers: str) -> EvaluatedRequest:
    return a_request("GET", f"/?{query}", b"", **headers)


COMPARISONS: dict[str, Tried] = {
    "a pattern": (rule("ARGS:a", "rx", r"^x\d{2}"), [get("a=x12y")], [get("a=yx12"), get("b=x12")]),
    "a text": (rule("ARGS:b", "streq", "it's \"x\""), [get("b=it%27s+%22x%22")], [get("b=its+x")]),
    "contains": (rule("ARGS:c", "contains", "b,c|d"), [get("c=ab,c%7Cde")], [get("c=b,c")]),
    "begins": (rule("ARGS:d", "begins_with", "ab"), [get("d=abc")], [get("d=cab")]),
    "ends": (rule("ARGS:e", "ends_with", "ab"), [get("e=cab")], [get("e=abc")]),
    "within": (rule("ARGS:f", "within", "one two"), [get("f=two")], [get("f=three")]),
    "words": (rule("ARGS:g", "pm", " one  Two "), [get("g=xTWOx"), get("g=one")], [get("g=three"), get("g=o+n+e")]),
    "equal": (rule("ARGS:h", "eq", "07"), [get("h=7")], [get("h=8")]),
    "at least": (rule("ARGS:i", "ge", "7"), [get("i=7"), get("i=8")], [get("i=6")]),
    "more": (rule("ARGS:j", "gt", "-7"), [get("j=-6")], [get("j=-7")]),
    "at most": (rule("ARGS:k", "le", "7"), [get("k=7")], [get("k=8")]),
    "less": (rule("ARGS:l", "lt", "7"), [get("l=6")], [get("l=7")]),
    "an address": (rule("ARGS:m", "ip_match", "192.0.2.0/24, 2001:DB8::1"), [get("m=192.0.2.9"), get("m=2001:db8::1")],
                   [get("m=192.0.3.1"), get("m=x")]),
    "SQL": (rule("ARGS:n", "detect_sqli"), [get("n=1%27+or+%271%27=%271")], [get("n=hello")]),
    "XSS": (rule("ARGS:o", "detect_xss"), [get("o=<script>alert(1)</script>")], [get("o=hello")]),
    "anything": (rule("ARGS:p", "always"), [get("p=")], [get("other=1")]),
    "not": (rule("ARGS:q", "streq", "x", negated=True), [get("q=y")], [get("q=x"), get("other=1")]),
    "a count": (rule("&ARGS:r", "gt", "1"), [get("r=1&r=2")], [get("r=1")]),
    "one left out": (rule("ARGS:/^s_/\n!ARGS:s_b", "contains", "x"), [get("s_a=x"), get("S_A=x")], [get("s_b=x"), get("t=x")]),
    "a pattern left out": (rule("ARGS:/^t/|!ARGS:/b$/", "contains", "x"), [get("ta=x")], [get("tb=x")]),
    "a name of signs": (rule("ARGS:u'V é,\"/x", "contains", "x"), [get("U%27v+%C3%A9,%22/x=x")], [get("u=x")]),
    "a transformation": (rule("ARGS:v", "streq", "abc", transformations=["base64Decode", "lowercase"]), [get("v=QUJD")], [get("v=abc")]),
    "a length": (rule("ARGS:w", "gt", "3", transformations=["length"]), [get("w=abcd")], [get("w=999")]),
    "a form field": (rule("ARGS_POST:x", "streq", "1"), [a_form("/", {"x": "1"})], [get("x=1")]),
    "a JSON value": (rule("ARGS:json.y.0.z", "streq", "1"), [a_json("/", {"y": [{"z": "1"}]})], [a_form("/", {"z": "1"})]),
    "a header": (rule("REQUEST_HEADERS:X-Mine", "streq", "1", phase="request_headers"), [get("a=", x_mine="1")], [get("a=")]),
    "a cookie": (rule("REQUEST_COOKIES:z", "streq", "1", phase="request_headers"), [get("a=", cookie="z=1")], [get("z=1")]),
    "the path": (rule("REQUEST_FILENAME", "streq", "/a b", phase="request_headers"), [a_request("GET", "/a%20b")], [a_request("GET", "/ab")]),
    "the client": (rule("REMOTE_ADDR", "ip_match", "198.51.100.0/24", phase="request_headers"), [get("a=")],
                   [{**get("a="), "client": "203.0.113.1"}]),
    "letters beyond ASCII": (rule("ARGS:aa", "rx", "^[éü]+漢$"), [get("aa=%C3%A9%C3%BC%E6%BC%A2")], [get("aa=%E9")]),
    "a macro's letters": (rule("ARGS:bb", "rx", r"^%\{tx\.x\}$"), [get("bb=%25%7Btx.x%7D")], [get("bb=x")]),
    "XML": (rule("XML:/*", "contains", "needle"), [a_request("POST", "/", b"<a>needle</a>", content_type="application/xml")],
            [a_form("/", {"a": "needle"})]),
}  # fmt: skip


@pytest.fixture(scope="module")
def compared() -> Iterator[Judge]:
    with Judge(rows(BLOCKING, {}, custom_rules=[mine for mine, _, _ in COMPARISONS.values()])) as judge:
        yield judge


@pytest.mark.parametrize("tried", COMPARISONS.values(), ids=COMPARISONS)
def test_a_rule_matches_what_it_says_and_nothing_else(compared: Judge, tried: Tried) -> None:
    mine, matching, others = tried

    assert [mine["rule_id"] in compared.fired(request) for request in matching] == [True] * len(matching)
    assert [mine["rule_id"] in compared.fired(request) for request in others] == [False] * len(others)


PHASES = ("request_headers", "request_body")

ACTIONS = [
    {
        **rule(f"ARGS:{action}{at}", "streq", "1", phase=phase, action=action),
        "points": 3 + at,
        "status": 403 - 3 * at,
    }
    for at, phase in enumerate(PHASES)
    for action in ("score", "block", "allow", "log")
]


@pytest.fixture(scope="module")
def acting() -> Iterator[Judge]:
    policies = {**BLOCKING, "Watching": {"enforcement_mode": "detect_only"}}
    both = [{**mine, "policy": policy} for policy in policies for mine in ACTIONS]
    with Judge(rows(policies, {}, custom_rules=both)) as judge:
        yield judge


XSS = "x=<script>alert(1)</script>"


@pytest.mark.parametrize("at", [0, 1], ids=PHASES)
def test_each_action_does_what_it_says_in_each_phase(acting: Judge, at: int) -> None:
    answers = {action: acting.says(get(f"{action}{at}=1")) for action in ("score", "block", "allow", "log")}
    attack, allowed = acting.says(get(XSS)), acting.says(get(f"allow{at}=1&{XSS}"))

    assert {name: answer["verdict"] for name, answer in answers.items()} == {
        "score": "detected", "block": "blocked", "allow": "detected", "log": "detected",
    }  # fmt: skip
    assert answers["score"]["scores"]["inbound"]["blocking"] == 3 + at
    assert answers["block"]["status"] == 403 - 3 * at
    assert answers["log"]["scores"]["inbound"]["blocking"] == 0
    assert (attack["verdict"], allowed["verdict"]) == ("blocked", "detected")
    assert len(allowed["rule_ids"]) == 1


@pytest.mark.parametrize("at", [0, 1], ids=PHASES)
def test_points_of_a_rule_block_together_with_others(acting: Judge, at: int) -> None:
    twice = acting.says(get(f"score{at}=1&score{at}=1"))

    assert (twice["verdict"], twice["interruption"]["rule_id"]) == ("blocked", 949110)
    assert twice["scores"]["inbound"]["blocking"] == 2 * (3 + at)


def test_nothing_blocks_where_the_policy_only_detects(acting: Judge) -> None:
    verdicts = {acting.says(get(f"{action}{at}=1"), 2)["verdict"] for action in ("score", "block") for at in (0, 1)}

    assert verdicts == {"detected"}


@pytest.mark.one_haproxy
def test_visitors_meet_a_rule_until_it_is_gone(haproxy: str, server: Origin) -> None:
    """Before and after each engine starts anew; as an event's rule, and with its status."""
    served = {"policy": "Strict", "servers": [{"address": server.address}], "health_check": False}
    mine = [
        rule("ARGS:a", "streq", "1", action="block", status=400),
        rule("ARGS:b", "streq", "1", action="score", points=5, phase="request_headers"),
        rule("ARGS:c", "streq", "1", action="allow", phase="request_headers"),
    ]

    with Stack(haproxy, rows(BLOCKING, {"one.test": served}, custom_rules=mine)) as stack:

        def statuses() -> list[int]:
            return [stack.get("one.test", f"/?{query}").status for query in ("a=1", "b=1", XSS, f"c=1&{XSS}", "a=2")]

        assert statuses() == [400, 403, 403, 200, 200]
        stack.stop_agent()
        stack.start_agent()
        stack.wait_until_live()
        assert statuses() == [400, 403, 403, 200, 200]
        stack.reload(rows(BLOCKING, {"one.test": served}, custom_rules=mine[1:]))
        assert statuses() == [200, 403, 403, 200, 200]
        stack.reload(rows(BLOCKING, {"one.test": served}))
        assert statuses() == [200, 200, 403, 403, 200]


TEXTS: dict[str, Tried] = {
    "a chain": (
        ('SecRule REQUEST_FILENAME "@beginsWith /sale" "id:9000001,phase:2,deny,log,msg:\'Chain\',chain"\n'
        '    SecRule ARGS:n "@gt 3" "t:none"'),
        [a_request("GET", "/sale?n=4")], [a_request("GET", "/sale?n=3"), a_request("GET", "/x?n=4")],
    ),
    "a variable of its own": (
        ('SecRule ARGS:a "@rx ^x(.)$" \\\n  "id:9000002,phase:2,pass,log,msg:\'Captured\',capture,setvar:\'tx.mine=%{tx.1}\',chain"\n'
        '  SecRule TX:mine "@streq \\"" "setvar:\'tx.inbound_anomaly_score_pl1=+%{tx.critical_anomaly_score}\'"'),
        [get("a=x%22")], [get("a=xy"), get("a=%22")],
    ),
    "points in phase 1": (
        ('SecRule REQUEST_HEADERS:X-Mine "@streq it\'s" "id:9000003,phase:1,block,log,msg:\'Late\',capture,'
        'setvar:\'tx.inbound_anomaly_score_pl1=+5\'"'),
        [get("a=1", x_mine="it's")], [get("a=1")],
    ),
    "a comment and a quote": (
        "# Mine\nSecRule ARGS:q \"!@within a b\" \"id:9000004,phase:2,deny,log,logdata:'%{MATCHED_VAR}',msg:'it\\'s, \\\"so\\\"'\"",
        [get("q=c")], [get("q=a")],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def written() -> Iterator[Judge]:
    with Judge(
        rows(BLOCKING, {}, custom_rules=[{"policy": "Strict", "seclang": text} for text, _, _ in TEXTS.values()])
    ) as judge:
        yield judge


@pytest.mark.parametrize("at", range(len(TEXTS)), ids=list(TEXTS))
def test_a_rule_in_seclang_blocks_what_it_matches(written: Judge, at: int) -> None:
    _, matching, others = list(TEXTS.values())[at]

    assert [written.says(request)["verdict"] for request in matching] == ["blocked"] * len(matching)
    assert [9_000_001 + at in written.fired(request) for request in matching + others] == [True] * len(matching) + [
        False
    ] * len(others)


def test_what_the_engine_refuses_is_told_at_the_text() -> None:
    text = """# The second link is wrong
SecRule REQUEST_METHOD "@streq POST" "id:9000001,\\
    phase:2,deny,chain"

  SecRule ARGS "@rx a(?!b)" \\
    "t:none"
"""
    bundle = render(
        DesiredState.from_rows(rows(BLOCKING, {}, custom_rules=[{"policy": "Strict", "seclang": text}]), FACTS)
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "coraza.yaml"
        path.write_bytes(bundle.files["coraza.yaml"])
        command = [str(agent_binary()), "-config", str(path), "-validate"]
        output = subprocess.run(command, capture_output=True, text=True, check=False).stdout

    (finding,) = rejected(output, list(bundle.applications)).findings

    assert (finding.noun, finding.noun_id, finding.field) == ("custom_rule", 1, "seclang")
    assert "invalid or unsupported Perl syntax" in finding.message
    assert finding.advice == "Coraza does not accept line 5."


@pytest.mark.parametrize(
    ("pasted", "verdict", "score"),
    [
        ("curl 'http://x.test/?q=needle'", "blocked", 5),
        ("curl http://x.test/ --data-urlencode 'q=a needle'", "blocked", 5),
        ("GET /?q=other HTTP/1.1\nHost: x.test\nUser-Agent: mine\nAccept: */*\n\n", "pass", 0),
    ],
)
def test_a_draft_is_tried_on_a_pasted_request(acting: Judge, pasted: str, verdict: str, score: int) -> None:
    draft = CustomRuleFields.model_validate({**rule("ARGS:q", "contains", "needle"), "action": "score"})
    ground = ground_of(rows(BLOCKING, {}), FACTS, 1, 0)
    directives = ground.directives(Draft(rows=(("custom_rule", draft),)))

    evaluation = asyncio.run(evaluate(acting.control, directives, read_request(pasted, "request").question()))

    assert (evaluation.verdict, evaluation.score) == (verdict, score)
    assert (draft.rule_id in {fired.id for fired in evaluation.rules}) == (verdict == "blocked")


def test_a_copy_of_a_rule_adds_its_points_as_that_does() -> None:
    copies = [{"policy": "Strict", "seclang": copy_of(rule_set().rules[number], 9_000_001 + at)}
              for at, number in enumerate((941100, 942100, 920170))]  # fmt: skip
    with Judge(rows(BLOCKING, {}, custom_rules=copies)) as judge:
        fired = [judge.fired(get(query)) for query in (XSS, "x=1%27+or+%271%27=%271")]
        chained = judge.fired(a_request("GET", "/", b"x"))

    assert [{941100, 9_000_001} <= fired[0], {942100, 9_000_002} <= fired[1]] == [True, True]
    assert {920170, 9_000_003} <= chained


PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "name": lambda text: {"name": text, "variables": "ARGS:a"},
    "variable": lambda text: {"variables": [f"ARGS:{text}"], "operator": "always"},
    "tag": lambda text: {"tags": [text]},
    "exactly": lambda text: {"operator": "streq", "operator_argument": text},
    "contains": lambda text: {"operator": "contains", "operator_argument": text},
    "words": lambda text: {"operator": "pm", "operator_argument": text},
    "pattern": lambda text: {"operator": "rx", "operator_argument": text},
}  # fmt: skip


def is_taken(mine: dict[str, Any]) -> bool:
    """Else it is refused, in words at a field."""
    try:
        return bool(rows(BLOCKING, {}, custom_rules=[mine]))
    except ValidationError as error:
        problems = error.errors()
    assert all(problem["loc"] and len(problem["msg"]) > 10 for problem in problems)
    return False


def test_hostile_text_is_refused_or_one_rule_and_effective() -> None:
    """Rules of all places and texts in one engine: each that was taken matches what was typed."""
    taken: list[tuple[dict[str, Any], str, str]] = []
    for place, typed in PLACES.items():
        for text in CORPUS:
            mine = {**rule("ARGS:a", "streq", "1"), **typed(text)}
            if is_taken(mine):
                taken.append((mine, place, unicodedata.normalize("NFC", text.strip())))
    assert {place for _, place, _ in taken} == set(PLACES)

    with Judge(rows(BLOCKING, {}, custom_rules=[mine for mine, _, _ in taken])) as judge:
        fired = {text: judge.fired(a_form("/", {text: "1", "a": text})) for _, _, text in taken}
        plain = judge.fired(a_form("/", {"a": "1"}))

    for mine, place, text in taken:
        expected = plain if place in {"name", "tag"} else fired[text]
        assert place == "pattern" or mine["rule_id"] in expected, (place, text)
