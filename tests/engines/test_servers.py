"""`show stat` as HAProxy 2.6 and 2.8 write it: read as far as somebody asks."""

import csv
import io

import pytest

from guardpanel.engines.haproxy.server_states import ServerLoad, Servers, ServerStatus

COLUMNS = [
    *("pxname", "svname", "qcur", "qmax", "scur", "smax", "slim", "stot", "bin", "bout", "dreq", "dresp", "ereq"),
    *("econ", "eresp", "wretr", "wredis", "status", "weight", "act", "bck", "chkfail", "chkdown", "lastchg"),
    *("check_status", "check_code", "check_duration", "last_chk", "check_desc", "addr"),
]


def row(backend: str, server: str, status: str, **facts: str) -> str:
    line = io.StringIO()
    known = {"pxname": backend, "svname": server, "status": status, **facts}
    csv.writer(line, lineterminator="").writerow([known.get(name, "") for name in COLUMNS])
    return line.getvalue()


def stat(*rows: str) -> Servers:
    return Servers("\n".join(["# " + ",".join(COLUMNS), *rows, ""]))


@pytest.mark.parametrize(
    ("status", "state", "is_up"),
    [
        ("UP", "UP", True), ("UP 1/3", "UP", True), ("no check", "no check", True), ("DOWN", "DOWN", False),
        ("DOWN 1/2", "DOWN", False), ("MAINT", "MAINT", False), ("DRAIN", "DRAIN", False), ("NOLB", "NOLB", False),
        ("MAINT (resolution)", "RESOLVING", False), ("MAINT (via be_1/s1)", "MAINT", False),
    ],
)  # fmt: skip
def test_a_state_is_one_word(status: str, state: str, is_up: bool) -> None:
    servers = stat(row("be_1", "s1", status))
    assert servers.states == {"be_1": [("s1", state)]}
    assert servers.of("be_1")[0].state == state
    assert servers.of("be_1")[0].is_up is is_up


@pytest.mark.parametrize(
    ("status", "recovering"), [("DOWN 1/2", "1 of 2"), ("DOWN", ""), ("UP 1/3", ""), ("MAINT (via be_1/s1)", "")]
)
def test_a_server_that_recovers_tells_how_far_it_is(status: str, recovering: str) -> None:
    assert stat(row("be_1", "s1", status)).of("be_1")[0].recovering == recovering


def test_a_server_has_what_haproxy_says_of_its_last_check() -> None:
    words = 'Layer7 wrong status, "502"'
    facts = {"last_chk": words, "check_code": "502", "check_duration": "7", "lastchg": "61", "addr": "127.0.0.1:9"}
    assert stat(row("be_17", "s2", "DOWN", **facts)).of("be_17") == (
        ServerStatus("s2", "DOWN", words, "502", 7, 61, "127.0.0.1:9", load=ServerLoad.of({})),
    )


def test_only_the_backends_of_virtual_hosts_are_told() -> None:
    servers = stat(row("waf_agent", "agent", "UP"), row("be_1", "s1", "UP"), row("be_1", "s2", "DOWN"))
    assert list(servers.states) == ["be_1"]
    assert [server.name for server in servers.of("be_1")] == ["s1", "s2"]
    assert "be_1" in servers
    assert "be_2" not in servers
    assert servers.of("be_2") == ()


def test_no_answer_is_no_servers() -> None:
    assert Servers().states == {}
    assert Servers().of("be_1") == ()
