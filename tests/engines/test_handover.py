"""What a new worker is told of servers: what checks found, and nothing that the new configuration says otherwise."""

from typing import Any

import pytest

from guardpanel.engines.servers.configured import Backends, servers_in
from guardpanel.engines.servers.handover import (
    COLUMNS,
    HEAD,
    Row,
    addresses_in,
    in_place,
    rows_in,
    state_lines,
)
from guardpanel.rendering import DesiredState, render
from tests.rows import FACTS, rows

A, B, NAMED = {"address": "192.0.2.1:80"}, {"address": "192.0.2.2:80"}, {"address": "app.lan:8080"}

DEAD = {"srv_op_state": "0", "srv_check_health": "0", "srv_check_result": "2", "srv_time_since_last_change": "77"}
"Of a server that its checks found down."


def configured(*servers: dict[str, Any], **host: Any) -> Backends:
    fields = {"health_check_rise": 2, "health_check_fall": 3, **host, "servers": list(servers)}
    bundle = render(DesiredState.from_rows(rows({}, {"shop.example": fields}), FACTS))
    return servers_in(bundle.files["haproxy.cfg"].decode())


def server_states(*servers: dict[str, str]) -> dict[tuple[str, str], Row]:
    """`show servers state` of be_1: UP unless said otherwise."""
    up = {"srv_op_state": "2", "srv_admin_state": "0", "srv_check_health": "4", "srv_check_result": "3"}
    fixed = {"be_name": "be_1", "srv_addr": "192.0.2.9", "srv_port": "1", "srv_uweight": "9", "srv_iweight": "9"}
    lines = []
    for at, facts in enumerate(servers, 1):
        row = {**fixed, **up, "srv_name": f"s{at}", **facts}
        lines.append(" ".join(row.get(name, "0") for name in COLUMNS))
    return rows_in("\n".join([*HEAD, *lines, ""]))


def handed_over(
    before: Any, live: Backends, new: Backends, handed: Any = None, addresses: dict[str, str] | None = None
) -> dict[str, Row]:
    """The lines for be_1 by server."""
    lines = state_lines(before, live, new, handed=handed or {}, addresses=addresses or addresses_in(before, live))
    assert lines[:2] == [*HEAD]
    written = (dict(zip(COLUMNS, line.split(), strict=True)) for line in lines[len(HEAD) :] if line)
    return {row["srv_name"]: row for row in written}


def states(rows: dict[str, Row]) -> dict[str, str]:
    return {name: row["srv_op_state"] for name, row in rows.items()}


def test_a_server_that_is_down_stays_down_and_since_when_is_kept() -> None:
    servers = configured(A, B)

    rows = handed_over(server_states(DEAD, {}), servers, servers)

    assert states(rows) == {"s1": "0", "s2": "2"}
    assert rows["s1"]["srv_time_since_last_change"] == "77"
    assert rows["s1"]["srv_check_result"] == "2"
    assert rows["s2"]["srv_check_health"] == "4"


def test_what_was_checked_elsewhere_says_nothing_of_the_configured_address() -> None:
    here = {"srv_addr": "192.0.2.1", "srv_port": "80"}
    named = {"srv_addr": "192.0.2.7", "srv_port": "8080"}
    states = server_states(DEAD | here, DEAD | {"srv_addr": "192.0.2.7"}, DEAD | named)

    assert [server for _, server in in_place(states, configured(A, B, NAMED))] == ["s1", "s3"]


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ({"address": "192.0.2.1:81"}, {}), ({"address": "192.0.2.3:80"}, {}), ({"address": "https://192.0.2.1:80"}, {}),
        (A, {"health_check_path": "/up"}), (A, {"health_check_status": "200"}), (A, {"health_check_host": "x.example"}),
        (A, {"health_check": False}), ({**A, "health_check": False}, {}),
    ],
)  # fmt: skip
def test_another_address_or_check_starts_over(server: dict[str, Any], host: dict[str, Any]) -> None:
    assert handed_over(server_states(DEAD), configured(A), configured(server, **host)) == {}


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ({**A, "weight": 7}, {}), ({**A, "backup": True}, {}), (A, {"balance": "first"}), (A, {"health_check_interval": 9}),
        (A, {"health_check_rise": 5, "health_check_fall": 1}), ({**A, "health_check_rise": 5, "health_check_fall": 1}, {}),
    ],
)  # fmt: skip
def test_what_does_not_ask_another_question_keeps_what_was_found(server: dict[str, Any], host: dict[str, Any]) -> None:
    assert states(handed_over(server_states(DEAD), configured(A), configured(server, **host))) == {"s1": "0"}


def test_port_weight_and_tls_are_as_configured_whatever_the_old_worker_says() -> None:
    secure = {"address": "https://192.0.2.1:443", "weight": 7}
    servers = configured(secure)

    row = handed_over(server_states({**DEAD, "srv_use_ssl": "0", "srv_port": "99"}), servers, servers)["s1"]

    assert (row["srv_port"], row["srv_use_ssl"], row["srv_admin_state"]) == ("443", "1", "0")
    assert (row["srv_uweight"], row["srv_iweight"], row["srv_addr"]) == ("7", "7", "-")


def test_a_server_keeps_its_state_when_an_earlier_one_is_removed() -> None:
    rows = handed_over(server_states(DEAD, {}), configured(A, B), configured(B))
    assert states(rows) == {"s1": "2"}

    rows = handed_over(server_states({}, DEAD), configured(A, B), configured(B))
    assert states(rows) == {"s1": "0"}


def test_two_in_one_place_keep_their_own() -> None:
    assert states(handed_over(server_states({}, DEAD), configured(A, A), configured(A, A))) == {"s1": "2", "s2": "0"}


@pytest.mark.parametrize("admin", ["1", "5", "8", "32", "36"])
def test_maintenance_and_drain_say_nothing_of_health_and_are_not_handed_on(admin: str) -> None:
    assert handed_over(server_states({**DEAD, "srv_admin_state": admin}), configured(A), configured(A)) == {}


def test_what_checks_found_since_a_server_was_put_back_is_handed_on() -> None:
    was_disabled = {**DEAD, "srv_admin_state": "4"}
    assert states(handed_over(server_states(was_disabled), configured(A), configured(A))) == {"s1": "0"}


def test_a_name_that_is_not_in_use_keeps_its_address_and_nothing_else() -> None:
    before = server_states({**DEAD, "srv_addr": "192.0.2.7"})

    row = handed_over(before, configured(NAMED), configured({**NAMED, "enabled": False}))["s1"]

    assert (row["srv_addr"], row["srv_op_state"], row["srv_admin_state"]) == ("192.0.2.7", "0", "5")


def test_what_is_not_in_use_is_not_told_of() -> None:
    assert handed_over(server_states(DEAD), configured(A), configured({**A, "enabled": False})) == {}
    assert handed_over(server_states(DEAD), configured({**A, "enabled": False}), configured(A)) != {}


def test_a_server_that_nothing_checks_is_never_down() -> None:
    servers = configured(A, NAMED, health_check=False)

    rows = handed_over(server_states(DEAD, {**DEAD, "srv_addr": "192.0.2.7"}), servers, servers)

    assert states(rows) == {"s2": "2"}
    assert rows["s2"]["srv_check_state"] == "0"


def test_a_server_counts_its_own_checks() -> None:
    """A backend's numbers are its servers', unless they have their own."""
    (backend,) = configured(A, {**B, "health_check_rise": 7, "health_check_fall": 4}).values()

    assert [(one.rise, one.fall) for one in backend] == [(2, 3), (7, 4)]


NEW_NAME = {"addresses": {"app.lan": "192.0.2.7"}}


@pytest.mark.parametrize(
    "before",
    [{}, {"srv_check_status": "0"}, {**DEAD, "srv_check_status": "0"}, {"srv_op_state": "0"}, {"srv_check_health": "1"}],
)  # fmt: skip
def test_checks_of_a_server_are_never_said_to_be_off(before: dict[str, str]) -> None:
    """HAProxy would find nothing of it any more, and crash: also one that was told so by an earlier release."""
    servers = configured(NAMED)

    assert handed_over({}, {}, servers, **NEW_NAME)["s1"]["srv_check_status"] == "1"
    assert handed_over(server_states(before), servers, servers, **NEW_NAME)["s1"]["srv_check_status"] == "1"
    unchecked = handed_over({}, {}, configured(NAMED, health_check=False), **NEW_NAME)
    assert unchecked["s1"]["srv_check_status"] == "0"


@pytest.mark.parametrize("health", ["2", "4"])
def test_a_new_name_is_up_after_a_second_save_that_comes_before_its_first_check(health: str) -> None:
    servers = configured(NAMED)
    first = handed_over({}, {}, servers, **NEW_NAME)
    handed = {("be_1", "s1"): first["s1"]}

    before = server_states({"srv_check_result": "0", "srv_check_health": health, "srv_addr": "192.0.2.7"})

    assert states(handed_over(before, servers, servers, handed)) == {"s1": "2"}


def test_a_name_keeps_its_address_and_another_name_does_not_inherit_it() -> None:
    before = server_states({**DEAD, "srv_addr": "192.0.2.7"})

    row = handed_over(before, configured(NAMED), configured(NAMED))["s1"]
    assert (row["srv_addr"], row["srv_fqdn"], row["srv_port"], row["srv_op_state"]) == (
        "192.0.2.7",
        "app.lan",
        "8080",
        "0",
    )
    assert handed_over(before, configured(NAMED), configured({"address": "app2.lan:8080"})) == {}
    elsewhere = handed_over(before, configured(NAMED), configured(A, {"address": "app.lan:9090"}))["s2"]
    assert (elsewhere["srv_addr"], elsewhere["srv_port"], elsewhere["srv_op_state"]) == ("192.0.2.7", "9090", "2")


def test_of_another_configuration_nothing_is_known() -> None:
    assert handed_over(server_states(DEAD), {}, configured(A)) == {}
    assert handed_over({}, configured(A), configured(A)) == {}
    assert rows_in("") == rows_in("nonsense\n1\n") == {}


def test_of_a_line_only_the_columns_are_held_that_are_read() -> None:
    line = "1 be_1 1 s1 192.0.2.1 2 0 7 7 5 6 3 4 0 0 0 0 - 80 - 0 0 - - 0"
    assert rows_in("\n".join([*HEAD, line, ""])) == {
        ("be_1", "s1"): {
            "be_name": "be_1", "srv_name": "s1", "srv_addr": "192.0.2.1", "srv_op_state": "2", "srv_admin_state": "0",
            "srv_uweight": "7", "srv_time_since_last_change": "5", "srv_check_status": "6", "srv_check_result": "3",
            "srv_check_health": "4", "srv_port": "80",
        }
    }  # fmt: skip


def handed(health: int, op: str, result: str) -> dict[tuple[str, str], Row]:
    return server_states({"srv_op_state": op, "srv_check_health": str(health), "srv_check_result": result})


@pytest.mark.parametrize(
    ("health", "result", "earlier", "state"),
    [
        (1, "3", 1, "2"),  # a good check in each of two workers: up, as after two in one
        (1, "3", 0, "0"), (0, "3", 1, "0"),  # no check since
        (0, "2", 1, "0"),  # a bad one since
    ],
)  # fmt: skip
def test_good_checks_count_on_over_reloads(health: int, result: str, earlier: int, state: str) -> None:
    servers = configured(A)
    before = server_states({"srv_op_state": "0", "srv_check_health": str(health), "srv_check_result": result})

    row = handed_over(before, servers, servers, handed(earlier, "0", "3"))["s1"]

    assert row["srv_op_state"] == state
    assert row["srv_check_health"] == str({(0, "3"): 1, (0, "2"): 0}.get((health, result), 4 if state == "2" else 1))


@pytest.mark.parametrize(
    ("health", "result", "earlier", "state"),
    [
        (2, "2", 3, "0"), (3, "2", 2, "0"),  # three bad checks in two workers: down, as after three in one
        (3, "2", 3, "2"), (4, "2", 2, "2"),  # no check since
        (4, "3", 2, "2"),  # a good one since
        (3, "0", 2, "0"),  # while a check runs
    ],
)  # fmt: skip
def test_bad_checks_count_on_over_reloads(health: int, result: str, earlier: int, state: str) -> None:
    servers = configured(A)
    before = server_states({"srv_check_health": str(health), "srv_check_result": result})

    assert handed_over(before, servers, servers, handed(earlier, "2", "2"))["s1"]["srv_op_state"] == state
