"""Custom rules as SecLang and back."""

import re
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardpanel.models.rules.custom_rule import CustomRuleFields
from guardpanel.models.rules.custom_rule_checks import ADDED
from guardpanel.models.rules.custom_rule_choices import CustomAction, Operator, RulePhase, RuleSeverity
from guardpanel.models.rules.custom_rule_text import built, link_of
from guardpanel.models.rules.seclang import parse, pretty, written
from guardpanel.models.rules.seclang_names import COLLECTIONS, SINGLE, TRANSFORMATIONS
from guardpanel.services.custom_rules import copy_of
from tests.rule_set import rule_set

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
    fields_of_rule = CustomRuleFields.model_validate(fields)
    assert link_of(fields_of_rule) == link
    unsaid = {CustomAction.SCORE: {"status"}, CustomAction.BLOCK: {"points"}}.get(rule.action, {"points", "status"})
    assert fields_of_rule.model_dump(exclude=unsaid) == rule.model_dump(exclude=unsaid)


def is_taken(seclang: str) -> bool:
    try:
        return bool(CustomRuleFields.model_validate({"seclang": seclang}).seclang)
    except ValidationError:
        return False


def test_no_custom_rule_sets_what_the_rule_set_keeps() -> None:
    """Names that begin with a rule's ID are that rule's own notes, which it writes before it reads them."""
    written_by_all = " ".join(rule.seclang.lower() for rule in rule_set().rules.values())
    names = set(re.findall(r"tx[.:]([a-z][a-z0-9_]+)", written_by_all))
    points = {name for name in names if ADDED.fullmatch(name)}

    taken = {name: [is_taken(f"SecAction \"id:9000001,pass,setvar:'tx.{name}={value}'\"") for value in ("1", "-5", "+5")]
             for name in names}  # fmt: skip

    assert len(points) > 10
    assert taken == {name: [False, False, name in points] for name in names}


def test_rules_of_the_rule_set_can_be_copied_with_their_chains() -> None:
    """But those that leave something in TX for their own chain under a name of the rule set, or under one made of a variable."""
    chained = [
        rule
        for rule in rule_set().rules.values()
        if len(rule.links) > 1 and rule.points and "pmFromFile" not in rule.seclang
    ]
    refused = {rule.id for rule in chained if not is_taken(copy_of(rule, 9_000_001))}

    assert len(chained) > 20
    assert refused == {920420, 920440, 920450, 920451, 920480, 931130}
