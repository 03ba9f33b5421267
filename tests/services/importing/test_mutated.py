"""Broken configurations: whatever was cut, doubled or quoted in them, each line has its one outcome, or words refuse the whole."""

from collections.abc import Callable
from random import Random

import pytest

from guardpanel.errors import Invalid
from guardpanel.models.types import hidden_character
from guardpanel.services.importing.importing import Beside, Imported, import_configuration
from guardpanel.services.site_file.entries import document_of
from guardpanel.services.site_file.nodes import read

WHOLE = """\
global
  setenv PORT 3000
  log /dev/log local0
defaults base
  mode http
  timeout connect 5s
  timeout server 15min
  http-request set-header X-By "%[src]"
  http-request deny if { path_beg /.git }
defaults checked from base
  option httpchk GET /health
  default-server inter 3s
.if defined(STAGING)
  retries 1
.if streq("a","b")
  retries 2
.else
  retries 3
.endif
.elif feature(X)
  retries 4
.endif
frontend web from checked
  bind :80,:8080
  bind :443 ssl crt /etc/x.pem
  stick-table type ip size 1m expire 15min store http_req_rate(10s),conn_cur
  http-request track-sc0 src
  acl shop hdr(host) -i shop.example www.shop.example
  acl office src 10.0.0.0/8 "2001:db8::/32"
  acl abuse sc0_http_req_rate gt 100
  http-request deny deny_status 429 if abuse or { sc_conn_cur(0) gt 40 }
  http-request deny if shop { path_beg /admin } !office
  http-request redirect location /new code 301 if { path /old }
  http-response set-header X-Odd 'a "b" \\\\ ; c'
  use_backend %[var(txn.where)] if { path /where }
  use_backend %[req.hdr(host),lower,map(/etc/hosts.map,app)]
  use_backend api if shop { path_beg /api }
  default_backend app
frontend second from base
  bind :80
  use_backend api if { hdr(host) -i shop.example }
  default_backend api
listen all from base
  bind 127.0.0.1:8081
  acl api path_beg /v1 /V1/
  http-request auth unless { http_auth(people) }
  server c 10.0.0.3:"${PORT}" check
backend app from checked
  balance leastconn
  cookie SRV insert indirect nocache
  server a 10.0.0.1:80 check cookie a weight 5
  server b "10.0.0.${LAST-2}:80" check backup
backend api from base
  http-request deny unless { src 10.0.0.0/8 }
  server-template t 3 api.lan:80 resolvers dns
userlist people
  user ada password secret
"""

FILES = {"hosts.map": "shop.example app\nblog.example api\n"}

Rows = list[str]


def cut(chance: Random, rows: Rows, at: int) -> None:
    rows[at] = rows[at][: chance.randint(0, len(rows[at]))]


def doubled(chance: Random, rows: Rows, at: int) -> None:
    rows.insert(chance.randrange(len(rows)), rows[at])


def removed(_chance: Random, rows: Rows, at: int) -> None:
    del rows[at]


def moved(chance: Random, rows: Rows, at: int) -> None:
    rows.insert(chance.randrange(len(rows)), rows.pop(at))


def joined(_chance: Random, rows: Rows, at: int) -> None:
    rows[at : at + 2] = [" ".join(rows[at : at + 2])]


def shuffled(chance: Random, rows: Rows, at: int) -> None:
    words = rows[at].split()
    rows[at] = "  " + " ".join(chance.sample(words, len(words)))


def with_sign(chance: Random, rows: Rows, at: int) -> None:
    place = chance.randint(0, len(rows[at]))
    sign = chance.choice(
        ['"', "'", "\\", "\\x", "#", "$", "${", "{", "}", "!", "%[", ",", "\t", "\r", "\x0b", "\u202e", "\x1b", "é"]
    )
    rows[at] = rows[at][:place] + sign + rows[at][place:]


def with_word(chance: Random, rows: Rows, at: int) -> None:
    words = rows[at].split()
    words.insert(
        chance.randint(0, len(words)),
        chance.choice(["if", "unless", "or", "from", "no", "-f", "-m", "0", "-1", "x" * 3_000, "9" * 40]),
    )
    rows[at] = " ".join(words)


def with_number(chance: Random, rows: Rows, at: int) -> None:
    rows[at] = "".join(
        chance.choice("0979.-") if sign.isdigit() and chance.random() < 0.5 else sign for sign in rows[at]
    )


def with_block(chance: Random, rows: Rows, at: int) -> None:
    rows.insert(
        at, chance.choice([".if 0", ".if 1", ".if feature(X)", ".else", ".elif 1", ".endif", ".if", '.notice "x"'])
    )


def with_section(chance: Random, rows: Rows, at: int) -> None:
    rows.insert(
        at,
        chance.choice(
            [
                "frontend web",
                "backend app",
                "listen all",
                "defaults",
                "defaults base",
                "backend x from nowhere",
                "peers p",
            ]
        ),
    )


MUTATIONS: tuple[Callable[[Random, Rows, int], None], ...] = (
    cut, doubled, removed, moved, joined, shuffled, with_sign, with_word, with_number, with_block, with_section,
)  # fmt: skip


def mutated(seed: int) -> str:
    chance, rows = Random(seed), WHOLE.split("\n")
    for _ in range(chance.randint(1, 12)):
        chance.choice(MUTATIONS)(chance, rows, chance.randrange(len(rows)))
    return chance.choice(["\n", "\n", "\r\n"]).join(rows)


def each_line_has_its_outcome(text: str) -> Imported | None:
    try:
        imported = import_configuration(text.encode(), Beside(FILES))
    except Invalid:
        return None
    rows = [row.rstrip("\r") for row in text.split("\n")]
    expected = [number for number, row in enumerate(rows, 1) if row.strip() and not row.lstrip().startswith("#")]
    assert [outcome.line for outcome in imported.outcomes] == expected
    assert all(outcome.what and not hidden_character(outcome.text + outcome.what) for outcome in imported.outcomes)
    if imported.site:
        document_of(read(imported.site))
    return imported


def test_each_line_of_200_broken_configurations_has_its_outcome() -> None:
    every = [each_line_has_its_outcome(mutated(seed)) for seed in range(200)]

    assert sum(imported is None for imported in every) < 100
    assert sum(bool(imported and imported.site) for imported in every) > 80


def test_the_whole_one_is_read() -> None:
    whole = each_line_has_its_outcome(WHOLE)

    assert whole
    assert whole.counts == {"became": 30, "note": 8, "left": 19}


def test_line_ends_of_windows_change_nothing() -> None:
    unix, windows = (each_line_has_its_outcome(WHOLE.replace("\n", end)) for end in ("\n", "\r\n"))

    assert unix == windows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WHOLE.replace("mode http", "mode\0http"), "NUL byte"),
        (WHOLE + "  acl long path " + "/a " * 4_000_000, "At most 2 MiB"),
        (WHOLE + ".if 1\n" * 65, "At most 64 conditional blocks"),
        (WHOLE.replace("from checked", "from nowhere"), "no defaults section before it is named nowhere"),
    ],
)
def test_what_no_haproxy_reads_is_refused_with_words(text: str, message: str) -> None:
    with pytest.raises(Invalid) as refusal:
        import_configuration(text.encode(), Beside(FILES))

    assert message in refusal.value.errors["file"].message


@pytest.mark.parametrize(
    "line",
    [
        "  acl long path " + "/a " * 600_000,
        "  server " + "x" * 1_900_000,
        '  http-request deny if { src "' + "1" * 1_900_000,
    ],
)
def test_a_line_of_2_mib_has_its_outcome(line: str) -> None:
    imported = each_line_has_its_outcome(
        f"defaults\n mode http\nfrontend web\n bind :80\n default_backend app\nbackend app\n server a 10.0.0.1:80\n{line}"
    )

    assert imported and len(imported.outcomes[-1].text) <= 300


def test_rules_of_defaults_and_frontends_on_one_port_are_read_where_they_count() -> None:
    imported = each_line_has_its_outcome(WHOLE)
    assert imported
    outcomes = {outcome.text: (outcome.kind, outcome.what) for outcome in imported.outcomes}

    assert outcomes["http-request deny if { path_beg /.git }"][0] == "became"
    assert outcomes['http-request set-header X-By "%[src]"'][0] == "became"
    assert outcomes["use_backend %[var(txn.where)] if { path /where }"][0] == "note"
    assert outcomes["use_backend api if { hdr(host) -i shop.example }"][0] == "note"
    assert (outcomes["retries 3"][0], outcomes["retries 4"][0]) == ("left", "note")
