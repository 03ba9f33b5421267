"""Whom an existing configuration keeps out: lists, limits, and what is disabled since guardpanel can't keep them out."""

from typing import Any

import pytest

from guardpanel.readable_yaml import read
from guardpanel.services.importing.importing import Beside
from guardpanel.services.importing.reasons import OWN_PAGES
from tests.services.importing.configurations import API, APP, hosts, imported, kinds


@pytest.mark.parametrize(
    "line",
    [
        "http-request deny if { path_beg /admin. }",
        "http-request deny if { path_beg /admin } METH_POST",
        "http-request deny if !{ path_beg /admin }",
        "http-request deny if { path / } !{ src 10.0.0.0/8 }",
        "http-request deny if !{ path_beg /open/ } !{ src 10.0.0.0/8 }",
        "http-request deny if METH_POST !{ src 10.0.0.0/8 }",
        "http-request deny if { src 10.0.0.0/8 } !{ src 10.1.0.0/16 }",
        "http-request deny if { src -f missing.lst }",
        "http-request deny unless { src -f missing.lst }",
        "http-request auth unless { http_auth(people) }",
        "use_backend api if !{ req.cook(session) -m found }",
        'http-request deny if { hdr(x-key) "${NOT_KNOWN}" }',
        "tcp-request connection reject if { src_conn_cur gt 10 }",
        "http-request return status 403 if { method TRACE }",
        "http-request redirect location /login unless { req.cook(session) -m found }",
        "redirect prefix /new",
        "redirect prefix https://new.example code 303",
        "redirect prefix https://new.example drop-query",
        "redirect scheme http",
        "redirect location https://%[path].example",
        "redirect prefix https://new.example/?from=",
        "reqideny ^GET\\ /admin",
        "disabled",
    ],
)
def test_a_host_that_loses_a_rule_against_visitors_is_disabled(line: str) -> None:
    text = f"frontend web\n  bind :80\n  {line}\n  default_backend app\n{APP}{API}"

    assert kinds(text)[line][0] == "note"
    assert hosts(text)["web.invalid"]["enabled"] is False
    assert imported(text).sentence.endswith("Disabled until you enable them: web.")
    assert "enabled" not in hosts(text.replace(f"  {line}\n", ""))["web.invalid"]


INSIDE = {"kind": "only", "entries": "10.0.0.0/8\n2001:db8::/32"}


@pytest.mark.parametrize(
    ("rule", "lists"),
    [
        ("http-request deny if !office", [INSIDE]),
        ("http-request deny deny_status 404 unless office", [INSIDE]),
        ("tcp-request connection reject if !office", [INSIDE]),
        ("block unless { src 10.0.0.0/8 } || { src -f /etc/other.lst }", [INSIDE]),
        ("http-request deny if !{ src 10.0.0.0/8 } !{ src 2001:db8::/32 }", [INSIDE]),
        ("http-request deny if admin !office", [{**INSIDE, "paths": ["/admin"]}]),
        ("http-request deny if { path /a /b } !office", [{**INSIDE, "paths": ["/a", "/b"]}]),
        ("http-request deny if { path_beg /admin } !office", [{**INSIDE, "paths": ["/admin*"]}]),
        (
            "http-request deny if { path_beg /admin /admin/ /.git/ } !office",
            [{**INSIDE, "paths": ["/admin*", "/.git"]}],
        ),
        ("http-request deny if { path_beg /admin }", [{"kind": "only", "paths": ["/admin*"], "entries": ""}]),
        (
            "http-request deny if admin or { path /x }",
            [{"kind": "only", "paths": [path], "entries": ""} for path in ("/admin", "/x")],
        ),
        ("http-request deny if admin office", [{**INSIDE, "kind": "deny", "paths": ["/admin"]}]),
        (
            "http-request deny if !office or admin !{ src 10.0.0.1 }",
            [INSIDE, {"kind": "only", "paths": ["/admin"], "entries": "10.0.0.1/32"}],
        ),
        (
            "http-request deny if { src 10.0.0.0/8 } or admin !office or { src 2001:db8::/32 }",
            [{**INSIDE, "kind": "deny"}, {**INSIDE, "paths": ["/admin"]}],
        ),
    ],
)
def test_rules_by_address_become_lists(rule: str, lists: list[dict[str, Any]]) -> None:
    acls = "  acl admin path_beg /admin/\n  acl office src 10.0.0.0/8\n  acl office src -f other.lst\n"
    text = f"frontend web\n  bind :80\n{acls}  {rule}\n  default_backend app\n{APP}"
    made = read(imported(text, Beside({"other.lst": "# IPv6\n2001:db8::/32\n"})).site)["address_lists"]

    applies = {"applies_to": "virtual_hosts", "virtual_hosts": ["web"]}
    assert [{name: value for name, value in row.items() if name != "name"} for row in made] == [
        {**row, **applies} for row in lists
    ]
    assert len({row["name"] for row in made}) == len(made)


COUNTS = """\
frontend web
  bind :80
  stick-table type ip size 1m expire 15min store conn_cur,http_req_rate(1min),http_err_rate(60s),conn_rate(3s)
  http-request track-sc0 src
  {rules}
  default_backend app
backend other
  stick-table type ip size 1m expire 1m store http_req_rate(60000)
"""


@pytest.mark.parametrize(
    ("rules", "limits"),
    [
        ("http-request deny if { sc0_http_req_rate gt 100 }", (100, None, 100_000)),
        ("http-request deny if { sc_http_req_rate(0,other) ge 100 }", (99, None, 100_000)),
        ("http-request tarpit if { src_http_req_rate(other) gt 100 }", (100, None, 100_000)),
        ("http-request deny if { sc_http_err_rate(0) gt 20 }", (1_000_000, 20, 100_000)),
        ("tcp-request connection reject if { src_conn_cur ge 50 }", (1_000_000, None, 49)),
        ("http-request reject if { sc_conn_cur(0) gt 10 }", (1_000_000, None, 20)),
        (
            "acl abuse sc0_http_req_rate gt 100\n  acl abuse sc0_http_err_rate gt 20\n  http-request deny if abuse or { sc0_conn_cur gt 40 }",
            (100, 20, 40),
        ),
        (
            "http-request deny if { sc0_http_req_rate gt 50 }\n  http-request silent-drop if { sc0_http_req_rate gt 100 }",
            (50, None, 100_000),
        ),
    ],
)
def test_rules_by_what_a_client_does_are_limits_of_one_policy(rules: str, limits: tuple[int, int | None, int]) -> None:
    site = read(imported(COUNTS.format(rules=rules) + APP).site)
    (policy,), (host,) = site["policies"], site["virtual_hosts"]

    names = ("rate_limit_requests", "errors_per_period", "requests_at_once")
    assert tuple(policy.get(name) for name in names) == limits
    assert policy.get("rate_limit_window_seconds", 60) == 60
    assert (policy["client_limits"], host["policy"], host.get("enabled", True)) == (True, policy["name"], True)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (
            "http-request deny if { sc0_conn_rate gt 20 }",
            "guardpanel limits requests, and not how often a client connects.",
        ),
        ("http-request deny if { sc1_http_req_rate gt 20 }", "guardpanel counts by client IP alone."),
        ("http-request deny if { sc_http_req_rate gt 20 }", "guardpanel counts by client IP alone."),
        ("http-request deny if { src_http_err_rate(other) gt 20 }", "Its table does not store http_err_rate."),
        (
            "http-request deny if { src_http_req_rate(refused) gt 20 }",
            "HAProxy refuses 1.5s: no time, or more than 24 days.",
        ),
        (
            "http-request deny if { src_http_req_rate(hour) gt 20 }",
            "A policy has one period for all limits: here 60 s.",
        ),
    ],
)
def test_a_rule_that_no_limit_can_have_says_why(rule: str, why: str) -> None:
    tables = "".join(
        f"backend {name}\n  stick-table type ip size 1m expire 1m store http_req_rate({period})\n"
        for name, period in (("refused", "1.5s"), ("hour", "1h"))
    )
    text = COUNTS.format(rules=f"http-request deny if {{ sc0_http_req_rate gt 9 }}\n  {rule}") + APP + tables

    assert kinds(text)[rule][1].endswith(why)
    assert hosts(text)["web.invalid"]["enabled"] is False


def test_a_list_is_for_the_hostnames_of_its_rule() -> None:
    acls = "  acl a hdr(host) a.example\n  acl b hdr(host) b.example\n"
    rule = "http-request deny if a !{ src 10.0.0.1 } or b !{ src 10.0.0.2 }"
    text = f"frontend web\n  bind :80\n{acls}  {rule}\n  use_backend app if a\n  use_backend api if b\n{APP}{API}"

    made = read(imported(text).site)["address_lists"]
    assert [(row["virtual_hosts"], row["entries"]) for row in made] == [
        (["a.example"], "10.0.0.1/32"),
        (["b.example"], "10.0.0.2/32"),
    ]


def test_a_list_of_a_backend_is_for_what_its_servers_get() -> None:
    denied = "  http-request deny unless { src 10.0.0.0/8 }\n"
    web = "frontend web\n  bind :80\n  use_backend api if { path_beg /a }\n  default_backend app\n"
    of_path = imported(f"{web}{APP}{API}{denied}")
    of_rest = f"{web}{APP}{denied}{API}"

    assert [row["paths"] for row in read(of_path.site)["address_lists"]] == [["/a"]] and not of_path.disabled
    assert "address_lists" not in imported(of_rest).site and imported(of_rest).disabled == ("web",)
    assert "paths" not in imported(of_rest.replace("  use_backend api if { path_beg /a }\n", "")).site


@pytest.mark.parametrize(
    "text",
    [
        f"frontend web\n  bind :80\n  use_backend api if {{ path_beg /a }}\n  default_backend app\n{APP}{API}  http-request deny\n",
        f'frontend web\n  bind :80\n  use_backend api if {{ path_beg /a }}\n  default_backend app\n{APP}{API}  http-request "$X"\n',
        (
            "listen all\n  bind :9000\n  http-request deny if { method GET }\n  server a 10.0.0.1:80\n"
            "frontend web\n  bind :80\n  default_backend all\n"
        ),
        (
            "defaults kept\n  mode http\n  http-request deny if { method GET }\nbackend app from kept\n  server a 10.0.0.1:80\n"
            "frontend web from usual\n  bind :80\n  default_backend app\n"
        ),
    ],
    ids=["a path's backend", "a line that can't be read", "a listen section as a backend", "defaults of a backend"],
)
def test_rules_against_visitors_count_wherever_they_are(text: str) -> None:
    assert hosts("defaults usual\n  mode http\n" + text)["web.invalid"]["enabled"] is False


def test_what_a_listener_kept_apart_is_not_open_to_all() -> None:
    text = f"frontend web\n  bind :80\n  default_backend app\nfrontend admin\n  bind :9000\n  default_backend api\n{APP}{API}"
    inside = f"frontend web\n  bind 127.0.0.1:80\n  default_backend app\n{APP}"
    certificates = (
        f"frontend web\n  bind :443 ssl crt a.pem ca-file ca.pem verify required\n  default_backend app\n{APP}"
    )

    assert hosts(text)["admin.invalid"]["enabled"] is False
    assert "enabled" not in hosts(text, Beside(hostnames={"admin": "admin.example"}))["admin.example"]
    assert hosts(inside)["web.invalid"]["enabled"] is hosts(certificates)["web.invalid"]["enabled"] is False


STATISTICS = (
    "listen stats\n  bind 127.0.0.1:9000 ssl crt a.pem\n  stats enable\n  http-request deny if !{ src 10.0.0.0/8 }\n"
)

PROMETHEUS = (
    "frontend metrics\n  bind 127.0.0.1:8405\n  http-request use-service prometheus-exporter if { path /metrics }\n"
)


@pytest.mark.parametrize("statistics", [STATISTICS, PROMETHEUS])
def test_a_page_of_statistics_says_nothing_about_visitors(statistics: str) -> None:
    text = f"frontend web\n  bind :80\n  default_backend app\n{APP}"
    outcomes = kinds(text + statistics)

    assert imported(text + statistics).site == imported(text).site
    assert {outcomes[line] for line in map(str.strip, statistics.splitlines())} == {("left", OWN_PAGES)}


def test_where_a_frontend_that_only_redirects_listens_is_not_where_the_others_do() -> None:
    web = f"frontend web\n  bind :80\n  default_backend app\n{APP}"
    redirects = "frontend old\n  bind 127.0.0.1:8080\n  http-request redirect location https://new.example/\n"

    assert "It listens" not in " ".join(what for _, what in kinds(web + redirects).values())


@pytest.mark.parametrize(
    ("listeners", "is_open"),
    [
        ("frontend w\n  bind unix@/run/h.sock\n", False),
        ("frontend w\n  bind /run/h.sock,127.0.0.1:81\n", False),
        ("frontend w\n  bind 127.0.0.1:81\n  bind :80\n", True),
        ("frontend w 127.0.0.1:81\n", False),
        ("listen w :80\n", True),
    ],
)
def test_what_listens_for_this_machine_alone_is_closed(listeners: str, is_open: bool) -> None:
    host = hosts(f"{listeners}  use_backend app if {{ hdr(host) shop.example }}\n{APP}")["shop.example"]

    assert host.get("enabled", True) is is_open
