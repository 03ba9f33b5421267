"""Rule exclusions saved by the form, and what visitors get then: each frees the request that it names, and nothing beside it.

The requests are those of docs/exclusions.md. Circled numbers and letters are those of its tables: what loads without an error
and does nothing, or too much, cannot be entered in the form, or is refused at its field.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import pytest

from tests.live.fixing import IS_LONG
from tests.panel import Panel
from tests.web import Page, Person, a_host, a_policy

pytestmark = pytest.mark.one_haproxy

RULES = "930120\n932160\n941100\n941110\n941160\n941390"
"Those that fire on CONTENT."

PATH = "/wp-json/posts"
PASSWD, XSS = "/etc/passwd", "<script>alert(1)</script>"
CONTENT = f"see {PASSWD} and {XSS}"


class Sent(NamedTuple):
    """A request of a visitor."""

    method: str
    target: str
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def form(target: str = PATH, method: str = "POST", **fields: str) -> Sent:
    return Sent(method, target, urlencode(fields).encode(), "application/x-www-form-urlencoded")


def listed(**item: str) -> bytes:
    """A JSON body: a list with this item twice."""
    return json.dumps({"items": [item, item]}).encode()


def document(body: bytes) -> Sent:
    return Sent("POST", PATH, body, "application/json")


def with_referer(target: str) -> Sent:
    return Sent("GET", target, headers=(("referer", "https://evil.example/x"),))


BENIGN = form(title="hi", content=CONTENT)
ENCODED = form("/wp-json/%70osts", title="hi", content=CONTENT)
BY_GET = Sent("GET", f"{PATH}?{urlencode({'content': CONTENT})}")
NEIGHBORS = [
    form(title=PASSWD),
    form(title=XSS),
    form("/login", content=CONTENT),
    form(f"{PATH}-x", content=CONTENT),
    form(f"{PATH}/../../login", content=CONTENT),
]
"Another field, another path, one that begins alike, and one that only seems to begin alike."

SESSION = "/login?PHPSESSID=abc"


def on(target_name: str, rules: str = RULES, **others: str) -> dict[str, str]:
    return {
        "rules": rules,
        "target_name": target_name,
        "path_match": "exact",
        "path": PATH,
        "methods": "POST",
        **others,
    }


CASES: dict[str, tuple[dict[str, str], list[Sent], list[Sent]]] = {
    "A: and a method, unlike B": (on("content"), [BENIGN, ENCODED], [BY_GET, form(method="PUT", content=CONTENT), *NEIGHBORS]),
    "keys in another case": (on("CONTENT"), [BENIGN, form(Content=CONTENT)], NEIGHBORS),
    "C: below a path": (
        on("content", path_match="below", methods=""),
        [BENIGN, BY_GET, ENCODED, form(f"{PATH}/7", content=CONTENT)],
        NEIGHBORS,
    ),
    "D: whole rules": (
        on("", target="request"),
        [BENIGN, ENCODED, form(title=XSS), form(title=PASSWD)],
        [BY_GET, *NEIGHBORS[2:], form(title="1' union select password from users-- ")],
    ),
    "E: on every path": (
        on("content", path_match="any", path="", methods=""),
        [BENIGN, BY_GET, ENCODED, *NEIGHBORS[2:4]],
        [*NEIGHBORS[:2], NEIGHBORS[4]],
    ),
    "⑤: a header that a later link inspects": (
        on("Referer", "943110", target="header", path="/login", methods="GET"),
        [with_referer(SESSION)],
        [with_referer(f"/other{SESSION}")],
    ),
    "⑥: the same header on every path": (
        on("Referer", "943110", target="header", path_match="any", path="", methods=""),
        [with_referer(SESSION), with_referer(f"/other{SESSION}")],
        NEIGHBORS,
    ),
    "the name that the first link inspects": (
        on("PHPSESSID", "943110", target="argument_name", path="/login", methods="GET"),
        [with_referer(SESSION)],
        [with_referer(f"/other{SESSION}")],
    ),
    "⑦: a slash is part of the name": (
        on("/content"),
        [form(**{"/content": CONTENT})],
        [BENIGN, *NEIGHBORS],
    ),
    "a tag": (on("content", "attack-xss"), [form(content=XSS)], [BENIGN, form(content=PASSWD), *NEIGHBORS]),
    "a range": (on("content", "941000-941999"), [form(content=XSS)], [BENIGN, form(content=PASSWD), *NEIGHBORS]),
    "values of a JSON list": (
        on("items.*.text", "930120\n932160", target="json"),
        [document(listed(text=PASSWD))],
        [document(listed(name=PASSWD)), document(listed(text=XSS))],
    ),
    "one value of a JSON list": (
        on("items.0.text", "930120\n932160", target="json"),
        [document(json.dumps({"items": [{"text": PASSWD}]}).encode())],
        [document(listed(text=PASSWD))],
    ),
}  # fmt: skip

ON_THE_AGENT = {
    "keys in another case",
    "D: whole rules",
    "⑦: a slash is part of the name",
    "a range",
    "one value of a JSON list",
}
"""What tests/live/test_rule_exclusions.py asks of the agent alone, all in one start: by form in `make nightly`."""

CHOSEN = {name: case for name, case in CASES.items() if IS_LONG or name not in ON_THE_AGENT}

REFUSED: dict[str, tuple[dict[str, str], str, str]] = {
    "④: a collection that no rule inspects": (on("content", target="argument_post"), "target", ""),
    "⑧: a rule that does not exist": (on("content", "999999"), "rules", "999999"),
    "a rule that blocks": (on("", "949110", target="request"), "rules", "949110"),
    "a tag that does not exist": (on("content", "attack-xxs"), "rules", "attack-xxs"),
    "a pattern that cannot be read": (on("(", name_is_pattern="on"), "target_name", ""),
    "a field that the rule does not inspect": (on("content", "943110"), "target_name", "943110"),
}


class Visitor:
    """At the listener; paths arrive as they are written here."""

    def __init__(self, panel: Panel) -> None:
        self.port = panel.proxy_port

    def status(self, sent: Sent) -> int:
        headers = {"host": "excluded.example", "user-agent": "Mozilla/5.0", "accept": "*/*", **dict(sent.headers)}
        if sent.content_type:
            headers["content-type"] = sent.content_type
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(sent.method, sent.target, sent.body or None, headers)
            return connection.getresponse().status

    def statuses(self, requests: list[Sent]) -> list[int]:
        return [self.status(sent) for sent in requests]


@pytest.fixture(scope="module")
def ada(shared_panel: Panel) -> Iterator[Person]:
    with Person(shared_panel) as ada:
        yield ada


@pytest.fixture(scope="module")
def exclusions(ada: Person, origin_port: int) -> str:
    """The path of those of a policy that blocks, which a virtual host has."""
    types = "application/x-www-form-urlencoded\napplication/json"
    policy = a_policy(
        name="Excluded", enforcement_mode="block", allowed_methods="GET\nPOST\nPUT", allowed_content_types=types,
        record_one_in="0",
    )  # fmt: skip
    saved = ada.post("/policies", policy)
    assert saved.status == 200, saved.text
    place = place_of(ada, saved)
    host = a_host(origin_port, hostnames="excluded.example", policy_id=place.removeprefix("/policies/"))
    assert ada.post("/virtual-hosts", host).status == 200
    return f"{place}/exclusions"


def place_of(ada: Person, saved: Page) -> str:
    """The path to which a save leads."""
    return urlsplit(saved.url.removeprefix(str(ada.client.base_url).rstrip("/"))).path


@pytest.fixture(scope="module")
def visitor(shared_panel: Panel) -> Visitor:
    return Visitor(shared_panel)


@pytest.mark.parametrize("case", CHOSEN.values(), ids=CHOSEN)
def test_an_exclusion_frees_what_it_names_until_it_is_deleted(
    ada: Person, exclusions: str, visitor: Visitor, case: Any
) -> None:
    fields, freed, others = case
    assert visitor.statuses([*freed, *others]) == [403] * (len(freed) + len(others))

    saved = ada.post(exclusions, {"target": "argument", "enabled": "on", **fields})

    place = place_of(ada, saved)
    assert f"{exclusions}/" in place, saved.errors
    assert visitor.statuses(freed) == [200] * len(freed)
    assert visitor.statuses(others) == [403] * len(others)
    assert ada.post(f"{place}/delete", {"version": "1"}).status == 200
    assert visitor.statuses(freed) == [403] * len(freed)


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_would_do_nothing_is_refused_at_its_field(
    ada: Person, exclusions: str, visitor: Visitor, case: Any
) -> None:
    fields, field, words = case

    answer = ada.post(exclusions, {"target": "argument", "enabled": "on", **fields})

    assert (answer.status, set(answer.errors)) == (422, {field}), answer.errors
    assert words in answer.errors[field]
    assert visitor.status(BENIGN) == 403
