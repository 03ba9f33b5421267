"""What vhosts.map says of a policy's limits, and which tables count."""

from dataclasses import replace
from typing import Any

import pytest

from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.rendering import DesiredState
from guardpanel.rendering.limits import KEY_LENGTH, delays, keys, limits, parameters, periods
from tests.rows import FACTS, rows

HOST = {"servers": [{"address": "10.0.0.5:3000"}]}


def state(*policies: dict[str, Any], **host: Any) -> DesiredState:
    named = {f"P{number}": policy for number, policy in enumerate(policies)}
    return DesiredState.from_rows(
        rows(named, {f"{name}.example": {**HOST, "policy": name, **host} for name in named}), FACTS
    )


@pytest.mark.parametrize(
    ("requests", "seconds", "retry"), [(100, 10, 11), (5, 60, 72), (1, 10, 20), (1_000_000, 1, 2), (3, 10, 14)]
)
def test_visitors_are_told_when_a_request_would_pass(requests: int, seconds: int, retry: int) -> None:
    """HAProxy's window is the current period, and what has not faded of the one before."""
    policy = {"client_limits": True, "rate_limit_requests": requests, "rate_limit_window_seconds": seconds}

    assert limits(state(policy).policies[1], EnforcementMode.BLOCK) == f"{seconds}:{requests}:20:refuse:{retry}"


def test_a_policy_that_only_detects_refuses_nothing() -> None:
    policy = state({"client_limits": True}).policies[1]

    assert limits(policy, EnforcementMode.DETECT_ONLY) == "10:100:20:watch:11"


def test_errors_and_data_have_a_limit_if_the_policy_sets_one() -> None:
    on = {"client_limits": True, "errors_per_period": 30}
    data = {"client_limits": True, "mib_per_period": 3, "rate_limit_window_seconds": 60}
    other = {"client_limits": True, "rate_limit_window_seconds": 5}
    delayed = {**data, "limit_delay_seconds": 5}
    used = state(on, {**on, "limit_by": "path"}, other, data, delayed)

    written = [limits(policy, EnforcementMode.BLOCK) for policy in used.policies.values()]
    assert written[:3] == ["10:100:20:refuse:11::30", "10:100:20:refuse:11:path:30", "5:100:20:refuse:6"]
    assert written[3:] == ["60:100:20:refuse:61:::3145728", "60:100:20:refuse:61:::3145728:5"]
    assert [parameters(used)[kind] for kind in ("error_periods", "data_periods")] == [[10], [60]]


@pytest.mark.parametrize(
    ("by", "name", "word"),
    [
        ("network", "", "network"),
        ("path", "", "path"),
        ("header", "X-API-Key", "header.x-api-key"),
        ("cookie", "Session_id", "cookie.Session_id"),
    ],
)
def test_what_counts_is_named_if_it_is_not_the_address(by: str, name: str, word: str) -> None:
    on = {"client_limits": True, "limit_by": by, "limit_by_name": name}

    assert limits(state(on).policies[1], EnforcementMode.BLOCK) == f"10:100:20:refuse:11:{word}"
    used = state(on, on, {**on, "client_limits": False}, {"client_limits": True})
    unused = state(on, enforcement_mode="off")
    by_what = [parameters(used)[kind] for kind in ("limits_networks", "limits_paths")]
    assert by_what == [by == "network", by == "path"]
    assert [key.word for key in keys(used)] == [word] * (not any(by_what))
    assert keys(unused) == []
    assert not any(parameters(unused)[kind] for kind in ("limits_networks", "limits_paths"))


def test_requests_wait_only_where_haproxy_runs_lua() -> None:
    used = state({"client_limits": True, "limit_delay_seconds": 5})
    assert not delays(used)
    assert delays(replace(used, facts=replace(used.facts, runs_lua=True)))
    assert not delays(replace(state({"limit_delay_seconds": 5}), facts=replace(used.facts, runs_lua=True)))


def test_there_is_one_table_for_each_period_in_use() -> None:
    on = {"client_limits": True}

    assert periods(state(on, {**on, "rate_limit_window_seconds": 5}, {"rate_limit_window_seconds": 7}, on)) == [5, 10]
    assert periods(state(on, enforcement_mode="off")) == []
    assert periods(state(on, enabled=False)) == []


def test_a_key_is_never_cut() -> None:
    """Clients whose keys are equal after that would share a count."""
    network, hashed = "ffff:ffff:ffff:ffff::", -(2**63)
    assert len(f"{2**63}:{network}:{hashed}") <= KEY_LENGTH
