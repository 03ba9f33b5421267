"""What would do nothing, or more than it says, is refused with words: judged by the agent's own rule set."""

from typing import Any

import pytest

from guardpanel.errors import Invalid
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.services.rules.exclusion_checks import must_have_effect, too_early
from tests.rule_set import rule_set


def fields(**others: Any) -> RuleExclusionFields:
    return RuleExclusionFields.model_validate({"rules": ["942100"], "path_match": "any", **others})


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"target_name": "content"},
        {"target": "json", "target_name": "items.*.text"},
        {"rules": ["941100-941199"], "target": "cookie", "target_name": "state"},
        {"rules": ["941000-941999"], "target_name": "content"},
        {"rules": ["attack-xss", "attack-rce"], "target": "xml"},
        {"rules": ["920450"], "target": "header_name", "target_name": "X-HTTP-Method-Override"},
        {"rules": ["943110"], "target": "header", "target_name": "referer"},
        {"rules": ["920470"], "target": "header", "target_name": "Content-Type"},
        {"rules": ["930130", "920440"], "target": "path"},
        {"rules": ["920120"], "target": "file"},
        {"rules": ["922130"], "target": "part", "target_name": "file"},
        {"rules": ["921110"], "target": "body"},
        {"rules": ["922110", "941100-941199"], "target": "request"},
        {"rules": ["200002"], "target": "request"},
        {"rules": ["911100"], "target": "request", "only_if": []},
        {
            "rules": ["913100"],
            "target": "header",
            "target_name": r"(?:(?:\w|-)+)+!",
            "name_is_pattern": True,
        },  # Python never ends
        {"path_match": "pattern", "path": r"/posts/\d+"},
        {"path_match": "pattern", "path": r".*\.php"},
        {"path_match": "pattern", "path": "x?/posts"},
        {"path_match": "pattern", "path": "wp|/posts"},
        {"path_match": "pattern", "path": r"/a/\.\.\.|/b\.\./c"},
        {"path_match": "pattern", "path": r"/a\.\./c"},
        {"path_match": "as_sent", "path": "/files/..%2fa"},
    ],
)
def test_what_has_an_effect_is_taken(others: dict[str, Any]) -> None:
    must_have_effect(fields(**others), rule_set())


@pytest.mark.parametrize(
    ("others", "field", "words"),
    [
        ({"rules": ["942999"]}, "rules", "There is no rule 942999 in OWASP CRS 4.25.0."),
        ({"rules": ["942901-942999"]}, "rules", "There are no rules 942901-942999 in OWASP CRS"),
        ({"rules": ["attack-xxs"]}, "rules", "No rule is tagged attack-xxs in OWASP CRS 4.25.0, and no custom rule of this policy."),
        ({"rules": ["941011"], "target": "request"}, "rules", "Rule 941011 decides which paranoia levels run."),
        ({"rules": ["941011"]}, "rules", "Rule 941011 decides which paranoia levels run."),
        (
            {"rules": ["941000-941999"], "target": "request"},
            "rules",
            "941000-941999 includes 941011, which decides which paranoia levels run. Begin at 941",
        ),
        ({"rules": ["920450"], "target": "argument", "target_name": "x"}, "target_name", "Rule 920450 doesn’t inspect the argument “x”. It inspects names of headers"),
        ({"rules": ["942100"], "target": "file"}, "target", "Rule 942100 doesn’t inspect names of uploaded files."),
        ({"rules": ["913100"], "target": "header", "target_name": "referer"}, "target_name", "It inspects the header “user-agent”."),
        ({"rules": ["attack-lfi"], "target": "body"}, "target", "The rules of attack-lfi don’t inspect the raw body."),
        ({"rules": ["942200"], "target": "cookie", "target_name": "FCCDCF"}, "target_name", "doesn’t inspect the cookie “FCCDCF”"),
        ({"rules": ["920450"], "target": "header_name", "target_name": "x", "only_if": ["a=b"]}, "only_if", "920450 runs before arguments in the body are known."),
        ({"rules": ["200009"], "target": "request", "only_if": ["a=b"]}, "only_if", "200009 runs before"),
        ({"rules": ["paranoia-level/1"], "target": "request"}, "rules", "paranoia-level/1 is 213 of 346 rules."),
        ({"path_match": "pattern", "path": r"^posts/\d+"}, "path", "This never matches: a path begins with /. Enter /posts/"),
        ({"path_match": "pattern", "path": r"/files/\.\./a"}, "path", "Choose Exactly as sent"),
        ({"path_match": "pattern", "path": r"/files/\.\.%2f.*"}, "path", "Choose Exactly as sent"),
        ({"path_match": "pattern", "path": r"/files/\.\."}, "path", "Choose Exactly as sent"),
        ({"rules": ["921151"], "target": "argument"}, "target", "It inspects query parameters."),
    ],
)  # fmt: skip
def test_a_placebo_is_refused_at_its_field(others: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        must_have_effect(fields(**others), rule_set())

    assert list(refused.value.errors) == [field]
    assert words in refused.value.errors[field].message


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"rules": ["942100"]}, ""),
        ({"rules": ["942100"], "only_if": ["a=b"]}, ""),
        ({"rules": ["200002"], "target": "request", "only_if": ["a=b"]}, ""),
        (
            {"rules": ["921140-921150"], "target": "request", "only_if": ["a=b"]},
            "Rule 921140 runs before arguments in the body are known: it inspects as before.",
        ),
        (
            {"rules": ["920100-920999"], "target": "header", "only_if": ["a=b"]},
            " more run before arguments in the body are known: they inspect as before.",
        ),
    ],
)
def test_rules_that_run_too_early_for_a_condition_are_named(others: dict[str, Any], words: str) -> None:
    must_have_effect(fields(**others), rule_set())

    assert too_early(fields(**others), rule_set()).endswith(words)
    assert bool(words) == bool(too_early(fields(**others), rule_set()))
