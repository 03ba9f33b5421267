"""Redirects in circles: refused where they are closed, with the circle named. What is allowed ends, or nobody knows."""

from typing import Any

import pytest

from guardpanel.rendering import Rows
from guardpanel.services.saving.invariants import violations
from guardpanel.services.saving.proposal import Proposal
from tests.rows import FACTS, rows

SERVER: dict[str, Any] = {"servers": [{"address": "10.0.0.5:3000"}]}
HOSTS = {"shop.example": SERVER, "*.blog.example": {**SERVER, "https": True, "https_redirect": True}}


def to(path: str, target: str, **fields: Any) -> dict[str, Any]:
    return {"path": path, "redirect": "301", "redirect_to": target, **fields}


OFF = {"enforcement_mode": "off"}

CIRCLES: dict[str, list[dict[str, Any]]] = {
    "/a → /A/": [to("/a", "/A/", redirect_rest=False)],
    "/a → /a/b → …": [to("/a", "/a/b")],
    "/a → /b → /a": [to("/a", "/b"), to("/b", "/a")],
    "/a → /b → /c → /a": [to("/a", "/b"), to("/b", "/c"), to("/c", "/a")],
    "/a → /b → /a/x → …": [to("/a", "/b"), to("/b", "/a/x")],
    "/a → /b/c → /a": [to("/a", "/b/c"), to("/b/c", "/x/../a", path_match="exact")],
    "/a/… → /a/b → …": [to("/a", "/a/b", redirect_rest=False), {"path": "/a", "path_match": "exact", **OFF}],
    "/a → shop.example/a": [to("/a", "http://shop.example/a")],
    "/a → shop.example:8080/a": [to("/a", "http://SHOP.example:8080/a?x=1", redirect_rest=False)],
    "/a → x.blog.example/b → shop.example/a": [
        to("/a", "https://x.blog.example/b"), to("/b", "http://shop.example/a", virtual_host_id=2),
    ],
    "/a → /Ä → /a": [to("/a", "/%C3%84"), to("/ä", "/a")],
    "/ → /": [to("/", "/", path_match="exact")],
}  # fmt: skip

ENDS: dict[str, list[dict[str, Any]]] = {
    "at another path": [to("/a", "/b"), to("/b", "/c")],
    "at what is bound exactly": [to("/a", "/a/new", redirect_rest=False), {"path": "/a/new", "path_match": "exact", **OFF}],
    "since parts are left out": [to("/a/b", "/a")],
    "at the home page": [to("/", "/shop", path_match="exact"), to("/x", "/")],
    "on another site": [to("/a", "https://other.example/a")],
    "on another port": [to("/a", "http://shop.example:9000/a")],
    "where HTTPS is served by others": [to("/a", "https://shop.example/a")],
    "on a name that the wildcard does not cover": [to("/a", "http://blog.example/a", virtual_host_id=2)],
    "by HTTPS": [to("/a", "http://x.blog.example/b", virtual_host_id=2)],
}  # fmt: skip


def broken_rules(before: Rows, after: Rows) -> list[tuple[str, int, str, str]]:
    violated = violations(Proposal(after, FACTS, lambda: before))
    return [(rule.noun, rule.noun_id, rule.field, rule.message) for rule in violated]


@pytest.mark.parametrize("words", CIRCLES)
def test_a_circle_is_named_at_the_redirect_that_closes_it(words: str) -> None:
    *earlier, last = CIRCLES[words]
    broken = broken_rules(rows({}, HOSTS, paths=earlier), rows({}, HOSTS, paths=CIRCLES[words]))
    alone = broken_rules(rows({}, HOSTS), rows({}, HOSTS, paths=CIRCLES[words]))

    assert (
        "path_binding",
        1,
        "redirect_to",
        f"Visitors would be redirected in a circle: {words}",
    ) in alone
    if "redirect" in last:
        assert {(noun, number, field) for noun, number, field, _ in broken} == {
            ("path_binding", len(CIRCLES[words]), "redirect_to")
        }


@pytest.mark.parametrize("where", ENDS)
def test_what_ends_is_allowed(where: str) -> None:
    assert broken_rules(rows({}, HOSTS), rows({}, HOSTS, paths=ENDS[where])) == []


MOVED: dict[str, Any] = {"redirect": "301", "redirect_to": "https://new.example"}


@pytest.mark.parametrize(
    ("hosts", "paths", "words"),
    [
        ({"a.example": {**MOVED, "redirect_to": "/x"}}, [], "/ → /x/ → …"),
        ({"a.example": {**MOVED, "redirect_to": "/x", "redirect_rest": False}}, [], "/ → /x → …"),
        ({"a.example": {**MOVED, "redirect_to": "http://a.example"}}, [], "/ → a.example/"),
        (
            {"a.example": {**MOVED, "redirect_to": "http://b.example"}, "b.example": SERVER},
            [to("/", "http://a.example/", path_match="exact", virtual_host_id=2)],
            "/ → b.example/ → a.example/",
        ),
        (
            {"a.example": {**MOVED, "redirect_to": "http://b.example"}, "b.example": SERVER},
            [to("/x", "http://a.example/x", virtual_host_id=2), to("/", "/x", path_match="exact", virtual_host_id=2)],
            "/ → b.example/ → b.example/x → a.example/x → …",
        ),
    ],
)
def test_circles_of_whole_virtual_hosts_are_named(
    hosts: dict[str, Any], paths: list[dict[str, Any]], words: str
) -> None:
    before = rows({}, dict.fromkeys(hosts, SERVER), paths=paths)

    broken = broken_rules(before, rows({}, hosts, paths=paths))

    assert broken == [("virtual_host", 1, "redirect_to", f"Visitors would be redirected in a circle: {words}")]


def test_a_virtual_host_may_lead_to_what_is_served() -> None:
    hosts = {"a.example": MOVED, "b.example": {**MOVED, "redirect_to": "/new", "redirect_rest": False}}
    served = {"path": "/new", "virtual_host_id": 2, "own_servers": ["http://10.0.0.7:3000"]}

    assert broken_rules(rows({}, {}), rows({}, hosts, paths=[served])) == []


def test_whatever_closes_a_circle_is_blamed() -> None:
    path = to("/a", "http://www.example/a")
    words = "Visitors of /a would be redirected in a circle: /a → www.example/a"
    before = rows({}, {"shop.example": SERVER}, paths=[path])
    named = rows({}, {"shop.example www.example": SERVER}, paths=[path])
    assert broken_rules(before, named) == [("virtual_host", 1, "hostnames", words)]
    noted = rows({}, {"shop.example www.example": {**SERVER, "notes": "x"}}, paths=[path])
    assert broken_rules(named, noted) == []  # It was there before.

    stop: dict[str, Any] = {"path": "/a/b", "path_match": "exact", **OFF}
    stopped = rows({}, {"shop.example": SERVER}, paths=[to("/a", "/a/b", redirect_rest=False), stop])
    freed = {**stopped, "pathbinding": stopped["pathbinding"][:1]}
    words = "Visitors of /a would be redirected in a circle: /a → /a/b → …"
    assert broken_rules(stopped, freed) == [("path_binding", 2, "", words)]


def test_one_of_many_redirects_that_a_change_leads_in_circles_is_named() -> None:
    many = [to(f"/p{number}", f"http://x.blog.example/x/p{number}") for number in range(300)]
    closing = to("/x", "http://shop.example/", virtual_host_id=2)
    hosts = {**HOSTS, "*.blog.example": SERVER}

    broken = broken_rules(rows({}, hosts, paths=many), rows({}, hosts, paths=[*many, closing]))

    assert [(noun, number, field) for noun, number, field, _ in broken] == [("path_binding", 301, "redirect_to")]
    assert "Visitors of /p0 would be redirected in a circle" in broken[0][3]


def test_a_disabled_virtual_host_redirects_nobody_until_it_is_enabled() -> None:
    paths = [to("/a", "http://www.example/a"), to("/a", "http://shop.example/a", virtual_host_id=2)]
    disabled, enabled = (
        rows({}, {"shop.example": SERVER, "www.example": {**SERVER, "enabled": on}}, paths=paths)
        for on in (False, True)
    )

    assert broken_rules({**disabled, "pathbinding": []}, disabled) == []
    words = "Visitors of /a would be redirected in a circle: /a → www.example/a → shop.example/a"
    assert broken_rules(disabled, enabled) == [("virtual_host", 2, "hostnames", words)]
