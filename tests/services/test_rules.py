"""Rules: found by what an operator knows of them, and every one in plain words. Of the real rule set."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from guardpanel.engines import Link, Rule, RuleRole, RuleSet
from guardpanel.events import schema
from guardpanel.models import Policy, RuleExclusion, RuleOverride
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.rules.rule_exclusion import Target
from guardpanel.models.rules.rule_override import RuleAction
from guardpanel.services import policies
from guardpanel.services.events import fired
from guardpanel.services.rules import catalogue
from guardpanel.services.rules.families import FAMILIES
from guardpanel.services.rules.question import RuleQuestion, search
from guardpanel.services.rules.sentences import ALWAYS, COMPARISONS, OPERATORS, explain, sentence
from guardpanel.services.rules.states import StateKind, states
from guardpanel.services.rules.targets import CHANGES, PLACES
from tests.events import NOON, a_log_line, a_rule, an_event, store
from tests.rule_set import rule_set


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return rule_set()


def matching(rules: RuleSet, **filters: str) -> list[int]:
    return [rule.id for rule in search(rules, RuleQuestion(**filters), limit=1000).items]


def links(rules: RuleSet) -> Iterator[tuple[Rule, Link]]:
    return ((rule, link) for rule in rules.rules.values() for link in rule.links)


def test_the_rule_set_is_that_of_the_agent(rules: RuleSet) -> None:
    assert len(rules.rules) > 600
    assert rules.crs_version == "4.25.0"
    assert rules.rules[942100].role is RuleRole.DETECT


def test_a_rule_is_found_by_its_id_or_the_beginning_of_it(rules: RuleSet) -> None:
    assert matching(rules, q="942100") == [942100]
    assert matching(rules, q="949110") == [949110]  # a rule that steers, too
    assert set(matching(rules, q="9421")) == {number for number in rules.rules if str(number).startswith("9421")}
    assert matching(rules, q="999999") == []


@pytest.mark.parametrize(
    ("filters", "test"),
    [
        ({"q": "libinjection"}, lambda rule: "libinjection" in rule.message.lower()),
        ({"q": "SQL injection SLEEP"}, lambda rule: "sleep" in rule.message.lower()),
        ({"family": "941"}, lambda rule: rule.family == 941),
        ({"paranoia_level": "3"}, lambda rule: rule.paranoia_level == 3),
        ({"severity": "notice"}, lambda rule: rule.severity == "notice"),
        ({"phase": "4"}, lambda rule: rule.phase == 4),
        ({"tag": "ATTACK-SQLI"}, lambda rule: "attack-sqli" in rule.tags),
        ({"tag": "attack-sqli", "paranoia_level": "2"}, lambda rule: "attack-sqli" in rule.tags and rule.paranoia_level == 2),
    ],
)  # fmt: skip
def test_filters_hold_together(rules: RuleSet, filters: dict[str, str], test: Callable[[Rule], bool]) -> None:
    detecting = [rule for rule in rules.rules.values() if rule.role is RuleRole.DETECT]
    expected = [rule.id for rule in detecting if test(rule)]

    assert 0 < len(expected) < len(detecting)
    assert matching(rules, **filters) == sorted(expected)


def test_kinds_part_the_rules(rules: RuleSet) -> None:
    detects, steers, both = (set(matching(rules, kind=kind)) for kind in ("detect", "steer", "all"))

    assert detects | steers == both == set(rules.rules)
    assert not detects & steers
    assert detects == set(matching(rules))


def test_pages_are_sorted_and_complete(rules: RuleSet) -> None:
    pages = [search(rules, RuleQuestion(), sort="points", descending=True, offset=at, limit=100) for at in range(0, 400, 100)]  # fmt: skip
    listed = [rule for page in pages for rule in page.items]

    assert {rule.id for rule in listed} == set(matching(rules))
    assert [rule.points for rule in listed] == sorted((rule.points for rule in listed), reverse=True)


def test_every_operator_variable_and_transformation_has_words(rules: RuleSet) -> None:
    known = {*OPERATORS, *COMPARISONS, *ALWAYS, ""}
    for rule, link in links(rules):
        assert link.operator in known, (rule.id, link.operator)
        assert {target.lstrip("&!").partition(":")[0] for target in link.targets} <= PLACES.keys(), (
            rule.id,
            link.targets,
        )
        assert set(link.transformations) <= CHANGES.keys(), (rule.id, link.transformations)


def test_every_family_has_a_text(rules: RuleSet) -> None:
    assert {rule.family for rule in rules.rules.values()} == FAMILIES.keys()
    for words in FAMILIES.values():
        assert all(text.endswith(".") and len(text) > 10 for text in words[1:]), words


def test_every_rule_has_whole_sentences(rules: RuleSet) -> None:
    for rule in rules.rules.values():
        for link in explain(rule):
            assert link.sentence.endswith("."), rule.id
            assert "%{" not in link.sentence, (rule.id, link.sentence)
            assert "  " not in link.sentence.replace(rule.links[0].argument, ""), (rule.id, link.sentence)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (
            942100,
            "and text in XML bodies, and matches text that libinjection parses as SQL injection.",
        ),
        (920280, "Matches if there is nothing in the header “host”."),
        (911100, "Looks at the method, and matches values that are not among the policy’s allowed methods."),
        (920271, "and matches values with a byte outside of 9, 10, 13, 32–126, 128–255."),
        (932160, "matches text with any phrase of the list unix-shell.data."),
        (901140, "Matches if there is nothing in the value “critical_anomaly_score”."),
        (949110, "Compares the value “blocking_inbound_anomaly_score”, and matches if the number is at least the inbound anomaly threshold."),
        (901200, "Runs for every request."),
        (200002, "Matches if parsing the body failed."),
        (905100, "Looks at the request line, and matches exactly “GET /”."),
        (941181, "and matches text that contains “-->”."),
    ],
)  # fmt: skip
def test_sentences_say_what_the_rule_does(rules: RuleSet, number: int, words: str) -> None:
    assert explain(rules.rules[number])[0].sentence.endswith(words)


def test_an_unknown_operator_is_named() -> None:
    assert sentence(Link("geoLookup", "", False, ("REMOTE_ADDR",), ())) == (
        "Checks the client IP with the operator geoLookup."
    )


def test_arguments_in_sentences_are_visible_and_short() -> None:
    text = sentence(Link("contains", "\u202egnp.exe\x1b" + "x" * 1000, False, ("ARGS:\u202ename",), ()))

    assert text.isprintable()
    assert len(text) < 400


@pytest.mark.parametrize(
    ("number", "fields", "kind"),
    [
        (942100, {}, StateKind.SCORES),
        (942100, {"enforcement_mode": EnforcementMode.OFF}, StateKind.OFF),
        (942120, {"blocking_paranoia_level": 1, "detection_paranoia_level": 1}, StateKind.OFF),
        (942120, {"blocking_paranoia_level": 1, "detection_paranoia_level": 2}, StateKind.DETECTS),
        (942120, {"blocking_paranoia_level": 2, "detection_paranoia_level": 2}, StateKind.SCORES),
        (951110, {"response_inspection": False}, StateKind.OFF),
        (951110, {"response_inspection": True}, StateKind.SCORES),
        (949110, {}, StateKind.RUNS),
    ],
)
def test_a_policy_says_what_it_does_with_a_rule(
    rules: RuleSet, number: int, fields: dict[str, Any], kind: StateKind
) -> None:
    policy = Policy(**{**policies.DEFAULT.model_dump(), "id": 1, "enforcement_mode": EnforcementMode.BLOCK, **fields})

    assert [state.kind for state in states(rules.rules[number], [policy])] == [kind]


class SilentAgent:
    """It takes the question and does not answer."""

    def __init__(self, known_rules: RuleSet) -> None:
        self.known_rules = known_rules
        self.questions = 0

    async def rule_set(self) -> RuleSet:
        self.questions += 1
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.anyio
async def test_what_is_known_of_rules_does_not_wait_for_the_agent(rules: RuleSet) -> None:
    agent = SilentAgent(rules)
    engines: Any = SimpleNamespace(agent=agent)

    assert await catalogue.recall(engines) is rules
    assert await catalogue.recall(engines) is rules
    await asyncio.sleep(0)
    assert agent.questions == 1  # beside it, once at a time
    for task in catalogue._asking:
        task.cancel()


EVERY_REQUEST: dict[str, Any] = {"rules": ["942100-942199"], "target": Target.REQUEST, "path_match": PathMatch.ANY}


@pytest.mark.parametrize(
    ("exclusion", "kind", "words"),
    [
        (EVERY_REQUEST, StateKind.OFF, "a rule exclusion excludes every request"),
        ({**EVERY_REQUEST, "methods": ["PUT"]}, StateKind.SCORES, "level is 1; some requests are excluded"),
        ({**EVERY_REQUEST, "virtual_host_id": 1}, StateKind.SCORES, "some requests are excluded"),
        ({**EVERY_REQUEST, "enabled": False}, StateKind.SCORES, "level is 1"),
        ({**EVERY_REQUEST, "policy_id": 2}, StateKind.SCORES, "level is 1"),
        ({**EVERY_REQUEST, "target": Target.ARGUMENT}, StateKind.SCORES, "level is 1"),
    ],
)
def test_a_rule_that_is_excluded_from_requests_does_not_count_as_on(
    rules: RuleSet, exclusion: dict[str, Any], kind: StateKind, words: str
) -> None:
    policy = Policy(**{**policies.DEFAULT.model_dump(), "id": 1, "enforcement_mode": EnforcementMode.BLOCK})

    [state] = states(rules.rules[942100], [policy], [RuleExclusion(**{"policy_id": 1, **exclusion})])

    assert state.kind is kind
    assert state.reason.endswith(words)


@pytest.mark.parametrize(
    ("rule", "action", "kind"),
    [
        (942100, RuleAction.DISABLE, StateKind.OFF),
        (942120, RuleAction.ENABLE, StateKind.SCORES),
        (949110, RuleAction.DISABLE, StateKind.RUNS),
    ],
)
def test_a_rule_override_decides_what_a_policy_does(
    rules: RuleSet, rule: int, action: RuleAction, kind: StateKind
) -> None:
    fields = {"id": 1, "enforcement_mode": EnforcementMode.BLOCK, "detection_paranoia_level": 2}
    policy = Policy(**{**policies.DEFAULT.model_dump(), **fields})

    [state] = states(rules.rules[rule], [policy], [], [RuleOverride(policy_id=1, rule=str(rule), action=action)])

    assert state.kind is kind


def test_events_of_a_rule_are_counted_by_host_and_time(tmp_path: Path) -> None:
    requests = [
        an_event(time=(NOON - timedelta(hours=age)).isoformat(), rules=[a_rule(942100), a_rule(942190)])
        for age in (1, 2, 30, 31, 32, 200)
    ]
    logged = [a_log_line(event, virtual_host="2" if at == 2 else "1") for at, event in enumerate(requests)]
    store(tmp_path / "events.sqlite3", requests, logged)

    with closing(schema.open_to_read(tmp_path / "events.sqlite3")) as connection:
        counted = fired.fired(connection, 942100, NOON)
        assert (counted.day, counted.week, counted.is_exact) == (2, 5, True)
        assert counted.hosts == (fired.HostCount(1, 2, 4), fired.HostCount(2, 0, 1))
        assert fired.fired(connection, 942101, NOON) == fired.NEVER
        assert fired.counts(connection, [942190, 942101], NOON) == {942190: 2, 942101: 0}
        assert "SCAN" not in _plan(connection)


def _plan(connection: sqlite3.Connection) -> str:
    """How SQLite finds the events of a rule: by the index of table event_rule."""
    question = (
        "EXPLAIN QUERY PLAN SELECT event FROM event_rule WHERE rule = 1 AND event >= 1 ORDER BY event DESC LIMIT 9"
    )
    return str(connection.execute(question).fetchall())
