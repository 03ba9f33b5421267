"""Exclusions of a policy's own custom rules, judged by the real agent: a rule skips the field that was named, and nothing beside it."""

from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.engines import RuleSet
from guardpanel.errors import Invalid
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.rendering import Rows
from guardpanel.rendering.custom_rules import CustomRuleState
from guardpanel.services.rules.exclusion_checks import must_have_effect
from guardpanel.services.rules.own_rules import with_own
from tests.live.judging import EvaluatedRequest, Judge, a_form, a_json, a_request
from tests.rows import rows
from tests.rule_set import rule_set


def rule(number: int, variables: str, argument: str, **others: Any) -> dict[str, Any]:
    usual = {
        "policy": "Strict",
        "rule_id": 9_000_000 + number,
        "name": "Mine",
        "operator": "contains",
        "action": "block",
    }
    return {**usual, "variables": variables, "operator_argument": argument, **others}


def chained(number: int) -> dict[str, Any]:
    text = f'SecRule ARGS:a "@streq 1" "id:{9_000_000 + number},phase:2,deny,status:403,log,msg:\'Both\',chain"\nSecRule ARGS:b "@streq 2"'
    return {"policy": "Strict", "seclang": text}


RULES = [
    rule(1, "ARGS", "needle"),
    rule(2, "REQUEST_HEADERS:X-Tool\nREQUEST_COOKIES", "scan", phase="request_headers"),
    rule(3, "ARGS", "late", phase="request_headers", action="score", points=5),
    rule(4, "ARGS_POST\nARGS_GET_NAMES", "posted"),
    chained(5),
    rule(6, "ARGS", "tagged", tags=["mine/own"]),
    rule(7, "REQUEST_FILENAME", "/old", action="score", points=9),
    rule(8, "REMOTE_ADDR", "198.51.100.9", phase="request_headers", action="allow"),
]


def on(path: str, rules: str, target_name: str = "", **others: Any) -> dict[str, Any]:
    return {"policy": "Strict", "rules": [rules], "path": path, "target_name": target_name, **others}


def get(uri: str, **headers: str) -> EvaluatedRequest:
    return a_request("GET", uri, b"", **headers)


Tried = tuple[dict[str, Any], list[EvaluatedRequest], list[EvaluatedRequest]]

FORMS: dict[str, Tried] = {
    "an argument": (
        on("/a", "9000001", "q"), [get("/a?q=needle"), get("/a?Q=needle")], [get("/a?p=needle"), get("/a-x?q=needle"), get("/z?q=needle")]
    ),
    "a range": (on("/b", "9000000-9000099", "q"), [get("/b?q=needle"), get("/b?q=tagged")], [get("/b?p=needle")]),
    "a header, in the phase of headers": (
        on("/c", "9000002", "x-tool", target="header"), [get("/c", x_tool="scan")], [get("/c", cookie="a=scan"), get("/d", x_tool="scan")]
    ),
    "points of the phase of headers": (on("/d", "9000003", "q"), [get("/d?q=late")], [get("/d?p=late"), get("/e?q=late")]),
    "a form field": (
        on("/e", "9000004", "q"),
        [a_form("/e", {"q": "posted"}), a_json("/e?q=posted", {"x": "y"})],
        [a_form("/e", {"p": "posted"}), a_form("/f", {"q": "posted"}), get("/e?posted=1")],
    ),
    "the name of an argument": (on("/f", "9000004", target="argument_name"), [get("/f?posted=1")], [get("/g?posted=1")]),
    "a JSON value": (
        on("/g", "9000004", "items.*.x", target="json"), [a_json("/g", {"items": [{"x": "posted"}]})], [a_json("/g", {"items": [{"y": "posted"}]})]
    ),
    "a later link of a chain": (on("/h", "9000005", "b"), [get("/h?a=1&b=2")], [get("/i?a=1&b=2")]),
    "a tag": (on("/i", "mine/own", "q"), [get("/i?q=tagged")], [get("/i?p=tagged")]),
    "the path": (on("/j/old", "9000007", target="path"), [get("/j/old")], [get("/k/old")]),
    "the whole request": (on("/k", "9000001", target="request"), [get("/k?q=needle&p=needle")], [get("/k?q=tagged")]),
    "for a function alone": (
        on("/l", "9000001", "q", only_if=["action=save"]), [get("/l?q=needle&action=save")], [get("/l?q=needle"), get("/l?q=needle&action=x")]
    ),
}  # fmt: skip

PLACEBOS: list[tuple[dict[str, Any], str, str]] = [
    (on("/x", "9000099", "q"), "rules", "This policy has no custom rule 9000099."),
    (on("/x", "9000050-9000060", "q"), "rules", "This policy has no custom rules 9000050-9000060."),
    (
        on("/x", "9000001", "q", target="cookie"),
        "target_name",
        "Rule 9000001 doesn’t inspect the cookie “q”. It inspects parameters.",
    ),
    (on("/x", "9000002", "x-other", target="header"), "target_name", "It inspects the header “X-Tool” and cookies."),
    (on("/x", "9000003", "q", only_if=["a=b"]), "only_if", "9000003 runs before arguments in the body are known."),
    (on("/x", "9000005", "c"), "target_name", "doesn’t inspect the argument “c”"),
    (on("/x", "9000008", "q"), "target_name", "It inspects the client IP."),
    (on("/x", "their/own", "q"), "rules", "and no custom rule of this policy."),
]


def made() -> Rows:
    policies = {"Strict": {"enforcement_mode": "block"}}
    return rows(policies, {}, custom_rules=RULES, exclusions=[each for each, _, _ in FORMS.values()])


@pytest.fixture(scope="module")
def known() -> RuleSet:
    return with_own(rule_set(), [CustomRuleState.from_row(row) for row in made()["customrule"]])


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(made()) as running:
        yield running


@pytest.mark.parametrize("tried", FORMS.values(), ids=FORMS)
def test_a_custom_rule_skips_only_what_is_named(judge: Judge, known: RuleSet, tried: Tried) -> None:
    exclusion, freed, others = tried
    must_have_effect(RuleExclusionFields.model_validate(exclusion), known)

    assert [judge.fired(request) for request in freed] == [set() for _ in freed]
    assert all(judge.fired(other) for other in others), [judge.fired(other) for other in others]


@pytest.mark.parametrize(("exclusion", "field", "words"), PLACEBOS)
def test_what_does_nothing_to_custom_rules_is_refused(
    known: RuleSet, exclusion: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(Invalid) as refused:
        must_have_effect(RuleExclusionFields.model_validate(exclusion), known)

    assert list(refused.value.errors) == [field]
    assert words in refused.value.errors[field].message
