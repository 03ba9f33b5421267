"""Path bindings and real requests: however a path is spelled, nobody gets another path's policy, and the server gets what was judged."""

from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.engines import http
from guardpanel.models.path_binding import PathBindingFields
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.services import path_bindings, policies, virtual_hosts
from guardpanel.services.saving.changes import SaveRequest
from tests.live.origins import Origin
from tests.live.over_h2 import OverH2
from tests.live.saves import a_virtual_host, installation_of
from tests.live.stack import DEADLINE, Stack
from tests.rows import rows

POLICIES: dict[str, dict[str, Any]] = {
    "Site": {"enforcement_mode": "block"},
    "Admin": {"enforcement_mode": "block", "blocking_paranoia_level": 2, "detection_paranoia_level": 2},
    "Uploads": {"enforcement_mode": "block", "body_limit_kib": 512},
    "API": {"enforcement_mode": "detect_only"},
}
PATHS: list[dict[str, Any]] = [
    {"path": "/admin", "policy": "Admin"},
    {"path": "/upload", "policy": "Uploads"},
    {"path": "/api", "policy": "API"},
    {"path": "/api/login", "policy": "Admin"},
    {"path": "/static", "enforcement_mode": "off"},
    {"path": "/Café", "policy": "Admin"},
    {"path": "/docs/Überblick", "policy": "API"},
    {"path": "/", "path_match": "exact", "policy": "Uploads"},
    {"path": "/health", "path_match": "exact", "enforcement_mode": "off"},
    {"path": "/admin/open", "policy": "API"},
    {"path": "/admin/report", "path_match": "exact", "policy": "Uploads"},
    {"path": "/desk/Größe", "policy": "Admin"},
]
OFF = "off"

REDIRECTS: list[dict[str, Any]] = [
    {"virtual_host_id": 3, **redirect}
    for redirect in (
        {"path": "/", "path_match": "exact", "redirect": "302", "redirect_to": "/shop"},
        {"path": "/blog", "redirect": "301", "redirect_to": "https://blog.test"},
        {"path": "/blog/old/posts", "redirect": "308", "redirect_to": "/archive/"},
        {"path": "/up", "redirect": "302", "redirect_to": "/"},
        {
            "path": "/login",
            "path_match": "exact",
            "redirect": "307",
            "redirect_to": "/sign-in?a=1;b",
            "redirect_rest": False,
        },
        {
            "path": "/percent",
            "redirect": "302",
            "redirect_to": "https://x.test:8443/%25(src)%22",
            "redirect_rest": False,
        },
        {"path": "/Café", "redirect": "302", "redirect_to": "/caf"},
    )
]

MOVED: dict[str, dict[str, Any]] = {
    "moved.test": {"https": True, "redirect": "308", "redirect_to": "https://new.test/shop/"},
    "gone.test *.gone.test": {
        "https": True,
        "redirect": "302",
        "redirect_to": "https://new.test/sorry?a=1",
        "redirect_rest": False,
    },
}
"Virtual hosts that redirect everything, without servers. The first has a path that is served."

SPELLINGS: dict[str, dict[str, str]] = {
    "written so": {
        "/": "Uploads", "/?q=1": "Uploads", "/x": "Site", "/admin": "Admin", "/admin/": "Admin", "/admin/x/y": "Admin",
        "/admin?x=1": "Admin", "/administrator": "Site", "/x/admin": "Site", "/upload/a%20b.pdf": "Uploads",
        "/api": "API", "/api/v1/users": "API", "/api/login": "Admin", "/api/login/x": "Admin", "/api/loginx": "API",
        "/static/x.js": OFF, "/static": OFF, "/statics": "Site", "/health": OFF, "/health/": "Site", "/health/x": "Site",
        "/admin/report": "Uploads", "/admin/report/": "Uploads", "/admin/report/x": "Admin",
        "/caf%C3%A9": "Admin", "/caf%c3%a9/x": "Admin", "/docs/%C3%9Cberblick/a": "API", "/static/a%20b.js": OFF,
    },
    "upper and lower case": {
        "/ADMIN": "Admin", "/aDmIn/x": "Admin", "/API/x": "API", "/Static/x": OFF, "/CAF%C3%A9": "Admin", "/HEALTH": OFF,
    },
    "letters beyond ASCII": {
        "/caf%C3%89": "Admin", "/CAF%c3%89/x": "Admin", "/cafe%CC%81": "Admin", "/CAFE%CC%81/x": "Admin", "/cafe": "Site",
        "/docs/%C3%BCberblick/a": "Site", "/docs/U%CC%88berblick": "Site", "/%C5%BFtatic/x": "Site", "/adm%C4%B1n": "Site",
        "/desk/Gr%C3%B6%C3%9Fe": "Admin", "/DE%C5%BF%E2%84%AA/GR%C3%96%E1%BA%9EE": "Admin", "/desk/Gro%CC%88%C3%9Fe/x": "Admin",
        "/desk/Gro%C3%9Fe": "Site", "/desk/Gr%C3%B6sse": "Site",
    },
    "encoded letters": {
        "/%61dmin": "Admin", "/%61%64%6D%69%6e/x": "Admin", "/a%64min": "Admin", "/%75pload": "Uploads", "/api%2flogin": "Admin",
        "/api/%6Cogin": "Admin", "/admin%2Fx": "Admin", "/%2fadmin": "Admin", "/admin%3fx": "Site", "/admin%26": "Site",
    },
    "a weaker path, spelled otherwise": {
        "/%61pi/x": "Site", "/ap%69": "Site", "/%73tatic/x": "Site", "//static/x": "Site", "/static;x/y": "Site", "/stati%63": "Site",
        "/%68ealth": "Site", "//health": "Site", "/health;a=1": "Site", "/static%2fx": "Site", "/api%5cx": "Site", "/api;v=1/x": "Site",
        "/x/..;/static": "400", "/%61pi/login": "Admin", "/admin/open/x": "API", "/%61dmin/open;x/y": "Admin", "//admin/open/y": "Admin",
        "/admin/open;/y": "Admin", "/admin/open./y": "Admin",
    },
    "slashes and parameters": {
        "//admin": "Admin", "///admin//x": "Admin", "/admin;": "Admin", "/admin;a=1/x": "Admin", "/;x/admin": "Admin", "/admin/;/x": "Admin",
        "/admin\\x": "Admin", "/\\admin": "Admin", "/admin%5cx": "Admin", "/api//login": "Admin", "/api/;a=b/login": "Admin",
        "/admin;x=/../y": "400", "/admin%3Bx/y": "Admin",
    },
    "dots and spaces at the end": {
        "/admin.": "Admin", "/admin./x": "Admin", "/admin%20": "Admin", "/admin%20/x": "Admin", "/admin.%20.": "Admin", "/admin%2e": "Admin",
        "/admin...": "Admin", "/.../admin": "Admin",
    },
    "steps": {
        "/./admin": "400", "/x/../admin": "400", "/static/../admin": "400", "/static/%2e%2e/admin": "400", "/static/.%2e/admin": "400",
        "/static/..;/admin": "400", "/static/..;x=1/admin": "400", "/static%2f..%2fadmin": "400", "/static/..%5cadmin": "400",
        "/static\\..\\admin": "400", "/%2e/admin": "400", "/static/..%20/admin": "400", "/static/.%20./admin": "400", "/upload/..": "400", "/upload/.": "400", "/%2e%2e;/admin": "400",
    },
    "encoded twice": {
        "/%2561dmin": "400", "/static/%252e%252e/admin": "400", "/static%252f..%252fadmin": "400", "/admin%252fx": "Admin",
        "/api%252flogin": "Admin", "/admin%255cx": "Admin", "/x/%2541": "400", "/static%252fx": "Site", "/job/a%252Fb": "Site",
    },
    "what cannot be decoded": {
        "/admin%": "400", "/admin%zz": "400", "/%u0061dmin": "400", "/admin%00": "400", "/admin%00.css": "400", "/static/x%0a/y": "400",
        "/static/%e0%80%ae%e0%80%ae/admin": "400", "/static/%f0%80%80%ae/admin": "400", "/static/..%253b/x": "400", "/admin%2500": "400",
        "/%e2%82%ac/x": "Site", "/%f0%9f%98%80": "Site", "/%e0%a4%85": "Site", "/.well-known/x": "Site",
        "/%c0%afadmin": "400", "/static/%c0%ae%c0%ae/admin": "400", "/admin%7f": "400", "/%ff/admin": "400", "/admin::$DATA": "400", "/admin:$i30:$x": "400",
        "/admin%3a%3a$DATA": "400", "/admin%253a%253a%2524DATA": "400", "/admin:%2524i30:x": "400", "/admin%253a$i30:x": "400",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    common: dict[str, Any] = {
        "servers": [{"address": server.address}],
        "health_check": False,
        "policy": "Site",
        "https": True,
    }
    hosts = {"site.test": common, "other.test": common, "old.test": common, **MOVED}
    kept = {"virtual_host_id": 4, "path": "/api", "own_servers": [f"http://{server.address}"]}
    given = rows(POLICIES, hosts, paths=[*PATHS, *REDIRECTS, kept])
    with Stack(haproxy, given, agent_seconds=60) as running:
        running.again(given)
        yield running


def policy_of(stack: Stack, application: str) -> str:
    """The policy whose application a request got."""
    if application in {"", "-"}:
        return OFF
    ids = next(each.policy_ids for each in stack.bundle.applications if each.name == application)
    return list(POLICIES)[ids[0] - 1]


@pytest.mark.parametrize("kind", SPELLINGS)
def test_no_spelling_gets_another_paths_policy(channel: Stack, kind: str) -> None:
    bindings = {}
    for target in SPELLINGS[kind]:
        answer = channel.get("site.test", target)
        bindings[target] = "400" if answer.status == 400 else policy_of(channel, answer.verdict["application"])
        if answer.status == 200:
            assert answer.seen["target"] == target

    assert bindings == SPELLINGS[kind]


def padded(kib: int, query: bytes = b"") -> bytes:
    return b"a=" + b"x" * 1000 * kib + query


def test_a_path_has_the_body_limit_and_mode_of_its_policy(channel: Stack) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    attack = "?q=1%27%20OR%20%271%27%3D%271"

    def status(target: str, body: bytes = b"a=1", host: str = "site.test") -> int:
        return channel.request("POST", host, target, form, body).status

    assert [status(target, padded(300)) for target in ("/x", "/admin", "/upload", "/upload/x")] == [413, 413, 200, 200]
    assert status("/upload", padded(300, b"&q=1'+OR+'1'='1")) == 403
    assert [status(target + attack) for target in ("/x", "/api/x", "/api/login", "/static/x", "/%73tatic/x")] == [
        403,
        200,
        403,
        200,
        403,
    ]
    assert "942100" in channel.get("site.test", "/api/x" + attack).verdict["rules"]
    assert [status(target + attack, host="other.test") for target in ("/api/x", "/static/x")] == [403, 403]


def test_another_virtual_host_takes_every_spelling(stack: Stack) -> None:
    assert [stack.get("other.test", target).status for target in ("/%2561dmin", "/admin%zz", "/a/./b")] != [
        400,
        400,
        400,
    ]


def test_the_server_itself_is_asked_under_the_virtual_hosts_policy(stack: Stack) -> None:
    """3.0 asks for `/` in its place if a visitor did so over HTTP/2."""
    for channel in (stack, OverH2.of(stack)):
        answers = [channel.request("OPTIONS", host, "*") for host in ("site.test", "other.test")]

        assert [answer.status for answer in answers] == [200, 200]
        assert {answer.seen["target"] for answer in answers} <= {"*", "/"}
        own = "Site" if answers[0].seen["target"] == "*" else "Uploads"
        assert policy_of(stack, answers[0].verdict["application"]) == own


@pytest.mark.anyio
@pytest.mark.one_haproxy
async def test_a_binding_is_live_with_its_save_and_after_a_reload(haproxy: str, server: Origin) -> None:
    ada, attack = SaveRequest("ada@example.org"), "/api/x?q=1%27%20OR%20%271%27%3D%271"
    async with installation_of(haproxy) as here:
        block = PolicyFields(name="Strict", enforcement_mode=EnforcementMode.BLOCK)
        policy = (await policies.create(here.changes, ada, block)).value
        host = a_virtual_host(int(server.address.rpartition(":")[2]), health_check=False, policy_id=policy.id)
        number = (await virtual_hosts.create(here.changes, ada, host)).value.id or 0
        paths = path_bindings.ROWS.under(number)

        async def status(target: str) -> int:
            headers = {"host": "shop.example", "user-agent": "Mozilla/5.0", "accept": "*/*"}
            return (
                await http.ask(here.settings.http_binds[0], "GET", target, headers=headers, timeout=DEADLINE)
            ).status

        fields = PathBindingFields(path="/api", enforcement_mode=EnforcementMode.DETECT_ONLY)
        assert await status(attack) == 403
        bound = (await paths.create(here.changes, ada, fields)).value
        assert [await status(target) for target in (attack, attack[4:])] == [200, 403]
        await here.engines.reload_again()
        assert [await status(target) for target in (attack, attack[4:])] == [200, 403]
        assert await here.look() == []
        await paths.delete(here.changes, ada, bound.id or 0)
        assert await status(attack) == 403


@pytest.mark.parametrize(
    ("target", "status", "location"),
    [
        ("/?utm=1", 302, "/shop?utm=1"),
        ("/blog", 301, "https://blog.test"),
        ("/blog/", 301, "https://blog.test/"),
        ("/Blog/A%20b/c?q=1&r=%2F", 301, "https://blog.test/A%20b/c?q=1&r=%2F"),
        ("/blog//evil.test", 301, "https://blog.test/evil.test"),
        ("//blog/x", 301, "https://blog.test/x"),
        ("/blog@evil.test", 200, None),
        ("/blog;@evil.test/x", 301, "https://blog.test/x"),
        ("/blog%2f@evil.test", 301, "https://blog.test/@evil.test"),
        ("/blog/a%2Fb;v=1/c%5Cd//e", 301, "https://blog.test/a%2Fb;v=1/c%5Cd//e"),
        ("/blog%2Fa%2Fb;v=1/c", 301, "https://blog.test/a/b/c"),
        ("/;x/blog/y", 301, "https://blog.test/y"),
        ("/.../blog/y", 301, "https://blog.test/y"),
        ("/blog%2Fold/posts/7", 308, "/archive/7"),
        ("/blog%252fold\\posts%5C7", 308, "/archive/7"),
        ("/blog/old./posts/7", 308, "/archive/7"),
        ("/blog/old/posts/7", 308, "/archive/7"),
        ("/blog/old/postsX", 301, "https://blog.test/old/postsX"),
        ("/up", 302, "/"),
        ("/up?q", 302, "/?q"),
        ("/up//evil.test/x", 302, "/evil.test/x"),
        ("/up/\\evil.test", 302, "/evil.test"),
        ("/up\\evil.test", 302, "/evil.test"),
        ("/up/%2f%2fevil.test", 302, "/%2f%2fevil.test"),
        ("/up/\\/\\evil.test", 302, "/evil.test"),
        ("/up%5c%5cevil.test", 302, "/evil.test"),
        ("/up/https://evil.test", 302, "/https://evil.test"),
        ("/login?x=1", 307, "/sign-in?a=1;b"),
        ("/login/x", 200, None),
        ("/percent/x?y", 302, "https://x.test:8443/%25(src)%22"),
        ("/caf%C3%A9/x", 302, "/caf/x"),
        ("/CAFE%CC%81/a%2Fb", 302, "/caf/a%2Fb"),
        ("/x", 200, None),
    ],
)
def test_a_redirect_leads_where_it_was_set(channel: Stack, target: str, status: int, location: str | None) -> None:
    answer = channel.get("old.test", target)

    assert (answer.status, answer.headers.get("location")) == (status, location)


@pytest.mark.parametrize(
    ("host", "target", "status", "location"),
    [
        ("moved.test", "/", 308, "https://new.test/shop/"),
        ("moved.test", "/A%20b/c;d?q=1&r=%2F", 308, "https://new.test/shop/A%20b/c;d?q=1&r=%2F"),
        ("moved.test", "/?q", 308, "https://new.test/shop/?q"),
        ("moved.test", "//evil.test/x", 308, "https://new.test/shop/evil.test/x"),
        ("moved.test", "/\\evil.test", 308, "https://new.test/shop/evil.test"),
        ("moved.test", "/@evil.test", 308, "https://new.test/shop/@evil.test"),
        ("moved.test", "/api/x?q=1", 200, None),
        ("moved.test", "/apis", 308, "https://new.test/shop/apis"),
        ("moved.test", "/x/%2e%2e/api", 400, None),
        ("gone.test", "/x?q=1", 302, "https://new.test/sorry?a=1"),
        ("a.gone.test", "/x/%2e%2e/y", 302, "https://new.test/sorry?a=1"),
        ("other.test", "/x", 200, None),
    ],
)
def test_a_virtual_host_is_redirected_but_for_what_its_paths_have(
    channel: Stack, host: str, target: str, status: int, location: str | None
) -> None:
    answer = channel.get(host, target)

    assert (answer.status, answer.headers.get("location")) == (status, location)


def test_what_is_asked_of_the_server_itself_is_redirected_without_a_path(stack: Stack) -> None:
    """A target with `*` behind it would be another host. 3.0 takes it for `/` over HTTP/2."""
    for channel in (stack, OverH2.of(stack)):
        answer = channel.request("OPTIONS", "moved.test", "*")

        assert (answer.status, answer.headers.get("location", "").rstrip("/")) == (308, "https://new.test/shop"), answer
