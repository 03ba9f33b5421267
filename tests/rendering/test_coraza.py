"""Applications: one per distinct effective policy, named after its own text."""

import re
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from guardpanel.bundle import Bundle
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.policies.policy_lists import MASKED_FIELDS
from guardpanel.rendering import DesiredState, render
from tests.panel import ROOT
from tests.rows import FACTS, rows

HOST: dict[str, Any] = {"servers": [{"address": "192.0.2.1"}], "policy": "P"}


def made(policies: dict[str, dict[str, Any]], hosts: dict[str, dict[str, Any]] | None = None) -> Bundle:
    return render(DesiredState.from_rows(rows(policies, hosts or {}), FACTS))


def name(**fields: Any) -> str:
    (application,) = made({"P": fields}).applications
    return application.name


def test_equal_policies_share_an_application() -> None:
    (application,) = made(
        {"A": {}, "B": {}, "C": {"fail_mode": "closed", "over_limit": "pass", "skip_paths": [".css"]}}
    ).applications

    assert application.policy_ids == (1, 2, 3)


@pytest.mark.parametrize(
    "changed",
    [
        {"enforcement_mode": "block"},
        {"detection_paranoia_level": 2},
        {"blocking_paranoia_level": 2, "detection_paranoia_level": 2},
        {"inbound_anomaly_threshold": 6},
        {"outbound_anomaly_threshold": 5},
        {"body_limit_kib": 129},
        {"argument_limit": 999},
        {"file_inspection": True},
        {"json_value_limit": 999},
        {"response_inspection": True},
        {"allowed_methods": ["GET"]},
        {"allowed_content_types": ["text/plain"]},
        {"allowed_content_types": ["image/*"]},
        {"content_type_readings": ["text/plain = json"]},
        {"content_type_readings": ["text/plain = none"]},
        {"argument_name_length": 100},
        {"argument_length": 100},
        {"total_argument_length": 100},
        {"upload_kib": 100},
        {"files_kib": 100},
        {"allowed_charsets": ["utf-8"]},
        {"allowed_http_versions": ["1.1"]},
        {"restricted_headers": ["expect"]},
        {"restricted_headers": []},
        {"restricted_extensions": [".sql"]},
        {"restricted_extensions": []},
        {"masked_fields": ["pin"]},
        {"record_one_in": 0},
        {"record_per_day": 24},
        {"record_days": 1},
        {"masked_fields": []},
    ],
)
def test_every_field_that_changes_the_rules_changes_the_name(changed: dict[str, Any]) -> None:
    assert name(**changed) != name()


@pytest.mark.parametrize(
    "changed",
    [
        {"description": "words"},
        {"fail_mode": "closed"},
        {"over_limit": "pass"},
        {"upload_seconds": 20},
        {"skip_paths": ["/a/"]},
    ],
)
def test_what_haproxy_alone_does_changes_no_rules(changed: dict[str, Any]) -> None:
    assert name(**changed) == name()


def test_a_policy_has_an_application_per_mode_it_is_used_in() -> None:
    bundle = made(
        {"P": {}},
        {
            "a.test": HOST,
            "b.test": {**HOST, "enforcement_mode": "block"},
            "c.test": {**HOST, "enforcement_mode": "off"},
        },
    )

    assert sorted(application.blocks for application in bundle.applications) == [False, True]
    assert {application.policy_ids for application in bundle.applications} == {(1,)}


def test_off_has_no_application() -> None:
    bundle = made({"P": {"enforcement_mode": "off"}}, {"a.test": HOST})

    assert bundle.applications == ()
    assert yaml.safe_load(bundle.files["coraza.yaml"])["applications"] == []


def test_the_agents_file_reads_back_as_the_applications() -> None:
    bundle = made({"A": {}, "B": {"enforcement_mode": "block", "response_inspection": True}})

    document = yaml.safe_load(bundle.files["coraza.yaml"])

    assert document["bind"] == "unix:///run/guardpanel/agent.sock"
    assert "default_application" not in document
    assert [
        (application["name"], application["directives"], application["response_check"])
        for application in document["applications"]
    ] == [(application.name, application.directives, application.response_check) for application in bundle.applications]


def test_every_rule_has_its_own_id() -> None:
    import re

    for application in made({"A": {}, "B": {"enforcement_mode": "block"}}).applications:
        ids = [int(number) for number in re.findall(r"\bid:(\d+)", application.directives)]
        assert len(ids) == len(set(ids))
        assert all(100_000 <= number < 200_000 for number in ids)


@pytest.mark.parametrize(
    ("masked", "line"),
    [
        (
            ["PIN", "*token*", "user[name]", "@cards", "a.b:c/d-e_f", "*"],
            "# guardpanel-mask: pin *token* user[name] @cards a.b:c/d-e_f *",
        ),
        ([], "# guardpanel-mask:"),
    ],
)
def test_the_agent_gets_the_masked_fields(masked: list[str], line: str) -> None:
    (application,) = made({"P": {"masked_fields": masked}}).applications

    assert application.directives.split("\n").count(line) == 1
    assert sum("guardpanel-mask" in line for line in application.directives.split("\n")) == 1


def test_without_a_list_of_its_own_a_policy_masks_what_the_agent_does() -> None:
    source = (ROOT / "spoa" / "event_mask.go").read_text("utf-8")
    default = re.search(r"const defaultMask = (.*?)\n\n", source, re.DOTALL)
    assert default
    agents = [*"".join(re.findall(r'"([^"]*)"', default[1])).split(), "@cards"]

    assert agents == MASKED_FIELDS
    assert PolicyFields(name="P").masked_fields == MASKED_FIELDS


@pytest.mark.parametrize(
    "typed", ["pass word", "p*n", "**x", "naïve", "@card", "a'b", "#", "a" * 101, "a\nb", "\u202ea", "%{x}", "a\\"]
)
def test_what_is_no_name_is_refused_in_words(typed: str) -> None:
    with pytest.raises(ValidationError, match=r"is not a valid field name|invisible character"):
        PolicyFields(name="P", masked_fields=[typed])
