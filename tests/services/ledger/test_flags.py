"""What the ledger says of an exclusion or an override, judged by the agent's own rule set."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from guardpanel.events import schema
from guardpanel.models import Policy, RuleExclusion, RuleOverride
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.rules.custom_rule import CustomRuleFields
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.models.rules.rule_override import KnownOverride, RuleAction
from guardpanel.services.events.excluded import Attacks, attacks
from guardpanel.services.events.uses import NOT_COUNTED, Use, Uses, of_rules
from guardpanel.services.ledger import flags
from guardpanel.services.ledger.flags import Known
from guardpanel.services.ledger.watching import fixed_beginning, watched
from guardpanel.services.rules.own_rules import as_rule
from tests.events import a_log_line, a_rule, an_event, store
from tests.rule_set import rule_set

TODAY = date(2026, 11, 26)
NOW = datetime(2026, 11, 27, tzinfo=UTC)
POST = {"rules": ["941100"], "target_name": "content", "path": "/posts", "methods": ["POST"]}


def an_exclusion(number: int = 1, **others: Any) -> RuleExclusion:
    fields = RuleExclusionFields.model_validate({**POST, **others})
    return RuleExclusion(id=number, policy_id=1).replace(fields)


def an_override(number: int, rule: str, action: str = "disable") -> RuleOverride:
    return RuleOverride(id=number, policy_id=1).replace(KnownOverride(rule=rule, action=action))  # type: ignore[arg-type]


def known(
    *rows: RuleExclusion | RuleOverride,
    attacks: dict[int, Attacks] | None = None,
    uses: Uses = NOT_COUNTED,
    **policy: Any,
) -> Known:
    table = Policy(id=1).replace(PolicyFields.model_validate({"name": "Strict", **policy}))
    exclusions = [row for row in rows if isinstance(row, RuleExclusion)]
    overrides = [row for row in rows if isinstance(row, RuleOverride)]
    return Known({1: table}, exclusions, overrides, rule_set(), attacks or {}, uses, TODAY)


def messages(*rows: RuleExclusion | RuleOverride, **others: Any) -> list[str]:
    """Of the first."""
    first, everything = rows[0], known(*rows, **others)
    if isinstance(first, RuleExclusion):
        return [flag.message for flag in flags.of_exclusion(first, everything)]
    return [flag.message for flag in flags.of_override(first, everything)]


def test_one_that_is_needed_has_no_flag() -> None:
    assert messages(an_exclusion(), an_override(2, "942100")) == []


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"ends_on": "2026-12-03"}, "Disabled after 2026-12-03."),
        ({"ends_on": "2026-11-25", "enabled": False}, "Ended after its last day, 2026-11-25."),
        ({"enabled": False}, "It is disabled, so its rules inspect the field again."),
    ],
)
def test_ends_are_named(others: dict[str, Any], message: str) -> None:
    assert messages(an_exclusion(**others)) == [message]


def test_a_last_day_beyond_a_week_is_not_soon() -> None:
    assert messages(an_exclusion(ends_on="2026-12-04")) == []


@pytest.mark.parametrize("rule", ["941100", "941", "attack-xss"])
def test_an_exclusion_of_rules_that_are_off_is_redundant(rule: str) -> None:
    assert messages(an_exclusion(), an_override(2, rule)) == [f"Its rule is off in this policy: {rule}."]
    assert messages(an_exclusion(rules=["941100", "942100"]), an_override(2, rule)) == []


def test_an_exclusion_above_the_paranoia_level_is_redundant() -> None:
    row = an_exclusion(rules=["942200"])  # of level 2
    assert messages(row) == ["Its rule is off in this policy: the detection paranoia level is 1."]
    assert messages(row, detection_paranoia_level=2) == []


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ({}, {}),
        ({}, {"rules": ["941100", "941160"]}),
        ({}, {"rules": ["attack-xss"]}),
        ({}, {"target_name": ""}),
        ({}, {"target": "request"}),
        ({}, {"methods": []}),
        ({}, {"path_match": "any"}),
        ({}, {"path": "/", "path_match": "below"}),
        ({"only_if": ["action=save"]}, {}),
        ({"virtual_host_id": 1}, {}),
        ({"ends_on": "2027-01-01"}, {}),
    ],
)
def test_an_exclusion_within_another_is_redundant(narrow: dict[str, Any], wide: dict[str, Any]) -> None:
    rows = an_exclusion(2, **narrow), an_exclusion(1, **wide)

    assert messages(*rows) == [f"Covered by another exclusion, {rows[1].name}."]
    assert messages(*reversed(rows)) == []


MINE = {"rule_id": 9_000_001, "name": "Mine", "variables": ["ARGS"], "operator_argument": "x", "tags": ["mine/own"]}


def own(*exclusions: RuleExclusion, enabled: bool = True, **rule: Any) -> list[str]:
    """What is said of the first, where the policy has this custom rule."""
    row = CustomRuleFields.model_validate({**MINE, **rule})
    custom, disabled = {1: {row.rule_id: as_rule(row)}}, {1: set() if enabled else {row.rule_id}}
    everything = replace(known(*exclusions), custom=custom, disabled=disabled)
    return [flag.message for flag in flags.of_exclusion(exclusions[0], everything)]


def test_an_exclusion_of_a_custom_rule_is_redundant_without_it() -> None:
    row = an_exclusion(rules=["9000001"])
    assert own(row) == []
    assert own(row, enabled=False) == ["Its rule is off in this policy: custom rule 9000001 is disabled."]
    assert own(row, rule_id=9_000_002) == ["Its custom rule is no longer in this policy: 9000001."]
    assert own(row, variables=["REQUEST_COOKIES"]) == [
        "Its custom rule does not inspect the argument “content” anymore."
    ]
    assert own(an_exclusion(rules=["941100", "9000001"]), enabled=False) == []
    assert own(an_exclusion(2, rules=["mine/own"]), row) == [f"Covered by another exclusion, {row.name}."]


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ({"rules": ["attack-xss"]}, {}),
        ({}, {"target": "json"}),
        ({}, {"target_name": "excerpt"}),
        ({}, {"path": "/pos", "path_match": "below"}),
        ({"methods": []}, {}),
        ({}, {"only_if": ["action=save"]}),
        ({}, {"virtual_host_id": 1}),
        ({}, {"ends_on": "2027-01-01"}),
        ({}, {"enabled": False}),
        ({"target_name": "a" * 30}, {"target_name": "(a+)+b", "name_is_pattern": True}),
        ({"path": "/" + "a" * 30}, {"path": "/(a+)+b", "path_match": "pattern"}),
    ],
)
def test_an_exclusion_beyond_another_is_needed(narrow: dict[str, Any], wide: dict[str, Any]) -> None:
    assert messages(an_exclusion(2, **narrow), an_exclusion(1, **wide)) == []


LONG = datetime(2026, 10, 1, tzinfo=UTC)


def aged(moment: datetime) -> RuleExclusion:
    row = an_exclusion()
    row.created_at = moment
    return row


def test_one_that_no_request_needs_is_named() -> None:
    never, once = Uses(LONG), Uses(LONG, {1: Use(0, LONG)})
    message = "No request has met its conditions in 30 days."
    assert messages(aged(LONG), uses=never) == [message]
    assert messages(aged(LONG), uses=once) == [f"{message} The last was on 2026-10-01."]


@pytest.mark.parametrize(
    ("created", "uses"),
    [
        (LONG, NOT_COUNTED),
        (LONG, Uses(datetime(2026, 11, 20, tzinfo=UTC))),
        (datetime(2026, 11, 20, tzinfo=UTC), Uses(LONG)),
        (LONG, Uses(LONG, {1: Use(3, LONG)})),
    ],
)
def test_one_that_may_be_needed_is_not(created: datetime, uses: Uses) -> None:
    assert messages(aged(created), uses=uses) == []


def test_an_override_within_another_is_redundant() -> None:
    rows = an_override(1, "942100"), an_override(2, "942")
    assert messages(*rows) == ["Its rule is off in this policy: 942."]
    assert messages(*reversed(rows)) == []
    assert messages(an_override(1, "942200")) == ["Its rule is off in this policy: the detection paranoia level is 1."]


@pytest.mark.parametrize(
    ("others", "policy", "message"),
    [
        ((), {"detection_paranoia_level": 2}, []),
        ((), {"detection_paranoia_level": 2, "blocking_paranoia_level": 2},
         ["Its rule counts anyway: the blocking paranoia level is 2."]),
        ((), {}, ["Its rule is off in this policy: the detection paranoia level is 1."]),
        (("942",), {"detection_paranoia_level": 2}, ["Its rule is off in this policy: 942."]),
    ],
)  # fmt: skip
def test_an_override_of_a_rule_that_counts_anyway_or_never_is_redundant(
    others: tuple[str, ...], policy: dict[str, Any], message: list[str]
) -> None:
    fields = KnownOverride(rule="942330", action=RuleAction.ENABLE, level=2, points=5)
    row = RuleOverride(id=1, policy_id=1).replace(fields)

    assert messages(row, *(an_override(2, rule) for rule in others), **policy) == message


def blocked(path: str, *rules: dict[str, Any], **others: Any) -> dict[str, Any]:
    return an_event(**{"method": "POST", "uri": path, "rules": list(rules), "time": NOW.isoformat(), **others})


def hit(rule: int, key: str, variable: str = "ARGS") -> dict[str, Any]:
    return a_rule(rule, matches=[{"variable": variable, "key": key, "value": "x", "bytes": 1}])


def watch(folder: Path, row: RuleExclusion, *events: dict[str, Any], now: datetime = NOW) -> Attacks | None:
    store(folder / "events.db", events, [a_log_line(event, policy="1", virtual_host="1") for event in events])
    connection = schema.open_to_read(folder / "events.db")
    answer = attacks(connection, [watched(row, {int(rule) for rule in row.rules})], now).get(row.id or 0)
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("others", "path", "rule"),
    [
        ({}, "/posts?a=1", hit(942100, "Content")),
        ({"target": "json", "target_name": "items.*.text"}, "/posts", hit(942100, "json.items.7.text")),
        ({"target_name": r"item_\d+", "name_is_pattern": True}, "/posts", hit(942100, "item_12")),
        ({"path_match": "below"}, "/posts/2", hit(942100, "content")),
        ({"path": r"/posts/\d+", "path_match": "pattern"}, "/posts/2", hit(942100, "content")),
        ({"path_match": "any"}, "/elsewhere", hit(942100, "content")),
        ({"path": "/bücher"}, "/b%C3%BCcher", hit(942100, "content")),
        ({"target": "request"}, "/posts", hit(942100, "other")),
        ({"target": "xml"}, "/posts", hit(942100, "", "REQUEST_XML")),
    ],
)
def test_an_attack_in_the_excluded_field_is_seen(
    tmp_path: Path, others: dict[str, Any], path: str, rule: dict[str, Any]
) -> None:
    answer = watch(tmp_path, an_exclusion(**others), blocked(path, rule, a_rule(949110)))

    assert answer == Attacks(1, (942100,))


@pytest.mark.parametrize(
    ("others", "path", "rule"),
    [
        ({}, "/posts", hit(942100, "other")),
        ({}, "/posts", hit(942100, "content", "REQUEST_COOKIES")),
        ({}, "/posts", hit(941100, "content")),
        ({}, "/posts", hit(949110, "content")),
        ({}, "/pages", hit(942100, "content")),
        ({"methods": ["PUT"]}, "/posts", hit(942100, "content")),
        ({"virtual_host_id": 2}, "/posts", hit(942100, "content")),
    ],
)
def test_what_fires_elsewhere_is_no_attack_in_it(
    tmp_path: Path, others: dict[str, Any], path: str, rule: dict[str, Any]
) -> None:
    assert watch(tmp_path, an_exclusion(**others), blocked(path, rule)) is None


def test_an_old_attack_is_not_counted(tmp_path: Path) -> None:
    event = blocked("/posts", hit(942100, "content"))
    assert watch(tmp_path, an_exclusion(), event, now=NOW + timedelta(days=31)) is None


def test_an_attack_is_said_with_its_rules() -> None:
    attack = {1: Attacks(1_200, (932100, 932160, 942100, 942190, 942270))}
    assert messages(an_exclusion(), attacks=attack) == [
        "Other rules fired on what is excluded, in 1,200 requests of the last 30 days: 932100, 932160, 942100, 942190 and 1 more."
    ]


@pytest.mark.parametrize(
    ("pattern", "beginning"),
    [
        (r"/posts/\d+", "/posts/"),
        ("/a|/b", ""),
        ("/posts?", "/post"),
        ("(?:x)", ""),
        ("^/x", "/x"),
        ("/(a|b)", ""),
        (r"/\.git", "/"),
    ],
)
def test_a_pattern_is_known_by_its_fixed_beginning(pattern: str, beginning: str) -> None:
    assert fixed_beginning(pattern) == beginning


def test_a_use_of_a_rule_that_counts_is_a_request_in_its_policy_that_fired_it(tmp_path: Path) -> None:
    events = [blocked("/", a_rule(rule), time=time) for rule, time in (
        (942330, "2026-11-26T00:00:00.000000Z"), (942330, "2026-11-25T00:00:00.000000Z"),
        (942330, "2026-10-20T00:00:00.000000Z"), (942100, "2026-11-26T00:00:00.000000Z"))]  # fmt: skip
    store(tmp_path / "events.db", events, [a_log_line(event, policy="1", virtual_host="1") for event in events])
    connection = schema.open_to_read(tmp_path / "events.db")

    uses = of_rules(connection, [(7, 942330, 1), (8, 942330, 2)], NOW)

    connection.close()
    assert uses == {7: Use(2, datetime(2026, 11, 26, tzinfo=UTC)), 8: Use(0, None)}
