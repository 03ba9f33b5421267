"""No line is lost: whatever a configuration is made of, each of its lines has exactly one outcome, and the site file is one."""

import contextlib
import sys
from random import Random

import httpx2
import pytest

from guardpanel.errors import Invalid
from guardpanel.models.types import hidden_character
from guardpanel.services.importing.importing import Beside, import_configuration
from guardpanel.services.importing.source import LARGEST
from guardpanel.services.site_file.entries import document_of
from guardpanel.services.site_file.nodes import read

HEADS = (
    "global", "defaults", "defaults base", "frontend web", "frontend api from base", "backend app", "backend api", "listen all", "listen old 127.0.0.1:8080", "frontend old :80,:81",
    "userlist people", "peers near", "frontend <script>", "backend \u202e", "frontend",
)  # fmt: skip

LINES = (
    "mode http", "mode tcp", "bind :80", "bind :443 ssl crt /etc/x.pem", "bind 127.0.0.1:8443 ssl verify required",
    "bind unix@/run/h.sock", "bind /run/x.sock accept-proxy", "acl api path_beg -i /API /Api/v3 /v2", "use_backend app if { path_beg -i /V2 }",
    "http-request lua.odd api_key=geheim", "http-request set-var(txn.pwd) str(geheim)", "http-request lua.odd passphrase geheim", "http-request lua.odd credentials geheim",
    "acl shop hdr(host) -i shop.example www.shop.example", "acl api path_beg /api /v2", "acl odd hdr_reg(host) ^a+\\.x$",
    "acl inside src 10.0.0.0/8 ::1", "acl file hdr(host) -f /etc/names.lst", "acl fast sc_http_req_rate(0) gt 20",
    "use_backend app if shop", "use_backend api if api or !shop", "use_backend api if shop api", "use_backend api unless inside",
    "use_backend api if { path /x } { method POST }", "use_backend %[req.hdr(host),lower,map(/etc/hosts.map,app)]",
    "use_backend %[var(txn.x)]", "default_backend app", "default_backend nowhere", "redirect scheme https if !{ ssl_fc }",
    "redirect location /new code 301 if { path /old }", "redirect prefix https://new.example if shop",
    "http-request deny if inside", "http-request deny if fast", "http-request deny if api", "http-request auth if shop",
    "stick-table type ip size 1m expire 10s store http_req_rate(10s)", "http-request track-sc0 src",
    "http-request set-header X-A %[src]", 'http-response set-header X-B "a; b" if shop', "http-response del-header Server",
    "http-request set-header Host app.internal", "http-request set-path %[path,regsub(^/api/,/)]", "http-request lua.odd",
    "http-response set-header X-C \"{client_ip} <b>${NONE}\"", "server a 10.0.0.1:80 check weight 5", "server b app.lan:443 ssl verify none",
    "server c /run/x.sock", "server d 10.0.0.2", "server e [2001:db8::1]:80 send-proxy backup", "server-template t 3 app.lan:80 check",
    "default-server inter 3s fall 2", "cookie SRV insert indirect nocache", "cookie X prefix", "balance uri", "balance leastconn",
    "timeout server 30s", "timeout server 999d", "timeout connect x", "retries 3", "retries many", "option httpchk GET /health",
    "http-check expect status 200", "http-check expect string ok", "option forwardfor", "no option forwardfor", "errorfile 503 /x",
    "compression algo gzip", "stats auth admin:pass", "\u202e\x1b[31m odd", "x" * 400, "acl", "server", "bind", "use_backend", "redirect",
    "http-request", "http-request deny if {", "timeout", "no", '"open', "a\\xZZ", ".if defined(X)\nbalance source\n.else\nbalance first\n.endif", ".if feature(X)\nhttp-request deny\n.endif",
    "# a comment", "", "   ", "\"\"", "setenv X y",
)  # fmt: skip

SKELETON = (
    "defaults base", "mode http", "backend app", "server a 10.0.0.1:80", "backend api", "server b 10.0.0.2:80", "frontend main",
    "bind :80", "default_backend app",
)  # fmt: skip

FILES = {"hosts.map": "shop.example app\n*.shop.example api\nbad?? app\nalone\n"}


def configuration(seed: int) -> str:
    """Sections of anything, with lines at random."""
    chance = Random(seed)
    rows = list(SKELETON) if chance.random() < 0.7 else []
    for _ in range(chance.randint(1, 5)):
        rows += [
            chance.choice(HEADS),
            *chance.choices(LINES[:2], (9, 1)),
            *chance.choices(LINES, k=chance.randint(0, 14)),
        ]
    return "\n".join(rows)


def test_each_line_has_exactly_one_outcome() -> None:
    kinds, imported_count = set(), 0
    for seed in range(400):
        text = configuration(seed)
        try:
            imported = import_configuration(text.encode(), Beside(FILES))
        except Invalid:
            continue
        expected = [no for no, row in enumerate(text.split("\n"), 1) if row.strip() and not row.strip().startswith("#")]

        assert [outcome.line for outcome in imported.outcomes] == expected, text
        assert all(outcome.what for outcome in imported.outcomes), text
        assert not any(hidden_character(outcome.text + outcome.what) for outcome in imported.outcomes), text
        kinds |= {outcome.kind for outcome in imported.outcomes}
        imported_count += bool(imported.site)
        if imported.site:
            document_of(read(imported.site))
            assert "geheim" not in imported.site
        for outcome in imported.outcomes:
            if outcome.kind == "note":
                assert f"    {outcome.line}: " in imported.site, (outcome, text)
    assert kinds == {"became", "note", "left"}
    assert imported_count > 60


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"frontend a\n" + b"#" * LARGEST, "At most 2 MiB"),
        (b"frontend a\0b", "NUL byte"),
        (b"\x7fELF\xff\xfe", "Line 1 is not UTF-8"),
        (b"", "no section"),
        (b"<html>\n<body>hello</body>", "no section"),
        (b"defaults a from a\n", "made from itself"),
        (b"defaults a from b\ndefaults b from a\n", "no defaults section before it is named b"),
        (b"global\n.endif\n", ".endif is without its .if"),
        (b"frontend a\n" + b"x\n" * 20_001, "At most 20,000 lines"),
        (
            b"defaults d0\n" + b"".join(b"defaults d%d from d%d\n" % (i + 1, i) for i in range(2_000)),
            "too many together",
        ),
        (b"defaults\n" + b" log global\n" * 2_000 + b"backend a\n" * 1_000, "too many together"),
    ],
)
def test_what_is_no_configuration_is_refused_with_words(content: bytes, message: str) -> None:
    with pytest.raises(Invalid) as refusal:
        import_configuration(content, Beside())

    assert message in refusal.value.errors["file"].message


@pytest.mark.anyio
@pytest.mark.changes_nothing
async def test_site_files_are_accepted(ada_api: httpx2.AsyncClient) -> None:
    sites = [site for seed in range(12) if (site := site_of(seed))]

    for site in sites:
        answer = await ada_api.post(
            "/api/v1/configuration/plan",
            content=site.encode(),
            headers={"content-type": "application/yaml"},
            params={"save_anyway": True},
        )
        assert answer.status_code == 200, (answer.text, site)
    assert len(sites) > 4


def site_of(seed: int) -> str:
    with contextlib.suppress(Invalid):
        return import_configuration(configuration(seed).encode(), Beside(FILES)).site
    return ""


def test_reading_takes_steps_by_lines_not_by_their_square() -> None:
    """Looked up for each line: whether its section is one of statistics."""

    def calls(count: int) -> int:
        looks = 0

        def look(_frame: object, event: str, _argument: object) -> None:
            nonlocal looks
            looks += event == "call"

        rows = ["defaults", "mode http", "frontend web", "bind :80", *["http-request deny if { path /a }"] * count]
        text = "\n".join([*rows, "default_backend app", "backend app", "server a 10.0.0.1:80"])
        sys.setprofile(look)
        try:
            import_configuration(text.encode(), Beside())
        finally:
            sys.setprofile(None)
        return looks

    assert calls(800) < 5 * calls(200)
