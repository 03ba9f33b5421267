"""A bundle is a function of its state: equal states give equal bytes, and every line knows its field."""

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from guardpanel.bundle import JUDGING, Bundle, Origin
from guardpanel.rendering import DesiredState, EngineFacts, render
from tests.rows import FACTS, rows

HOSTS: dict[str, dict[str, Any]] = {
    "a.test *.a.test": {
        "policy": "P",
        "servers": [{"address": "192.0.2.1"}, {"address": "https://app.lan:8443"}],
    },
    "b.test": {
        "policy": "Q",
        "servers": [{"address": "192.0.2.2"}],
        "balance": "source",
        "health_check": False,
    },
}
ROWS = rows(
    {
        "P": {"skip_paths": [".css", "/x/"], "response_inspection": True},
        "Q": {"enforcement_mode": "block", "response_inspection": True},
    },
    HOSTS,
)


def made(given: Any = ROWS, facts: EngineFacts = FACTS) -> Bundle:
    return render(DesiredState.from_rows(given, facts))


def test_equal_states_give_equal_bytes() -> None:
    again = made(copy.deepcopy(ROWS))

    assert again.files == made().files
    assert again.checksum == made().checksum


@pytest.mark.parametrize(
    ("table", "field", "value"),
    [
        ("virtualhost", "balance", "first"),
        ("virtualhost", "maintenance", True),
        ("virtualhost", "policy_id", None),
        ("virtualhost", "enforcement_mode", "block"),
        ("virtualhost", "health_check_path", "/up"),
        ("virtualhost", "enabled", False),
        ("virtualhost", "tls_name", "x.test"),
        ("virtualhost", "client_certificates", "optional"),
        ("virtualhost", "sticky_sessions", "cookie"),
        ("virtualhost", "server_protocol", "http2"),
        ("virtualhost", "streaming", True),
        ("virtualhost", "upgrades", ["tcp"]),
        ("hostname", "name", "c.test"),
        ("server", "address", "192.0.2.9"),
        ("server", "backup", True),
        ("server", "health_check", False),
        ("server", "health_check_interval", 9),
        ("server", "health_check_rise", 9),
        ("server", "health_check_fall", 9),
        ("server", "max_connections", 9),
        ("virtualhost", "queue_timeout", 9),
        ("policy", "country_mode", "reject"),
        ("policy", "asn_mode", "allow_only"),
        ("policy", "skip_paths", [".js"]),
        ("policy", "body_limit_kib", 1),
        ("policy", "argument_limit", 900),
        ("policy", "file_inspection", True),
        ("policy", "json_value_limit", 900),
        ("policy", "content_type_readings", ["text/plain = none"]),
        ("policy", "fail_mode", "closed"),
        ("policy", "over_limit", "refuse"),
        ("policy", "upload_seconds", 11),
        ("policy", "record_one_in", 0),
        ("policy", "record_per_day", 24),
        ("policy", "record_days", 1),
        ("policy", "upload_rate_kib", 17),
        ("policy", "response_seconds", 6),
        ("policy", "streamed_responses", "hold_back"),
        ("policy", "inbound_anomaly_threshold", 9),
    ],
)
def test_any_change_changes_the_checksum_or_how_requests_are_judged(table: str, field: str, value: object) -> None:
    changed = copy.deepcopy(dict(ROWS))
    changed[table][0][field] = value  # type: ignore[index]

    after, before = made(changed), made()
    assert (after.checksum, after.data_digest) != (before.checksum, before.data_digest)


@pytest.mark.parametrize(("field", "value"), [("inbound_anomaly_threshold", 9), ("argument_limit", 900)])
def test_how_requests_are_judged_is_outside_the_checksum(field: str, value: object) -> None:
    changed = copy.deepcopy(dict(ROWS))
    changed["policy"][0][field] = value  # type: ignore[index]

    after, before = made(changed), made()

    assert after.checksum == before.checksum
    assert {name for name in before.files if after.files[name] != before.files[name]} <= JUDGING
    assert after.data_digest != before.data_digest


@pytest.mark.parametrize(("field", "value"), [("weight", 7), ("enabled", False)])
def test_what_servers_take_at_run_time_is_in_the_files_and_outside_the_checksum(field: str, value: object) -> None:
    changed = copy.deepcopy(dict(ROWS))
    changed["server"][0][field] = value  # type: ignore[index]

    after = made(changed)

    assert after.checksum == made().checksum
    assert after.files["haproxy.cfg"] != made().files["haproxy.cfg"]
    assert after.data_digest != made().data_digest


@pytest.mark.parametrize(
    ("address", "moves", "is_outside"),
    [
        ("192.0.2.77:81", True, True), ("[2001:db8::1]:80", True, True), ("app.lan:80", True, False),
        ("192.0.2.77:81", False, False),
    ],
)  # fmt: skip
def test_addresses_are_outside_the_checksum_where_they_change_at_run_time(
    address: str, moves: bool, is_outside: bool
) -> None:
    facts, changed = replace(FACTS, moves_servers=moves), copy.deepcopy(dict(ROWS))
    changed["server"][0]["address"] = address  # type: ignore[index]

    before, after = (render(DesiredState.from_rows(rows, facts)) for rows in (ROWS, changed))

    assert (after.checksum == before.checksum) is is_outside
    assert (f" {address}\n" in after.data["servers.txt"].decode()) is is_outside
    assert f" {address} weight " in after.files["haproxy.cfg"].decode()


@pytest.mark.parametrize(
    ("table", "field"),
    [("virtualhost", "notes"), ("virtualhost", "name"), ("policy", "description"), ("policy", "name")],
)
def test_words_for_people_change_no_checksum(table: str, field: str) -> None:
    changed = copy.deepcopy(dict(ROWS))
    changed[table][0][field] = "other words"  # type: ignore[index]

    assert made(changed).checksum == made().checksum


def test_live_processes_report_the_checksum() -> None:
    bundle = made()
    text = bundle.files["haproxy.cfg"].decode()

    assert re.fullmatch(r"[0-9a-f]{64}", bundle.checksum)
    assert f"    description 'guardpanel {bundle.checksum}'\n" in text
    assert [line for line in text.split("\n") if line.startswith("backend ")][
        -1
    ] == f"backend gp_end_{bundle.checksum[:12]}"
    assert f"x-gp-checksum '{bundle.checksum}'" in text
    assert "0" * 12 not in text


def test_no_mark_is_left_and_every_file_ends_with_its_line() -> None:
    bundle = made()
    texts = {
        **bundle.files,
        **{application.name: application.directives.encode() for application in bundle.applications},
    }
    for path, content in texts.items():
        assert not re.search(rb"[\x00-\x08\x0b-\x1f]", content), path
        assert content.endswith(b"\n") or not content, path
        assert not any(line.endswith((b" ", b"\\")) for line in content.split(b"\n")), path


def field_of(origin: Origin) -> str:
    return origin.field.rsplit(".", 1)[-1]


def test_each_line_of_a_backend_knows_its_field() -> None:
    bundle = made()
    lines = bundle.files["haproxy.cfg"].decode().split("\n")
    starts: dict[str, Callable[[str], bool]] = {
        "name": lambda line: line.startswith("backend be_"),
        "balance": lambda line: line.startswith("    balance "),
        "health_check_path": lambda line: line.startswith("    http-check send "),
        "health_check_status": lambda line: line.startswith("    http-check expect "),
        "health_check_interval": lambda line: line.startswith("    default-server check "),
        "address": lambda line: line.startswith("    server s"),
    }
    checksums = set()
    section = ""
    for at, line in enumerate(lines, 1):
        section = line if line.startswith("backend ") else section
        if origin := bundle.origins["haproxy.cfg"].get(at):
            assert starts[field_of(origin)](line), (origin, line)
            assert section == f"backend be_{origin.id}"
            checksums.add((origin.id, origin.field))
    assert {
        (1, "servers.0.address"),
        (1, "servers.1.address"),
        (2, "servers.0.address"),
        (2, "balance"),
    } <= checksums
    assert (2, "health_check_path") not in checksums
    marked = [line for at, line in enumerate(lines, 1) if at in bundle.origins["haproxy.cfg"]]
    assert len([line for line in lines if line.startswith("    server s")]) == len(
        [line for line in marked if line.startswith("    server s")]
    )


def test_each_directive_knows_its_field() -> None:
    for application in made().applications:
        lines = application.directives.split("\n")
        for at, origin in application.origins.items():
            words = {
                "enforcement_mode": "SecRuleEngine",
                "body_limit_kib": "BodyLimit|BodyInMemoryLimit",
                "response_inspection": "SecResponseBodyAccess",
                "inbound_anomaly_threshold": "inbound_anomaly_score",
                "outbound_anomaly_threshold": "outbound_anomaly_score",
                "allowed_content_types": "allowed_request_content_type|id:100007",
                "content_type_readings": "REQUEST_HEADERS:Content-Type",
                "masked_fields": "guardpanel-mask",
                "record_one_in": "guardpanel-record: one_in",
                "argument_name_length": "arg_name_length=40",
                "argument_length": "arg_length=4000",
                "total_argument_length": "total_arg_length=8000",
                "upload_kib": "max_file_size=12288",
                "files_kib": "combined_file_sizes=8192",
                "allowed_charsets": "allowed_request_content_type_charset",
                "argument_limit": "&(ARGS_GET|REQUEST_COOKIES|ARGS_POST)",
                "json_value_limit": "&ARGS_POST",
            }
            assert re.search(words.get(origin.field, origin.field), lines[at - 1]), (origin, lines[at - 1])
            assert (origin.noun, origin.id) == ("policy", application.policy_ids[0])
        assert {"blocking_paranoia_level", "allowed_methods"} <= {
            origin.field for origin in application.origins.values()
        }


def test_the_facts_of_the_installation_are_part_of_it() -> None:
    other = EngineFacts(FACTS.http_binds, FACTS.probe_socket, FACTS.agent_socket, FACTS.system_ca, "another secret")

    assert made(facts=other).checksum != made().checksum
