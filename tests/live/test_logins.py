"""Basic authentication: who gets in where, what servers get of it, and what is logged, before and after a reload."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.rendering import Rows
from tests.live.origins import Origin
from tests.live.stack import Stack, wait_until
from tests.live.wire import Response, head
from tests.rows import rows

ATTACK = "/?q=1%27%20OR%20%271%27%3D%271"

LOGINS: list[dict[str, Any]] = [
    {"name": "ada", "password": "correct horse", "virtual_host_id": 1},
    {"name": "ada", "password": "another horse", "virtual_host_id": 2},
    {"name": "Bob Ünal", "password": "a:b:c ü😀%\"'\\", "virtual_host_id": 1},
    {"name": "long", "password": "x" * 200, "virtual_host_id": 1},
]


def state(server: Origin, logins: list[dict[str, Any]] = LOGINS, **fields: Any) -> Rows:
    common = {"servers": [{"address": server.address}], "health_check": False, "policy": "Block"}
    hosts = {
        "staff.test": {**common, "requires_login": True, "cors_origins": ["https://app.test"], **fields},
        "passes.test": {**common, "requires_login": True, "passes_login": True},
        "paths.test": common,
        "open.test": common,
        "empty.test": {**common, "requires_login": True},
    }
    paths: list[dict[str, Any]] = [
        {"virtual_host_id": 3, "path": "/admin", "requires_login": True},
        {"virtual_host_id": 3, "path": "/admin/assets", "enforcement_mode": "off"},
        {"virtual_host_id": 3, "path": "/exact", "path_match": "exact", "requires_login": True},
        {"virtual_host_id": 3, "path": "/api", "enforcement_mode": "detect_only"},
        {"virtual_host_id": 3, "path": "/weak", "enforcement_mode": "detect_only", "requires_login": True},
        *({"virtual_host_id": 3, "path": f"/many/{number}", "requires_login": True} for number in range(70)),
    ]
    own = [*logins, {"name": "ada", "password": "correct horse", "virtual_host_id": 3}]
    return rows({"Block": {"enforcement_mode": "block"}}, hosts, paths=paths, logins=own)


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    with Stack(haproxy, state(server, requires_login=False)) as running:
        assert asked(running, "staff.test").status == 200
        running.again(state(server))
        yield running


def basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


ADA = basic("ada", "correct horse")


def asked(stack: Stack, host: str, authorization: str | None = None, path: str = "/", **headers: str) -> Response:
    """As a visitor: the panel's own requests need no login."""
    sent = {"user-agent": "Mozilla/5.0", "accept": "*/*", **headers}
    if authorization is not None:
        sent["authorization"] = authorization
    method = sent.pop("method", "GET")
    return stack.send(head(method, host, path, sent))


@pytest.mark.parametrize(
    "authorization",
    [
        ADA,
        ADA.replace("Basic", "bAsIc"),
        ADA.replace("Basic ", "Basic   "),
        basic("Bob Ünal", "a:b:c ü😀%\"'\\"),
        basic("long", "x" * 200),
    ],
)
def test_who_knows_the_password_gets_in(stack: Stack, authorization: str) -> None:
    answer = asked(stack, "staff.test", authorization)

    assert "authorization" not in answer.seen_headers


@pytest.mark.parametrize(
    "authorization",
    [
        None, "", "Basic", "Basic ", basic("ada", "wrong"), basic("ada", "Correct horse"), basic("Ada", "correct horse"),
        basic("ada", "another horse"), basic("ada", "correct horse "), basic("ada", ""), basic("", ""), basic("Bob Ünal", "a"),
        f"Bearer {ADA.split()[1]}", f"Digest {ADA.split()[1]}", ADA.split()[1], f"Basic:{ADA.split()[1]}", "Basic ada:correct horse",
        ADA.rstrip("="), ADA + "=", ADA + "A", ADA.lower(), f"Basic {ADA}", f"Basic x {ADA.split()[1]}", f"Basic {'A' * 8000}", "Basic %s", "Basic \xff\xfe",
    ],
)  # fmt: skip
def test_nobody_else_does(stack: Stack, server: Origin, authorization: str | None) -> None:
    before = len(server.received)

    answer = asked(stack, "staff.test", authorization)

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="staff.test", charset="UTF-8"'
    assert "<h1>Login required</h1>" in answer.text
    assert len(server.received) == before


def test_servers_get_the_password_where_they_shall(stack: Stack) -> None:
    login = basic("ada", "another horse")

    assert asked(stack, "passes.test", login).seen_headers["authorization"] == login
    assert asked(stack, "open.test", "Bearer token").seen_headers["authorization"] == "Bearer token"
    assert asked(stack, "paths.test", "Bearer token", "/api").seen_headers["authorization"] == "Bearer token"


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/admin/x",
        "//admin",
        "/%61dmin/x",
        "/admin;a=1",
        "/ADMIN",
        "/admin/assets/a.css",
        "/admin/assets",
        "/exact",
        "/weak",
        "/%77eak/x",
        "//weak/x",
        "/weak;a/x",
        "/many/0",
        "/many/69",
    ],
)
def test_a_path_asks_with_all_that_is_below(stack: Stack, path: str) -> None:
    assert asked(stack, "paths.test", path=path).status == 401
    assert asked(stack, "paths.test", ADA, path).status == 200


@pytest.mark.parametrize("path", ["/", "/api", "/api/admin", "/administrator", "/exact/x"])
def test_other_paths_ask_for_nothing(stack: Stack, path: str) -> None:
    assert asked(stack, "paths.test", path=path).status == 200


def test_without_logins_nobody_gets_in(stack: Stack) -> None:
    assert asked(stack, "empty.test", ADA).status == 401


def test_the_waf_comes_first_and_pre_flight_requests_need_none(stack: Stack) -> None:
    assert asked(stack, "staff.test", path=ATTACK).status == 403
    preflight = {"origin": "https://app.test", "access-control-request-method": "GET", "method": "OPTIONS"}
    assert asked(stack, "staff.test", **preflight).status == 204
    assert asked(stack, "staff.test", method="OPTIONS").status == 401


def test_the_panels_own_requests_need_none(stack: Stack) -> None:
    assert stack.get("staff.test", "/").status == 200


def test_the_log_says_who_it_was(stack: Stack) -> None:
    for name, authorization in (("in", ADA), ("asked", None), ("failed", basic("ada", "wrong"))):
        asked(stack, "staff.test", authorization, f"/log-{name}")
    lines: dict[str, dict[str, Any]] = {}

    def written() -> bool:
        lines.update({line["path"]: line for line in stack.access_log() if line["path"].startswith("/log-")})
        return len(lines) == 3

    wait_until(written, "the lines are in the access log")
    told = {path: (line["user"], line["verdict"], line["status"]) for path, line in lines.items()}
    assert told == {
        "/log-in": ("ada", "-", 200),
        "/log-asked": ("-", "login_asked", 401),
        "/log-failed": ("-", "login_failed", 401),
    }


def test_another_password_holds_after_a_reload(stack: Stack, server: Origin) -> None:
    stack.reload(state(server, [{"name": "ada", "password": "battery staple", "virtual_host_id": 1}]))

    assert asked(stack, "staff.test", ADA).status == 401
    assert asked(stack, "staff.test", basic("ada", "battery staple")).status == 200
    stack.reload(state(server))
    assert asked(stack, "staff.test", ADA).status == 200
