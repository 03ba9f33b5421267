"""What rules fired on and an event does not tell is excluded, too, or the rung says that it is not known."""

from guardpanel.engines.waf.evaluation import EvaluatedRule, Match
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.services.events import FiredRule
from guardpanel.services.events.details import RuleMatch
from guardpanel.services.fixes.hidden import Hidden, hidden
from guardpanel.services.fixes.requests import Request

REQUEST = Request("192.0.2.7", "POST", "/x", "1.1", (), gaps=("Masked values.",))


def fired(*matches: tuple[str, str], cut: int = 0) -> FiredRule:
    made = tuple(
        RuleMatch(variable="ARGS", key=key, value=value, value_cut=False, chain=0, bytes=9) for key, value in matches
    )
    return FiredRule(942120, 2, None, 2, "", "", (), disrupts=False, matches=made, matches_cut=cut)


def on(name: str, *, is_pattern: bool = False, target: str = "json") -> RuleExclusionFields:
    row = {"rules": ["942120"], "target": target, "target_name": name, "name_is_pattern": is_pattern, "path": "/x"}
    return RuleExclusionFields.model_validate(row)


def test_a_field_whose_value_is_masked_is_excluded_with_the_others() -> None:
    again = EvaluatedRule(942120, 2, 2, "", "", (), (Match("ARGS", "json.name", "a==", 0),))

    (rule,) = hidden([fired(("json.name", "a=="), ("json.password", "[masked]"))], REQUEST).added_to([again])

    assert [match.key for match in rule.matches] == ["json.name", "json.password"]


def test_numbered_fields_do_not_suffice_where_an_event_has_only_some() -> None:
    some = hidden([fired(("json.ciphers.0.name", "[masked]"), cut=28)], REQUEST)

    assert some.problem([on("ciphers.0.name")]) == (
        "The event has only some of the numbered fields on which these rules fired."
    )
    assert some.problem([on("ciphers.*.name"), on("name"), on(r"row\d+", is_pattern=True, target="argument")]) == ""


def test_numbered_fields_suffice_where_everything_is_known() -> None:
    whole = Request("192.0.2.7", "POST", "/x", "1.1", ())

    assert hidden([fired(("json.a.0", "=="), cut=28)], whole) == Hidden()
    assert hidden([fired(("json.a.0", "=="))], REQUEST).problem([on("a.0")]) == ""
