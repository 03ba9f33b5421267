"""From rows to the state that is rendered."""

from dataclasses import replace
from typing import Any

import pytest

from guardpanel.models import NOUNS
from guardpanel.models.listener import ListenerFields
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.server import Balance, ServerFields
from guardpanel.rendering import DesiredState, render
from guardpanel.rendering.rows import OURS
from tests.rows import FACTS, rows

SERVERS = {"servers": [{"address": "192.0.2.1"}]}


def state(policies: dict[str, dict[str, Any]], hosts: dict[str, dict[str, Any]]) -> DesiredState:
    return DesiredState.from_rows(
        rows(policies, {name: {**SERVERS, **fields} for name, fields in hosts.items()}), FACTS
    )


def test_of_a_disabled_virtual_host_only_the_names_are_part_of_it() -> None:
    made = state({}, {"a.test": {}, "z.b.test *.b.test": {"enabled": False}, "c.test": {}})

    assert [host.hostnames for host in made.virtual_hosts] == [("a.test",), ("c.test",)]
    assert made.names_off == ("*.b.test", "z.b.test")


def test_the_order_of_rows_does_not_matter() -> None:
    given = rows(
        {"A": {}, "B": {}},
        {
            "a.test b.test": {"servers": [{"address": "192.0.2.1"}, {"address": "192.0.2.2"}]},
            "c.test": SERVERS,
            "d.test": {**SERVERS, "enabled": False},
            "0.test": {**SERVERS, "enabled": False},
        },
    )
    turned = {table: list(reversed(table_rows)) for table, table_rows in given.items()}

    assert DesiredState.from_rows(turned, FACTS) == DesiredState.from_rows(given, FACTS)


@pytest.mark.parametrize(
    ("policy", "host", "mode"),
    [
        ({}, {"policy": "P"}, EnforcementMode.DETECT_ONLY),
        ({"enforcement_mode": "block"}, {"policy": "P"}, EnforcementMode.BLOCK),
        ({"enforcement_mode": "block"}, {"policy": "P", "enforcement_mode": "off"}, EnforcementMode.OFF),
        ({}, {"policy": "P", "enforcement_mode": "block"}, EnforcementMode.BLOCK),
        ({"enforcement_mode": "block"}, {}, EnforcementMode.OFF),
    ],
)
def test_a_virtual_hosts_own_mode_beats_its_policys(
    policy: dict[str, object], host: dict[str, object], mode: EnforcementMode
) -> None:
    made = state({"P": policy}, {"a.test": host})

    assert made.effective(made.virtual_hosts[0])[1] is mode


@pytest.mark.parametrize(
    ("fail_mode", "mode", "opens"),
    [
        ("by_mode", "block", False),
        ("by_mode", "detect_only", True),
        ("closed", "block", False),
        ("closed", "detect_only", False),
        ("open", "block", True),
        ("open", "detect_only", True),
    ],
)
def test_a_policy_fails_open_if_configured_or_only_detecting(fail_mode: str, mode: str, opens: bool) -> None:
    made = state({"P": {"fail_mode": fail_mode}}, {})

    assert made.policies[1].fails_open(EnforcementMode(mode)) is opens


def test_the_buffers_follow_the_largest_body_limit_that_is_in_effect() -> None:
    policies: dict[str, dict[str, Any]] = {
        "A": {"body_limit_kib": 10},
        "B": {"body_limit_kib": 300},
        "Off": {"enforcement_mode": "off"},
    }
    host: dict[str, Any] = {"servers": [{"address": "192.0.2.1"}]}
    both = {"a.test": {**host, "policy": "A"}, "b.test": {**host, "policy": "B"}}

    assert state(policies, both).body_limit == 300 * 1024
    assert state(policies, {"a.test": both["a.test"]}).body_limit == 10 * 1024
    assert state(policies, {"off.test": {**host, "policy": "Off"}, "none.test": host}).body_limit == 0


@pytest.mark.parametrize(
    ("names", "first"),
    [
        ("a.test b.test", "a.test"),
        ("*.a.test b.test", "b.test"),
        ("*.a.test", "www.a.test"),
        ("*.a.test *.b.test", "www.a.test"),
    ],
)
def test_checks_ask_for_the_first_exact_name(names: str, first: str) -> None:
    assert state({}, {names: {}}).virtual_hosts[0].first_exact_hostname == first


def test_config_templates_see_every_field_of_a_noun_that_is_for_the_engines() -> None:
    """The model alone declares it."""
    desired = state({"P": {}}, {"a.test": {"policy": "P", "balance": "first", "health_check": False}})
    (host,) = desired.virtual_hosts

    for noun, value in (
        (NOUNS["virtual_host"], host),
        (NOUNS["policy"], desired.policies[1]),
        (NOUNS["traffic"], desired.traffic),
    ):
        fields = noun.fields.model_fields.keys()
        assert {name for name in fields if not hasattr(value, name)} == OURS & fields
    assert [name for name in ServerFields.model_fields if not hasattr(host.servers[0], name)] == []
    assert [name for name in ListenerFields.model_fields if not hasattr(desired.traffic.listeners[0], name)] == []
    assert (host.balance, host.health_check) == (Balance.FIRST, False)


@pytest.mark.parametrize(
    ("http", "https", "may_be"),
    [("0.0.0.0", "::", True), ("::", "0.0.0.0", True), ("0.0.0.0", "0.0.0.0", False)],
)
def test_ipv4_visitors_of_an_ipv6_listener_are_told_apart(http: str, https: str, may_be: bool) -> None:
    """Such a socket has them as `::ffff:192.0.2.7`, whose first 64 bits are the same for all."""
    facts = replace(FACTS, http_binds=((http, 80),), https_binds=((https, 443),))
    made = DesiredState.from_rows(rows({}, {"a.test": {**SERVERS, "https": True}}), facts)

    assert made.traffic.may_see_mapped_addresses is may_be
    assert (b'regsub("^::ffff:"' in render(made).files["haproxy.cfg"]) is may_be


@pytest.mark.parametrize(
    ("table", "owner", "field", "value"),
    [
        ("virtualhost", "id", "compression", True),
        ("hostname", "virtual_host_id", "name", "c.test"),
        ("server", "virtual_host_id", "address", "192.0.2.7"),
    ],
)
def test_a_virtual_host_is_read_again_if_one_of_its_rows_is_another_and_not_otherwise(
    table: str, owner: str, field: str, value: object
) -> None:
    given = rows({}, {"a.test": SERVERS, "b.test": SERVERS})
    first, second = DesiredState.from_rows(given, FACTS).virtual_hosts
    edited = [{**row, field: value} if row[owner] == second.id else row for row in given[table]]

    hosts = DesiredState.from_rows({**given, table: edited}, FACTS).virtual_hosts

    assert hosts[0] is first
    assert hosts[1] != second
    copies = {name: [dict(row) for row in those] for name, those in {**given, table: edited}.items()}
    assert DesiredState.from_rows(copies, FACTS).virtual_hosts == hosts


def test_a_virtual_host_is_read_again_if_it_has_a_server_more_or_less() -> None:
    given = rows({}, {"a.test": SERVERS})
    more = [*given["server"], {**given["server"][0], "position": 1, "address": "192.0.2.8"}]

    for servers in (given["server"], more, given["server"]):
        (host,) = DesiredState.from_rows({**given, "server": servers}, FACTS).virtual_hosts
        assert len(host.servers) == len(servers)


def test_what_the_engines_get_nothing_of_leaves_the_state_of_a_row_the_same_object() -> None:
    before, after = (
        state({"P": {"notes": notes}}, {"a.test": {"policy": "P", "notes": notes}}) for notes in ("", "Ask Ada first.")
    )

    assert after.virtual_hosts[0] is before.virtual_hosts[0]
    assert after.policies[1] is before.policies[1]
