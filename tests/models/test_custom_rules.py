"""Custom rules as SecLang and back."""

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardpanel.models.custom_rule import CustomRuleFields
from guardpanel.models.custom_rule_choices import CustomAction, Operator, RulePhase, RuleSeverity
from guardpanel.models.custom_rule_text import built, link_of
from guardpanel.models.seclang import parse, pretty, written
from guardpanel.models.seclang_names import COLLECTIONS, SINGLE, TRANSFORMATIONS

SIGNS = st.text(st.sampled_from("ab1 '\"\\,|/:;.%{}()[]^$*+?#`@!&=é漢-_"), min_size=1, max_size=12)

SELECTED = st.builds(
    str.format, st.sampled_from(["{}:{}", "&{}:{}", "{0}|!{0}:{1}"]), st.sampled_from(sorted(COLLECTIONS)), SIGNS
)

RULES = st.fixed_dictionaries({
    "rule_id": st.integers(9_000_000, 9_099_999),
    "name": st.text(st.sampled_from("aZ9 .,-_()&+/:@*’é"), min_size=1, max_size=20),
    "phase": st.sampled_from(list(RulePhase)),
    "variables": st.lists(SELECTED | st.sampled_from(sorted({*COLLECTIONS, *SINGLE})), min_size=1, max_size=4),
    "transformations": st.lists(st.sampled_from(TRANSFORMATIONS), max_size=3),
    "operator": st.sampled_from(list(Operator)),
    "negated": st.booleans(),
    "operator_argument": SIGNS | st.sampled_from(["7", "192.0.2.0/24,2001:db8::1"]),
    "action": st.sampled_from(list(CustomAction)),
    "points": st.integers(1, 100),
    "severity": st.sampled_from(list(RuleSeverity)),
    "tags": st.lists(st.sampled_from(["attack-sqli", "a/b:c", "x_1"]), max_size=2),
    "status": st.sampled_from([400, 403]),
})  # fmt: skip


@given(RULES)
def test_what_the_builder_says_comes_back_from_seclang(typed: dict[str, Any]) -> None:
    try:
        rule = CustomRuleFields.model_validate(typed)
    except ValidationError:
        assume(False)
        raise
    link = link_of(rule)
    fields = built([link])

    assert parse(written(link)) == parse(pretty([link])) == [link]
    assert fields is not None
    said = CustomRuleFields.model_validate(fields)
    assert link_of(said) == link
    unsaid = {CustomAction.SCORE: {"status"}, CustomAction.BLOCK: {"points"}}.get(rule.action, {"points", "status"})
    assert said.model_dump(exclude=unsaid) == rule.model_dump(exclude=unsaid)
