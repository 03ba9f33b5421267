"""What the cases (tests/rendering/cases) do not show: what is no line of a file, and what holds for every configuration."""

import re
from dataclasses import replace
from typing import Any

import pytest

from guardpanel.bundle import Origin
from guardpanel.rendering import DesiredState, render
from guardpanel.shipped import lua_file
from tests.rendering.case import Case, cases
from tests.rows import FACTS, rows


def test_names_that_must_resolve_are_told() -> None:
    servers = [
        {"address": "one.lan:81"},
        {"address": "192.0.2.1"},
        {"address": "two.lan", "resolve_later": True},
        {"address": "three.lan", "enabled": False},
    ]
    state = DesiredState.from_rows(rows({}, {"a.test": {"servers": servers}}), FACTS)

    (named,) = render(state).named_servers

    assert (named.origin, named.host, named.port) == (Origin("virtual_host", 1, "servers.0.address"), "one.lan", 81)


def test_names_of_a_paths_own_servers_must_resolve() -> None:
    path = {"path": "/x", "own_servers": ["http://192.0.2.1:80", "https://two.lan"]}
    given = rows({}, {"a.test": {"servers": [{"address": "192.0.2.1"}]}}, paths=[path])

    (named,) = render(DesiredState.from_rows(given, FACTS)).named_servers

    assert (named.origin, named.host, named.port) == (Origin("path_binding", 1, "own_servers.1"), "two.lan", 443)


@pytest.mark.parametrize(
    ("host", "policy", "facts", "watched"),
    [
        ({}, {}, {}, True),
        ({"enforcement_mode": "off"}, {"enforcement_mode": "block"}, {}, True),
        ({}, {"enforcement_mode": "block", "over_limit": "inspect_beginning"}, {}, True),
        ({}, {"enforcement_mode": "block"}, {}, False),
        ({}, {"enforcement_mode": "block", "body_limit_kib": 256, "fail_mode": "open"}, {}, True),
        ({"maintenance": True}, {}, {}, False),
        ({}, {}, {"runs_lua": False}, False),
        ({}, {}, {"drops_trailers": True}, False),
    ],
)
def test_lua_looks_for_trailers_only_where_a_body_passes_in_parts_and_haproxy_cannot_drop_them(
    host: dict[str, Any], policy: dict[str, Any], facts: dict[str, Any], watched: bool
) -> None:
    given = rows({"A": policy}, {"a.test": {"policy": "A", "servers": [{"address": "192.0.2.1"}], **host}})
    bundle = render(DesiredState.from_rows(given, replace(FACTS, **{"runs_lua": True, "lua_folder": "/run", **facts})))
    lines = [line.strip() for line in bundle.files["haproxy.cfg"].decode().splitlines()]

    assert (f"lua-load-per-thread '/run/{lua_file()}'" in lines) is watched
    assert ("filter lua.trailers" in lines) is watched
    assert ("http-request lua.watch_trailers if chunked !complete" in lines) is watched


@pytest.mark.parametrize(
    ("policy", "facts", "refused"),
    [
        ({}, {}, True),
        ({"enforcement_mode": "block"}, {}, False),
        ({}, {"runs_lua": True}, False),
        ({}, {"drops_trailers": True}, False),
    ],
)
def test_without_lua_a_body_without_a_length_is_refused_where_it_would_pass_in_parts(
    policy: dict[str, Any], facts: dict[str, Any], refused: bool
) -> None:
    given = rows({"A": policy}, {"a.test": {"policy": "A", "servers": [{"address": "192.0.2.1"}]}})
    text = render(DesiredState.from_rows(given, replace(FACTS, **facts))).files["haproxy.cfg"].decode()

    assert ("return status 411" in text) is refused


def test_an_haproxy_without_tls_is_asked_nothing_about_it() -> None:
    """It does not know these fetches, and would not start."""
    fetches = set()
    for case in cases():
        fetches |= set(re.findall(SSL_FETCH, case.bundle().files["haproxy.cfg"].decode()))
        assert not re.findall(SSL_FETCH, case.bundle(has_tls=False).files["haproxy.cfg"].decode()), case.name
    assert {"ssl_bc", "ssl_c_used", "ssl_fc"} <= fetches


SSL_FETCH = r"\bssl_[bcf]c?\w*"

ORDER = ["tcp-request connection", "tcp-request content", "http-request"]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_rules_stand_in_the_order_in_which_haproxy_asks_them(case: Case) -> None:
    """It warns of each that does not, at every check. Each section has rules of its own."""
    seen = set()
    for section in re.split(r"\n(?=\S)", case.kept()["haproxy.cfg"]):
        words = [line.split() for line in section.splitlines()]
        rules = [f"{word[0]} {word[1]}" if word[0] == "tcp-request" else word[0] for word in words if len(word) > 2]
        rules = [rule for rule in rules if rule in ORDER]
        seen |= set(rules)

        assert rules == sorted(rules, key=ORDER.index)
    assert seen == set(ORDER)
