"""What is served of an existing configuration: hostnames, servers, paths, headers and redirects."""

import pytest

from guardpanel.errors import Invalid
from guardpanel.readable_yaml import read
from guardpanel.services.importing.importing import Beside, Imported
from tests.services.importing.configurations import API, APP, hosts, imported, kinds


@pytest.mark.parametrize(
    ("criterion", "names"),
    [
        ("hdr(host) -i Shop.Example:8080", ["shop.example"]),
        ("req.hdr(host),lower -m str a.example b.example", ["a.example", "b.example"]),
        ("hdr_dom(host) -i shop.example", ["*.shop.example", "shop.example"]),
        ("hdr_end(host) -i .shop.example", ["*.shop.example"]),
        ("hdr(host) -m end .shop.example", ["*.shop.example"]),
        ("hdr_beg(host) -i shop.example:", ["shop.example"]),
        (r"hdr_reg(host) -i ^(www\.)?shop\.example$", ["shop.example", "www.shop.example"]),
        (r"hdr(host) -m reg ^[^.]+\.shop\.example$", ["*.shop.example"]),
        ("hdr(host) -i -f /etc/haproxy/names.lst", ["a.example", "b.example"]),
        ("ssl_fc_sni -i shop.example", ["shop.example"]),
        ("hdr(host,1),lower shop.example", ["shop.example"]),
        ("hdr_beg(host) -i www.", []),
        (r"hdr_reg(host) ^shop[0-9]+\.example$", []),
        ("hdr(host) -f missing.lst", []),
    ],
)
def test_hostnames_are_read_from_conditions(criterion: str, names: list[str]) -> None:
    text = f"frontend web\n  bind :80\n  acl this {criterion}\n  use_backend app if this\n{APP}"
    site = imported(text, Beside({"names.lst": "a.example\n# no\nb.example\n"})).site

    assert sorted(name for host in (read(site)["virtual_hosts"] if site else []) for name in host["hostnames"]) == names


def test_rules_are_decided_for_each_hostname() -> None:
    text = f"""\
frontend web
  bind :80
  acl shop hdr(host) -i shop.example www.shop.example
  acl blog hdr(host) -i blog.example
  acl api path_beg /api/
  use_backend api if shop api
  use_backend api if {{ path /exact }} blog
  use_backend app if shop or blog
  default_backend api
{APP}{API}"""

    by_name = hosts(text)

    assert list(by_name) == ["shop.example", "blog.example", "web.invalid"]
    assert by_name["shop.example"]["hostnames"] == ["shop.example", "www.shop.example"]
    assert by_name["shop.example"]["path_bindings"] == [
        {"path_match": "below", "path": "/api", "own_servers": ["http://10.0.0.2:81"]}
    ]
    assert by_name["blog.example"]["path_bindings"][0]["path_match"] == "exact"
    assert by_name["web.invalid"]["servers"] == [{"address": "10.0.0.2:81"}]
    assert by_name["web.invalid"]["answers_unknown"] is True


def test_hostnames_that_are_not_refused_are_served() -> None:
    text = "frontend web\n  bind :80\n  acl a hdr(host) a.example\n  acl b hdr(host) b.example\n  http-request deny if !a !b\n"
    text += f"  use_backend api if a\n  default_backend app\n{APP}{API}"

    assert {name: host["servers"][0]["address"] for name, host in hosts(text).items()} == {
        "a.example": "10.0.0.2:81",
        "b.example": "10.0.0.1:80",
    }
    assert kinds(text)["http-request deny if !a !b"] == ("became", "known hostnames: all others get 421")


def test_maps_choose_servers() -> None:
    text = f"frontend web\n  bind :80\n  use_backend %[req.hdr(host),lower,map(/etc/hosts.map,app)]\n{APP}{API}"

    assert list(hosts(text, Beside({"hosts.map": "api.example  api\n"}))) == ["api.example", "web.invalid"]
    assert kinds(text)["use_backend %[req.hdr(host),lower,map(/etc/hosts.map,app)]"][0] == "left"


def test_an_earlier_shorter_path_stays_first() -> None:
    text = "frontend web\n  bind :80\n  use_backend api if { path_beg /a }\n  use_backend other if { path_beg /a/b }\n"
    text += f"  default_backend app\n{APP}{API}backend other\n  server c 10.0.0.3:80\n"

    assert [row["path"] for row in hosts(text)["web.invalid"]["path_bindings"]] == ["/a"]
    kind, what = kinds(text)["use_backend other if { path_beg /a/b }"]
    assert (kind, "Line 5 takes /a before." in what) == ("note", True)


BEGINS_SO = "(in HAProxy also for /apix and all else that begins with /api)"


@pytest.mark.parametrize("to", ["use_backend api", "redirect prefix https://new.example"])
def test_what_else_begins_like_a_path_is_remarked(to: str) -> None:
    rules = {criterion: f"{to} if {{ {criterion} }}" for criterion in ("path_beg /api", "path_beg /api/", "path /api")}
    outcomes = {
        criterion: kinds(f"frontend web\n  bind :80\n  {rule}\n  default_backend app\n{APP}{API}")[rule]
        for criterion, rule in rules.items()
    }
    assert {kind for kind, _ in outcomes.values()} == {"became"}
    assert [criterion for criterion, (_, what) in outcomes.items() if BEGINS_SO in what] == ["path_beg /api"]


@pytest.mark.parametrize("how", ["beg", "str"])
def test_what_else_begins_like_a_path_of_a_map_is_remarked(how: str) -> None:
    by_map = f"use_backend %[path,map_{how}(paths.map,app)]"
    kind, what = kinds(f"frontend web\n  bind :80\n  {by_map}\n{APP}{API}", Beside({"paths.map": "/api api\n"}))[by_map]
    assert (kind, BEGINS_SO in what) == ("became", how == "beg")


def test_servers_keep_what_guardpanel_has() -> None:
    text = """\
frontend web
  bind :80
  default_backend app
backend app
  balance leastconn
  cookie SRV insert indirect nocache
  retries 3
  timeout connect 3000
  timeout server 2m
  option httpchk GET /health HTTP/1.1\\r\\nHost:\\ app.example
  http-check expect status 200
  default-server inter 3s fall 4
  server a 10.0.0.1:80 check weight 10 maxconn 50 cookie a
  server b app.lan:443 check ssl verify required sni str(app.lan) backup rise 3 init-addr none
  server c 10.0.0.3:80 check disabled send-proxy
"""
    host = hosts(text)["web.invalid"]

    shared = {"health_check_interval": 3, "health_check_fall": 4, "health_check": True}
    assert [{**shared, **server} for server in host["servers"]] == host["servers"]
    assert host["servers"][0].items() >= {"address": "10.0.0.1:80", "weight": 10, "max_connections": 50}.items()
    tls = {"address": "app.lan:443", "scheme": "https", "backup": True, "health_check_rise": 3, "resolve_later": True}
    assert host["servers"][1].items() >= {**tls, "weight": 1}.items()
    assert host["servers"][2]["enabled"] is False
    assert host["notes"].endswith("17: server c 10.0.0.3:80 check disabled send-proxy")
    expected = {
        "balance": "leastconn", "sticky_sessions": "cookie", "sticky_cookie": "SRV", "retries": 3, "connect_timeout": 3,
        "server_timeout": 120, "health_check_path": "/health", "health_check_host": "app.example",
        "health_check_status": "200", "tls_name": "app.lan",
    }  # fmt: skip
    assert host.items() >= expected.items()


def test_checks_of_connections_take_any_response() -> None:
    text = "frontend web\n  bind :80\n  default_backend app\nbackend app\n  server a 10.0.0.1:80 check\n"
    unchecked = hosts(text.replace(" check", ""))["web.invalid"]

    assert hosts(text)["web.invalid"]["health_check_status"] == "100-599"
    assert unchecked["health_check"] is False


def test_a_path_that_all_paths_begin_with_is_no_condition() -> None:
    text = f"frontend web\n  bind :80\n  acl all path_beg /x /\n  use_backend api if all\n  default_backend app\n{APP}{API}"
    (host,) = hosts(text).values()

    assert [server["address"] for server in host["servers"]] == ["10.0.0.2:81"]
    assert kinds(text)["acl all path_beg /x /"][0] == kinds(text)["use_backend api if all"][0] == "became"
    assert kinds(text)["default_backend app"] == ("left", "Earlier lines decide for each imported virtual host.")


def test_timeouts_have_their_names_of_haproxy_1() -> None:
    text = "listen web :80\n  contimeout 5000\n  srvtimeout 50000\n  clitimeout 9000\n  server a 10.0.0.1:80\n"

    assert hosts(text)["web.invalid"].items() >= {"connect_timeout": 5, "server_timeout": 50}.items()
    assert kinds(text)["clitimeout 9000"] == kinds(text.replace("clitimeout", "timeout client"))["timeout client 9000"]


def test_rules_become_headers_redirects_lists_and_limits() -> None:
    text = f"""\
frontend web
  bind :80
  stick-table type ip size 1m expire 10s store http_req_rate(10s)
  http-request track-sc0 src
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 100 }}
  http-request deny if {{ src 10.0.0.0/8 -f /etc/bad.lst }}
  http-request set-header X-Client "%[src]"
  http-response set-header X-Frame-Options DENY
  http-request set-header X-Forwarded-Proto https
  http-request redirect location /new code 301 if {{ path /old }}
  redirect prefix https://new.example if {{ path_beg /shop }}
  default_backend app
{APP}"""
    site = read(imported(text.replace(" -f /etc/bad.lst", "")).site)
    (host,) = site["virtual_hosts"]

    assert [(rule["direction"], rule["header"], rule["value"]) for rule in host["header_rules"]] == [
        ("request", "X-Client", "{client_ip}"),
        ("response", "X-Frame-Options", "DENY"),
    ]
    assert [
        (row["path_match"], row["redirect"], row["redirect_to"], row["redirect_rest"]) for row in host["path_bindings"]
    ] == [
        ("exact", "301", "/new", False),
        ("below", "302", "https://new.example/shop", True),
    ]
    assert site["address_lists"][0].items() >= {"entries": "10.0.0.0/8", "virtual_hosts": ["web"]}.items()
    limits = {"client_limits": True, "rate_limit_requests": 100, "rate_limit_window_seconds": 10}
    assert site["policies"][0].items() >= limits.items()
    assert host["policy"] == site["policies"][0]["name"]


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("timeout server 15min", 900),
        ("timeout server 30sec", 30),
        ("timeout server 1m30s", 60),
        ("timeout server 1500", 2),
        ("timeout server 9000000us", 9),
        ("timeout server 1.5s", None),
        ("timeout server 25d", None),
        ("timeout server 5S", None),
        ("timeout client 25d", None),
        ("stick-table type ip size 1m expire -1", None),
    ],
)
def test_times_are_those_of_haproxy(line: str, seconds: int | None) -> None:
    """All of its versions take what follows the unit for nothing."""
    text = f"listen web\n  bind :80\n  server a 10.0.0.1:80\n  {line}\n"

    assert hosts(text)["web.invalid"].get("server_timeout") == seconds
    assert ("HAProxy refuses" in kinds(text)[line][1]) is (seconds is None)


def test_the_first_of_thousands_of_paths_that_fits_is_found() -> None:
    rules = "".join(f"  use_backend api if {{ path_beg /{number} }}\n" for number in range(3_000))
    late = "use_backend app if { path_beg /7/below }"
    text = f"frontend web\n  bind :80\n{rules}  {late}\n  default_backend app\n{APP}{API}"

    assert kinds(text)[late] == ("note", "web. It chooses servers. Line 12 takes /7 before.")


def test_notes_keep_no_secrets() -> None:
    text = f"frontend web\n  bind :80\n  http-request set-var(txn.secret) str(hunter2)\n  default_backend app\n{APP}"

    assert "hunter2" not in imported(text).site
    assert "http-request set-var(txn.secret … (see the file)" in hosts(text)["web.invalid"]["notes"]


def test_tcp_and_unused_sections_are_not_taken() -> None:
    text = (
        f"{APP}listen db\n  mode tcp\n  bind :5432\n  server a 10.0.0.1:5432\nbackend unused\n  server z 10.0.0.9:80\n"
    )
    outcome = kinds(text)

    assert outcome["bind :5432"] == ("left", "It is in TCP mode. guardpanel serves HTTP.")
    assert outcome["server z 10.0.0.9:80"] == ("left", "No imported virtual host uses this backend.")
    assert imported(text).site == ""


def test_conditional_blocks_are_decided_by_the_environment() -> None:
    text = f"""\
frontend web
  bind :80
  default_backend app
{APP}.if defined(STAGING)
  server s 10.9.9.9:80
.else
  server p "10.0.0.${{NUMBER-7}}:80"
.endif
.if feature(X)
  timeout server 5s
.endif
"""
    usual, staging = (hosts(text, Beside(environment=each))["web.invalid"] for each in ({}, {"STAGING": "1"}))

    assert [server["address"] for server in usual["servers"]] == ["10.0.0.1:80", "10.0.0.7:80"]
    assert [server["address"] for server in staging["servers"]] == ["10.0.0.1:80", "10.9.9.9:80"]
    assert kinds(text)["timeout server 5s"][0] == "note"
    assert usual["enabled"] is False


def test_paths_are_bound_once_whatever_their_case() -> None:
    text = f"frontend w\n  bind :80\n  acl api path_beg -i /API /api /Api/v1 /b\n  use_backend api if api\n  default_backend app\n{APP}{API}"

    (host,) = hosts(text).values()

    assert [binding["path"] for binding in host["path_bindings"]] == ["/API", "/b"]
    assert "notes" not in host


def test_many_hostnames_of_a_map_are_divided_and_too_many_are_refused() -> None:
    def of_map(count: int) -> Imported:
        text = f"frontend w\n  bind :80\n  use_backend %[req.hdr(host),map(h.map)]\n{APP}"
        return imported(text, Beside({"h.map": "".join(f"h{number}.example app\n" for number in range(count))}))

    assert [len(host["hostnames"]) for host in read(of_map(501).site)["virtual_hosts"]] == [500, 1]
    with pytest.raises(Invalid):
        of_map(100_000)


MOVED = "frontend web\n  bind :80\n  {line}\n  default_backend app\n" + APP


@pytest.mark.parametrize(
    ("line", "redirect"),
    [
        ("redirect prefix https://new.example code 301", ("301", "https://new.example", True)),
        ("redirect prefix https://new.example/", ("302", "https://new.example//", True)),
        ("redirect code 307 prefix https://new.example/a", ("307", "https://new.example/a", True)),
        ("redirect location https://new.example/?a=b", ("302", "https://new.example/?a=b", False)),
        ("http-request redirect location https://new.example%[capture.req.uri]", ("302", "https://new.example", True)),
        ("http-request redirect code 308 location https://new.example", ("308", "https://new.example", False)),
    ],
)
@pytest.mark.parametrize("condition", ["", " if { hdr(host) -i old.example } or { hdr(host) -i older.example }"])
def test_a_redirect_of_everything_is_the_virtual_hosts(
    line: str, redirect: tuple[str, str, bool], condition: str
) -> None:
    text = MOVED.format(line=line + condition)
    names = ["old.example", "older.example"] if condition else ["web.invalid"]
    host = hosts(text)[names[0]]

    assert (host["redirect"], host["redirect_to"], host["redirect_rest"]) == redirect
    assert host["hostnames"] == names
    assert host.get("enabled", True) is True
    assert "servers" not in host
    assert kinds(text)[line + condition][0] == "became"


def test_a_redirect_of_a_backend_is_of_what_reaches_it() -> None:
    text = "frontend web\n  bind :80\n  use_backend api if { path_beg /api }\n  default_backend moved\n"
    text += f"{API}backend moved\n  http-request redirect location https://new.example/ code 308\n"
    host = hosts(text)["web.invalid"]

    assert (host["redirect"], host["redirect_to"], host["answers_unknown"]) == ("308", "https://new.example/", True)
    assert [(row["path"], row["own_servers"]) for row in host["path_bindings"]] == [("/api", ["http://10.0.0.2:81"])]


def test_redirects_count_in_the_order_of_haproxy() -> None:
    text = f"""\
frontend web
  bind :80
  acl old hdr(host) -i old.example
  redirect location /first if old {{ path /a }}
  redirect prefix https://second.example if old
  redirect prefix https://third.example if old {{ path_beg /late }}
  redirect location /login if old {{ req.cook(late) -m found }}
  http-request redirect location /zero if old {{ path /b }}
  use_backend api if old
  default_backend app
{APP}{API}"""
    host = hosts(text)["old.example"]

    assert host["redirect_to"] == "https://second.example"
    assert [row["redirect_to"] for row in host["path_bindings"]] == ["/first", "/zero"]
    assert "notes" not in host
    for line in ("redirect prefix https://third.example", "redirect location /login"):
        (outcome,) = [outcome for text, outcome in kinds(text).items() if text.startswith(line)]
        assert outcome == ("left", "An earlier line redirects everything.")


def test_one_name_of_a_site_is_redirected_to_the_other() -> None:
    text = MOVED.format(line="redirect prefix http://www.shop.example unless { hdr(host) -i www.shop.example }")
    by_name = hosts(text)

    assert by_name["www.shop.example"]["servers"] == [{"address": "10.0.0.1:80"}]
    assert by_name["web.invalid"].items() >= {"redirect_to": "http://www.shop.example", "answers_unknown": True}.items()


@pytest.mark.parametrize(
    "line",
    [
        "redirect scheme https code 301",
        "http-request redirect code 301 scheme https",
        "redirect prefix https://shop.example",
        "redirect location https://shop.example/",
        "http-request redirect location https://%[hdr(host)]%[capture.req.uri]",
    ],
)
@pytest.mark.parametrize("backend", ["use_backend app if { hdr(host) shop.example }", "default_backend app"])
def test_a_redirect_to_the_same_name_over_https_is_a_note(line: str, backend: str) -> None:
    text = f"frontend web\n  bind :80\n  {line}\n"
    text += f"frontend tls\n  bind :443 ssl crt a.pem\n  {backend}\n{APP}"
    (host,) = hosts(text).values()

    assert (host.get("redirect"), host.get("enabled", True)) == (None, True)
    assert kinds(text)[line] == (
        "note",
        f"{host['name']}. Upload the certificate, and turn on HTTPS with its redirect.",
    )


def test_a_file_of_redirects_alone_is_a_virtual_host() -> None:
    text = "frontend web\n  bind :80\n  redirect prefix https://new.example\n"
    text += "frontend tls\n  bind :443 ssl crt a.pem\n  redirect prefix https://new.example\n"
    (host,) = hosts(text).values()

    assert host.items() >= {"hostnames": ["web.invalid"], "redirect_to": "https://new.example"}.items()


def test_what_one_frontend_redirects_and_another_serves_is_a_note() -> None:
    http = "frontend http\n  bind :80\n  redirect prefix https://www.shop.example if { hdr(host) shop.example }\n"
    tls = "frontend tls\n  bind :443 ssl crt a.pem\n  use_backend app if { hdr(host) shop.example }\n"

    (redirected,), (served,) = hosts(http + tls + APP).values(), hosts(tls + http + APP).values()

    assert redirected["redirect_to"] == "https://www.shop.example"
    assert "use_backend app" in redirected["notes"]
    assert (served["enabled"], "redirect prefix" in served["notes"]) == (False, True)
