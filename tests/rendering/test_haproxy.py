"""The lines that matter, by what they are made from."""

from dataclasses import replace
from typing import Any

import pytest

from guardpanel.bundle import Bundle
from guardpanel.rendering import DesiredState, EngineFacts, render
from tests.rows import FACTS, rows

HOST: dict[str, Any] = {"servers": [{"address": "192.0.2.1:81"}]}
TLS: dict[str, Any] = {"servers": [{"address": "https://192.0.2.1"}], "tls_name": "app.lan"}


def made(hosts: dict[str, dict[str, Any]], facts: EngineFacts = FACTS, **policies: dict[str, Any]) -> Bundle:
    return render(DesiredState.from_rows(rows(policies, hosts), facts))


def lines(bundle: Bundle, path: str = "haproxy.cfg") -> list[str]:
    return [line.strip() for line in bundle.files[path].decode().split("\n")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (HOST, "server s1 192.0.2.1:81 weight 100"),
        ({"servers": [{"address": "192.0.2.1"}]}, "server s1 192.0.2.1:80 weight 100"),
        (
            {"servers": [{"address": "[2001:DB8::1]:8080", "weight": 0}]},
            "server s1 [2001:db8::1]:8080 weight 0",
        ),
        (
            {"servers": [{"address": "a", "backup": True}]},
            "server s1 a:80 weight 100 init-addr last,libc,none resolvers system backup",
        ),
        (
            {"servers": [{"address": "192.0.2.1", "enabled": False}]},
            "server s1 192.0.2.1:80 weight 100 disabled",
        ),
        (
            TLS,
            (
                "server s1 192.0.2.1:443 weight 100 ssl alpn http/1.1 sni str(app.lan) check-sni app.lan "
                "verify required verifyhost app.lan ca-file /etc/ssl/certs/ca-certificates.crt"
            ),
        ),
        (
            {**TLS, "health_check": False, "tls_verify": "off"},
            "server s1 192.0.2.1:443 weight 100 ssl alpn http/1.1 sni str(app.lan) verify none",
        ),
        ({**HOST, "balance": "leastconn"}, "balance leastconn"),
        ({**HOST, "balance": "source"}, "hash-type consistent"),
        (
            {**HOST, "health_check_path": "/up?a=1"},
            "http-check send meth GET uri '/up?a=1' ver HTTP/1.1 hdr host 'a.test'",
        ),
        (
            {**HOST, "health_check_host": "x.test"},
            "http-check send meth GET uri '/' ver HTTP/1.1 hdr host 'x.test'",
        ),
        ({**HOST, "health_check_status": "200, 204"}, "http-check expect status 200,204"),
        (
            {**HOST, "health_check_interval": 7, "health_check_rise": 1, "health_check_fall": 9},
            "default-server check inter 7s rise 1 fall 9",
        ),
    ],
)
def test_a_field_becomes_its_line(fields: dict[str, Any], expected: str) -> None:
    found = lines(made({"a.test": fields}))

    assert [line for line in found if line.startswith(expected.partition(" ")[0]) and expected in line] == [expected]


def test_without_a_health_check_nothing_checks() -> None:
    found = lines(made({"a.test": {**HOST, "health_check": False}}))

    assert not [line for line in found if line.startswith(("option httpchk", "http-check", "default-server"))]


def test_the_authority_that_was_pasted_is_a_file_of_its_own() -> None:
    from tests.live.origins import certificate

    authority = certificate("a.test").authority
    bundle = made({"a.test": {**TLS, "tls_verify": "ca", "tls_ca": authority}})

    assert bundle.files["ca/1.pem"].decode() == authority
    assert any(line.endswith("ca-file ca/1.pem") for line in lines(bundle))


def test_names_stand_in_maps_and_wildcards_by_their_parent() -> None:
    bundle = made({"shop.test *.shop.test münchen.test": HOST, "other.test": HOST})

    assert lines(bundle, "hosts.map") == ["other.test 2", "shop.test 1", "xn--mnchen-3ya.test 1", ""]
    assert lines(bundle, "wildcards.map") == ["shop.test 1", ""]


def test_names_of_what_is_switched_off_stand_in_the_maps_so_that_no_wildcard_takes_them() -> None:
    bundle = made({"z.wild.test *.z.wild.test": {**HOST, "enabled": False}, "*.wild.test": HOST})

    assert lines(bundle, "hosts.map") == ["z.wild.test off", ""]
    assert lines(bundle, "wildcards.map") == ["wild.test 2", "z.wild.test off", ""]


@pytest.mark.parametrize(
    ("policy", "host", "expected"),
    [
        ({}, {}, "pass;open;131072;0;pass;0"),
        ({"enforcement_mode": "block"}, {}, "refuse;closed;131072;0;131072:10:16;0"),
        ({"enforcement_mode": "block", "upload_seconds": 5, "upload_rate_kib": 8}, {}, "131072;0;131072:5:8;0"),
        ({"over_limit": "pass"}, {}, "pass;open;131072;0;pass;0"),
        ({"over_limit": "refuse"}, {}, "refuse;open;131072;0;pass;0"),
        ({"over_limit": "refuse"}, {"enforcement_mode": "block"}, "refuse;closed;131072;0;131072:10:16;0"),
        ({"over_limit": "inspect_beginning"}, {}, "beginning;open;131072;0;pass;0"),
        ({"over_limit": "inspect_beginning"}, {"enforcement_mode": "block"}, "beginning;closed;131072;0;pass;0"),
        ({"body_limit_kib": 1}, {}, "open;1024;0;pass;0"),
        ({"response_inspection": True}, {}, "131072;judge_beginning;pass;0"),
        ({"response_inspection": True, "streamed_responses": "hold_back"}, {}, "131072;hold_back;pass;0"),
        ({"fail_mode": "closed"}, {}, "closed;131072;0;pass;0"),
        ({}, {"enforcement_mode": "block"}, "refuse;closed;131072;0;131072:10:16;0"),
        ({}, {"maintenance": True}, "open;131072;0;pass;1"),
    ],
)
def test_a_virtual_host_is_bound_to_its_policys_behaviour(
    policy: dict[str, Any], host: dict[str, Any], expected: str
) -> None:
    bundle = made({"a.test": {**HOST, "policy": "P", **host}}, P=policy)

    (line, _) = lines(bundle, "vhosts.map")
    assert line.startswith(("1 be_1;p",))
    assert line.split(";")[1] in {application.name for application in bundle.applications}
    assert line.endswith(expected)


@pytest.mark.parametrize("fields", [{}, {"policy": "P", "enforcement_mode": "off"}])
def test_a_virtual_host_without_the_waf_is_bound_to_none(fields: dict[str, Any]) -> None:
    assert (
        lines(made({"a.test": {**HOST, **fields, "maintenance": True}}, P={}), "vhosts.map")[0]
        == "1 be_1;-;0;pass;open;0;0;pass;1"
    )


def test_skip_lists_are_keyed_by_policy_and_there_only_when_needed() -> None:
    bundle = made({}, A={"skip_paths": [".CSS", "/assets/"]}, B={"skip_paths": [".css"]})

    assert lines(bundle, "skip_endings.map") == ["1:.css 1", "2:.css 1", ""]
    assert lines(bundle, "skip_paths.map") == ["1:/assets/ 1", ""]
    without = made({}, A={})
    assert not [path for path in without.files if path.startswith("skip")]
    assert b"skip_" not in without.files["haproxy.cfg"]


def test_answers_are_looked_at_only_where_a_policy_asks() -> None:
    asked, not_asked = made({}, A={"response_inspection": True}), made({}, A={})

    assert b"spoe-message coraza-res" in asked.files["coraza.cfg"]
    assert b"http-response send-spoe-group" in asked.files["haproxy.cfg"]
    assert b"coraza-res" not in not_asked.files["coraza.cfg"] + not_asked.files["haproxy.cfg"]


@pytest.mark.parametrize(("limit", "size"), [(1, 64), (16, 64), (128, 176), (4096, 4144)])
def test_a_buffer_holds_the_largest_body_and_the_largest_headers(limit: int, size: int) -> None:
    policies = {"A": {"body_limit_kib": 1}, "B": {"body_limit_kib": limit}, "Unused": {"body_limit_kib": 4096}}

    assert f"tune.bufsize {size * 1024}" in lines(
        made({"a.test": {**HOST, "policy": "A"}, "b.test": {**HOST, "policy": "B"}}, **policies)
    )


def test_every_address_that_visitors_use_is_bound() -> None:
    facts = EngineFacts((("0.0.0.0", 80), ("::1", 8080)), "/r/p.sock", "/r/a.sock", "@system-ca", "s")

    found = lines(made({}, facts))

    assert {"bind 0.0.0.0:80 proto h1 name in1", "bind [::1]:8080 proto h1 name in2"} <= set(found)


def test_where_the_panel_looks_names_up_haproxy_asks_nobody() -> None:
    found = lines(
        made({"a.test": {"servers": [{"address": "one.lan:81"}]}}, replace(FACTS, server_states="/r/s.state"))
    )

    assert "server s1 one.lan:81 weight 100 init-addr last,none" in found
    assert {"server-state-file '/r/s.state'", "load-server-state-from-file global"} <= set(found)
    assert not any("resolvers" in line for line in found)


def test_names_that_must_resolve_are_told() -> None:
    servers = [
        {"address": "one.lan:81"},
        {"address": "192.0.2.1"},
        {"address": "two.lan", "resolve_later": True},
        {"address": "three.lan", "enabled": False},
    ]

    (named,) = made({"a.test": {"servers": servers}}).named_servers

    assert (named.virtual_host_id, named.position, named.host, named.port) == (1, 0, "one.lan", 81)


def test_trailers_are_dropped_where_haproxy_can_and_refused_elsewhere() -> None:
    old, new = lines(made({})), lines(made({}, replace(FACTS, drops_trailers=True)))

    refuses, drops = "http-request set-var(txn.gp.verdict) str(trailers)", "option http-drop-request-trailers"
    assert any(line.startswith(refuses) for line in old)
    assert drops not in old
    assert drops in new
    assert not any(line.startswith(refuses) for line in new)


def test_the_time_for_a_body_grows_with_its_length() -> None:
    """10 s, and one for each 16 KiB; nobody waits by two rules."""
    waits = [line for line in lines(made({"a.test": {"policy": "A", **HOST}}, A={"enforcement_mode": "block", "body_limit_kib": 4096}))
             if line.startswith("http-request wait-for-body") and "if waits {" in line]  # fmt: skip

    assert [[*line.split()[3:6:2], line.split()[-2]] for line in waits] == [
        ["14s", "4194305", "0:65536"], ["26s", "4194305", "65537:262144"], ["74s", "4194305", "262145:1048576"],
        ["266s", "4194305", "1048577:4194304"],
    ]  # fmt: skip


def test_coraza_spoa_is_asked_of_no_part_of_a_body() -> None:
    policy = {"over_limit": "inspect_beginning", "body_limit_kib": 48}
    bundle = made({"a.test": {"policy": "A", **HOST}}, replace(FACTS, small_frames=True), A=policy)

    assert ";pass;open;" in lines(bundle, "vhosts.map")[0]
    assert not any("txn.gp.partial) bool" in line for line in lines(bundle))


@pytest.mark.parametrize(
    ("host", "expected"),
    [({}, "1 131072;10000;16384;pass"), ({"enforcement_mode": "block"}, ""), ({"maintenance": True}, ""),
     ({"enforcement_mode": "off"}, "1 16384;1000;16384;off")],
)  # fmt: skip
def test_bodies_are_waited_for_early_where_late_ones_pass(host: dict[str, Any], expected: str) -> None:
    bundle = made({"a.test": {"policy": "A", **HOST, **host}}, A={})

    assert lines(bundle, "patience.map")[0] == expected


ORDER = ["tcp-request connection", "tcp-request content", "http-request"]


def test_rules_stand_in_the_order_in_which_haproxy_asks_them() -> None:
    """It warns of each that does not, at every check."""
    policy = {"body_limit_kib": 4096, "response_inspection": True}
    words = [line.split() for line in lines(made({"a.test": {"policy": "A", **HOST}}, A=policy))]
    rules = [f"{one[0]} {one[1]}" if one[0] == "tcp-request" else one[0] for one in words if len(one) > 2]
    rules = [rule for rule in rules if rule in ORDER]

    assert set(rules) == set(ORDER)
    assert rules == sorted(rules, key=ORDER.index)
