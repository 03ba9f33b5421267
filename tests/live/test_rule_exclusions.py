"""Each form of a rule exclusion, judged by the real agent: it frees what it names, and nothing beside it."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from guardpanel.engines.waf.agent_refusals import rejected
from guardpanel.events import schema
from guardpanel.ingest.run import Ingest
from guardpanel.rendering import DesiredState, render
from guardpanel.services.events.uses import uses
from guardpanel.settings import Settings
from tests.corpus import HOSTILE
from tests.live.judging import EvaluatedRequest, Judge, a_form, a_json, a_request
from tests.live.origins import Origin
from tests.live.stack import Stack, agent_binary
from tests.live.wire import head
from tests.rows import FACTS, rows
from tests.rule_set import rule_set

XSS, PASSWD, SQL = "<script>alert(1)</script>", "/etc/passwd", "1' union select password from users-- "
"What 941100, 930120 and 942100 are for, among others."

RULES = ["attack-xss"]


def on(path: str, **others: Any) -> dict[str, Any]:
    return {"policy": "Strict", "rules": RULES, "path": path, **others}


Tried = tuple[dict[str, Any], list[EvaluatedRequest], list[EvaluatedRequest]]

FORMS: dict[str, Tried] = {
    "an argument": (
        on("/a/posts", target_name="content", methods=["POST"]),
        [a_form("/a/posts", {"content": XSS}), a_form("/a/%70osts", {"CONTENT": XSS})],
        [
            a_form("/a/posts", {"title": XSS}), a_form("/a/posts-x", {"content": XSS}), a_form("/a/Posts", {"content": XSS}),
            a_form("/a/posts", {"content": XSS}, "PUT"), a_request("GET", "/a/posts?content=%3Cscript%3Ealert(1)%3C/script%3E"),
            a_form("/a/posts/../login", {"content": XSS}), a_form("/a/posts/", {"content": XSS}),
        ],
    ),
    "every argument": (on("/b"), [a_form("/b", {"x": XSS, "y": XSS})], [a_form("/b", {XSS: "1"})]),
    "the names of arguments": (on("/c", target="argument_name"), [a_form("/c", {XSS: "1"})], [a_form("/c", {"x": XSS})]),
    "a pattern of names": (
        on("/d", target_name=r"item_\d{1,2}[,/']x", name_is_pattern=True),
        [a_form("/d", {"ITEM_12,x": XSS, "item_3/x": XSS, "item_3'x": XSS})],
        [a_form("/d", {"item_123,x": XSS}), a_form("/d", {"item_1,x_": XSS}), a_form("/d", {"an_item_1,x": XSS})],
    ),
    "each value of a JSON list": (
        on("/e", target="json", target_name="Items.*.text"),
        [a_json("/e", {"items": [{"text": XSS}, {"text": XSS}]})],
        [a_json("/e", {"items": [{"name": XSS}]}), a_json("/e", {"items": {"x": {"text": XSS}}}), a_form("/e", {"items.0.text": XSS})],
    ),
    "one value of a JSON body": (
        on("/f", target="json", target_name="items.0.text"),
        [a_json("/f", {"items": [{"text": XSS}]})],
        [a_json("/f", {"items": [{"text": "x"}, {"text": XSS}]})],
    ),
    "a cookie": (
        on("/g", target="cookie", target_name="state"),
        [a_request("GET", "/g", cookie=f"state={XSS}")],
        [a_request("GET", "/g", cookie=f"other={XSS}")],
    ),
    "a header": (
        on("/h", target="header", target_name="Referer"),
        [a_request("GET", "/h", referer=XSS)],
        [a_request("GET", "/h", user_agent=XSS)],
    ),
    "the name of a header": (
        on("/i", rules=["920450"], target="header_name", target_name="X-HTTP-Method-Override"),
        [a_request("GET", "/i", x_http_method_override="PUT")],
        [a_request("GET", "/i", x_http_method="PUT")],
    ),
    "an XML body": (
        on("/j", rules=["930120", "932160"], target="xml"),
        [a_request("POST", "/j", b"<a>/etc/passwd</a>", content_type="application/xml")],
        [a_request("POST", "/j?x=/etc/passwd", b"<a>b</a>", content_type="application/xml")],
    ),
    "the path": (
        on(r"/[^/]+/k\.git/.+", path_match="pattern", rules=["930130"], target="path"),
        [a_request("GET", "/team/k.git/info")],
        [a_request("GET", "/team/k.git/../.git/config"), a_request("GET", "/k.git/info")],
    ),
    "a path as it was sent": (
        on("/k2/..%2F..%2fa%20b", path_match="as_sent", rules=["930100", "930110"], target="url"),
        [a_request("GET", uri) for uri in ("/k2/..%2f..%2Fa%20b", "/k2/..%2f..%2fa%20b?q=1")],
        [
            a_request("GET", uri)
            for uri in ("/k2/../../a%20b", "/k2/..%2f..%2fa%20bc", "/k2/..%2f..%2fa%20b/../c", "/k2/..%2f..%2fa%20b%3f/..", "/x/k2/..%2f..%2fa%20b",
                        "/k2/%2e.%2f..%2fa%20b", "/k2/..%2f..%2fa%20b?q=%3Cscript%3E", "/k2/..%2f..%2fa%20b?q=../../etc/passwd")
        ],
    ),
    "everything below a path": (
        on("/l", path_match="below", target_name="x"),
        [a_form(path, {"x": XSS}) for path in ("/l", "/l/", "/l/a/b", "/%6c/a..b")],
        [
            a_form(path, {"x": XSS})
            for path in ("/l-m", "/l/../m", "/l/..;/m", "/l/%2e%2e/m", "/l/%252e%252e/m", "/l/..%5cm", "/l/..%253f/m", "/m/../l/a")
        ],
    ),
    "a pattern of paths": (
        on(r"^/m/\d{1,3}$", path_match="pattern", target_name="x"),
        [a_form("/m/123", {"x": XSS})],
        [a_form(path, {"x": XSS}) for path in ("/m/1234", "/m/1/", "/n%0a/m/1", "/m/1%0a", "/m/a")],
    ),
    "another argument's value": (
        on("/o", target_name="code", only_if=["action=save it, now", "v=2"]),
        [a_form("/o?v=2", {"action": "save it, now", "code": XSS})],
        [
            a_form("/o?v=2", {"action": "save it", "code": XSS}), a_form("/o?v=2", {"code": XSS}),
            a_form("/o", {"action": "save it, now", "code": XSS}),
            *(
                a_form(f"/o?v=2&{name}=other", {"action": "save it, now", "code": XSS})
                for name in ("Action", "+action", "action[]", "action[0]", "action%00x", "json.action")
            ),
        ],
    ),
    "another argument's value, whose name PHP has for others, too": (
        on("/u", target_name="code", only_if=["my_é key=ä 漢"]),
        [a_form("/u", {"my_é key": "ä 漢", "code": XSS})],
        [
            a_form(f"/u?{name}=other", {"my_é key": "ä 漢", "code": XSS})
            for name in ("my_%C3%A9_key", "my.%C3%A9.key", "+my+%C3%A9+key", "my[%C3%A9+key")
        ],
    ),
    "letters beyond ASCII in a path": (
        on("/v/é漢这\U0001f600", target_name="x"),
        [a_form("/v/%c3%a9%e6%bc%a2%e8%bf%99%f0%9f%98%80", {"x": XSS})],
        [a_form("/v/%e9", {"x": XSS}), a_form("/v/e", {"x": XSS})],
    ),
    "letters beyond ASCII in a pattern of paths": (
        on(r"/w/[éü]\xe9+", path_match="pattern", target_name="x"),
        [a_form("/w/%c3%bc%c3%a9%c3%a9", {"x": XSS})],
        [a_form("/w/%c3%bc", {"x": XSS}), a_form("/w/%c3%c3%a9", {"x": XSS}), a_form("/w/%e9%e9", {"x": XSS})],
    ),
    "everything below a path beyond ASCII": (
        on("/é", path_match="below", target_name="x"),
        [a_form("/%c3%a9/a", {"x": XSS})],
        [a_form("/%c3%a9a", {"x": XSS}), a_form("/%e9/a", {"x": XSS})],
    ),
    "whole rules": (
        on("/p", rules=["941100-941199", "941390"], target="request"),
        [a_form("/p", {"x": XSS})],
        [a_form("/p", {"x": PASSWD}), a_form("/q", {"x": XSS})],
    ),
    "a rule of Coraza's own, which reads no address with a broken escape": (
        on("/y%20z/100%", rules=["200009"], path_match="as_sent", target="request"),
        [a_request("GET", "/y%20z/100%?q=1")],
        [a_request("GET", path) for path in ("/y%20z/50%", "/y%20z/100%25%", "/y%20z/100%?q=%3Cscript%3E", "/y%20z/100%/../a")],
    ),
    "a rule about the body, where another argument has a value": (
        on("/z", rules=["200002"], target="request", only_if=["action=x"]),
        [a_request("POST", "/z?action=x", b'{"a":', content_type="application/json")],
        [a_request("POST", f"/z{query}", b'{"a":', content_type="application/json") for query in ("", "?action=y")],
    ),
    "chained rules": (
        on("/r", rules=["943110"], target="header", target_name="referer"),
        [a_request("GET", "/r?PHPSESSID=abc", referer="https://evil.example/x")],
        [a_request("GET", "/s?PHPSESSID=abc", referer="https://evil.example/x")],
    ),
}  # fmt: skip

NAMES = [
    name
    for name in ("a'b|c,d", "größe ñ 漢", '%{x}"', "a b", "/x/", "[0][value]", "$filter", *HOSTILE)
    if name.isprintable()
]


@pytest.mark.one_haproxy
def test_visitors_of_one_virtual_host_are_freed_and_those_of_another_are_not(haproxy: str, server: Origin) -> None:
    """Before and after each engine starts anew, and until the exclusion is gone."""
    served = {"policy": "Strict", "servers": [{"address": server.address}], "health_check": False}
    hosts = {"one.test": served, "other.test": served}
    policies = {"Strict": {"enforcement_mode": "block"}}
    own = on("/", target_name="content", virtual_host_id=1)
    body = urlencode({"content": XSS}).encode()

    with Stack(haproxy, rows(policies, hosts, exclusions=[own])) as stack:

        def statuses() -> list[int]:
            kind = "application/x-www-form-urlencoded"
            return [stack.post(host, sent, kind).status for host, sent in
                    (("one.test", body), ("other.test", body), ("one.test", body.replace(b"content", b"title")))]  # fmt: skip

        assert statuses() == [200, 403, 403]
        stack.stop_agent()
        stack.start_agent()
        stack.wait_until_live()
        assert statuses() == [200, 403, 403]
        stack.reload(rows(policies, hosts, exclusions=[own]))
        assert statuses() == [200, 403, 403]
        stack.reload(rows(policies, hosts))
        assert statuses() == [403, 403, 403]


@pytest.mark.live
@pytest.mark.one_haproxy
def test_an_address_with_a_broken_escape_reaches_the_server_where_it_is_freed(haproxy: str, server: Origin) -> None:
    freed = {"policy": "Strict", "rules": ["200009"], "target": "request", "path": "/tag/100%"}
    hosts = {"one.test": {"policy": "Strict", "servers": [{"address": server.address}], "health_check": False}}

    with Stack(haproxy, rows({"Strict": {"enforcement_mode": "block"}}, hosts, exclusions=[freed])) as stack:
        answers = [
            stack.get("one.test", target) for target in ("/tag/100%?q=1", "/tag/50%", "/tag/100%?q=%3Cscript%3E")
        ]

    assert [answer.status for answer in answers] == [200, 400, 403]
    assert answers[0].seen["target"] == "/tag/100%?q=1"


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    kinds = ("argument", "argument_name")
    named = [on(f"/name/{at}", target=kind, target_name=name) for at, name in enumerate(NAMES) for kind in kinds]
    with Judge(
        rows(
            {"Strict": {"enforcement_mode": "block"}},
            {},
            exclusions=[*(exclusion for exclusion, _, _ in FORMS.values()), *named],
        )
    ) as made:
        yield made


@pytest.mark.parametrize("tried", FORMS.values(), ids=FORMS)
def test_an_exclusion_affects_only_what_it_names(judge: Judge, tried: Tried) -> None:
    _, freed, others = tried

    assert [judge.fired(request) for request in freed] == [set() for _ in freed]
    assert all(judge.fired(other) for other in others), [judge.fired(other) for other in others]


def test_whatever_a_field_is_called_it_can_be_excluded(judge: Judge) -> None:
    for at, name in enumerate(NAMES):
        left = judge.fired(a_form(f"/name/{at}", {name.strip(): XSS})) & judge.fired(a_form("/name", {"x": XSS}))

        assert left == set(), name
        assert judge.fired(a_form(f"/name/{at}", {f"{name.strip()}x": XSS})), name


@pytest.mark.parametrize(
    ("exclusion", "field"),
    [
        (on("/a", target_name="x{100}", name_is_pattern=True), "target_name"),
        (on("/a", target_name="x{100}", name_is_pattern=True, methods=["POST"]), "target_name"),
        (on("/a", target_name="x{100}", name_is_pattern=True, path_match="below"), "target_name"),
        (on("", target_name="x{100}", name_is_pattern=True, path_match="any"), "target_name"),
        (on("/x{100}", path_match="pattern"), "path"),
    ],
)
def test_a_pattern_that_the_engine_refuses_is_refused_at_its_field(
    tmp_path: Path, exclusion: dict[str, Any], field: str
) -> None:
    """One that a form takes, and a later engine may refuse: written past the form."""
    state = rows({"Strict": {}}, {}, exclusions=[exclusion])
    (row,) = state["ruleexclusion"]
    state = {**state, "ruleexclusion": [{**row, field: row[field].replace("x{100}", "(?:x{100}){100}")}]}
    bundle = render(DesiredState.from_rows(state, FACTS))
    (tmp_path / "coraza.yaml").write_bytes(bundle.files["coraza.yaml"])
    command = [str(agent_binary()), "-config", str(tmp_path / "coraza.yaml"), "-validate"]

    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    (finding,) = rejected(output, list(bundle.applications)).findings

    assert (finding.noun, finding.noun_id, finding.field) == ("rule_exclusion", 1, field)


@pytest.mark.live
@pytest.mark.one_haproxy
def test_uses_are_counted_from_the_request_to_the_ledger(haproxy: str, server: Origin) -> None:
    """Of an exclusion with more rules than a line takes, too; the panel's own probes are no uses."""
    many = [str(number) for number in list(rule_set().rules) if 941100 <= number < 943000][:25]
    exclusions = [
        {"policy": "Strict", "rules": many, "target_name": "content", "path": "/posts", "methods": ["POST"]},
        {"policy": "Strict", "rules": ["942100"], "target_name": "q", "path_match": "any"},
        {"policy": "Strict", "rules": ["942100"], "target_name": "q", "path": "/never"},
    ]
    hosts = {"blog.test": {"policy": "Strict", "servers": [{"address": server.address}], "health_check": False}}
    with Stack(
        haproxy, rows({"Strict": {"enforcement_mode": "block"}}, hosts, exclusions=exclusions), events=True
    ) as stack:
        headers = {"user-agent": "Mozilla/5.0", "accept": "*/*", "content-type": "application/x-www-form-urlencoded"}
        for method, target in (("POST", "/posts"), ("POST", "/posts"), ("GET", "/")):
            stack.send(head(method, "blog.test", target, {**headers, "content-length": "0"}))
        stack.stop_agent()
        settings = Settings(data_dir=stack.folder)
        with closing(Ingest(settings)) as ingest:
            while ingest.step():
                pass
        with closing(schema.open_to_read(settings.events_database)) as connection:
            counted = uses(connection, datetime.now(UTC))

    assert counted.since is not None
    assert [counted.of(number).requests for number in (1, 2, 3)] == [2, 3, 0]
